"""What `ordnance bench time` does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.outcome import say, write_result
from benchmarks.time.contenders import REFERENCE, all_contenders
from benchmarks.time.pictures import PictureSet, held_out_photographs, rendered_pictures
from benchmarks.time.plot import draw
from benchmarks.time.run import Settings, run_time_benchmark
from benchmarks.time.sets import accuracy_clips, speed_clips
from benchmarks.time.table import result_table
from detector.errors import BadOption, DataError
from detector.models.cache import cache_folder
from detector.models.manifest import find_weights

QUICK_REPETITIONS, FULL_REPETITIONS = 1, 3
QUICK_MEMORY_MINUTES, FULL_MEMORY_MINUTES = (2.0, 12.0), (2.0, 30.0)


def bench_time(
    *,
    out: Path,
    data: Path | None,
    renders: Path | None,
    quick: bool,
    seed: int,
    repetitions: int | None,
    only: Sequence[str],
    clips: Sequence[str],
    cache: Path | None,
    model: str,
    device: str,
) -> None:
    """Run the benchmark; write time.json and time.png into `out`, and the tables to stdout and time.txt."""
    settings = Settings(
        accuracy=accuracy_clips(quick=quick),
        speed=speed_clips(quick=quick),
        pictures=_pictures(data, renders, model),
        cache=cache or cache_folder() / "bench-time",
        seed=seed,
        repetitions=repetitions or (QUICK_REPETITIONS if quick else FULL_REPETITIONS),
        model=model,
        device=device,
        quick=quick,
        memory_minutes=QUICK_MEMORY_MINUTES if quick else FULL_MEMORY_MINUTES,
    )
    settings = _narrowed(settings, only, clips)
    result = run_time_benchmark(settings, say)
    plot = (lambda path: draw(result, path)) if result["accuracy"] else None
    write_result("time", result, result_table(result), out, plot)


def _pictures(data: Path | None, renders: Path | None, model: str) -> PictureSet:
    entry, _ = find_weights(model)
    if renders is not None:
        return rendered_pictures(renders, entry.classes)
    if data is None:
        raise DataError(
            "The time benchmark films photographs that are not part of Ordnance; set ORDNANCE_DATA or use --data for "
            "the folder with photos/, or film scenes of `ordnance dataset render` with --renders FOLDER."
        )
    return held_out_photographs(data, entry.classes)


def _narrowed(settings: Settings, only: Sequence[str], clips: Sequence[str]) -> Settings:
    """Without the contenders and clips that were not asked for; the reference always stays.

    With a choice of clips, memory is not measured.
    """
    contenders = all_contenders()
    if only:
        _check("contender", only, [each.name for each in contenders])
        contenders = [each for each in contenders if each.name in (REFERENCE, *only)]
    settings = replace(settings, contenders=tuple(contenders))
    if clips:
        _check("clip", clips, [each.name for each in (*settings.accuracy, *settings.speed)])
        settings = replace(
            settings,
            accuracy=tuple(each for each in settings.accuracy if each.name in clips),
            speed=tuple(each for each in settings.speed if each.name in clips),
            memory_minutes=(),
        )
    return settings


def _check(what: str, asked: Sequence[str], known: Sequence[str]) -> None:
    for name in asked:
        if name not in known:
            raise BadOption(f"There is no {what} '{name}' in the time benchmark; use: {', '.join(known)}.")
