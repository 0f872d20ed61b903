"""Every figure of a model in one document: sets, sizes, sources, damage, confusion, false alarms, calibration."""

from __future__ import annotations

import dataclasses
import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from detector.errors import BadOption, DataError
from detector.training import bootstrap
from detector.training.calibrate import BINS, Reliability, reliability, reliability_svg
from detector.training.confusion import Confusion, confusion, confusion_rows, confusion_svg
from detector.training.damage import DAMAGES
from detector.training.evaluate import SetScore, score
from detector.training.failures import Failure, contact_sheet, failures
from detector.training.matching import Matches, match
from detector.training.predictions import LabelledFile, Picture, Predictions, labelled_folder, photographs, predict
from detector.training.video_alarms import VideoAlarms, clips_in, count_alarms, make_clip

if TYPE_CHECKING:
    from detector.models import Model
    from detector.models.manifest import ManifestEntry

FEWEST_OF_A_SOURCE = 5
"""Sources with fewer pictures in the set are told of together, as "other"."""


@dataclass(frozen=True, slots=True, eq=False)
class SetMeasures:
    """The figures of one set of pictures. `damaged` and `sources` are by name of the damage and of the source.

    `failures` are the worst ones among pictures that may be shown.
    """

    score: SetScore
    damaged: dict[str, SetScore]
    sources: dict[str, SetScore]
    confusion: Confusion
    reliability: dict[str, Reliability]
    failures: tuple[Failure, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Measures:
    """All figures of one model; `sets` are photo, composite and render, as far as they were given.

    `second_view` are name and SHA-256 of the other model that gives it.
    `baseline` is boxes and AP50 of COCO-trained weights on the same photographs (see detector.training.coco_baseline).
    """

    model: str
    sha256: str
    input_size: int
    split: str
    second_view: tuple[str, str] | None = None
    sets: dict[str, SetMeasures] = field(default_factory=dict)
    video: VideoAlarms | None = None
    video_is_made: bool = False
    baseline: dict[str, tuple[int, float | None]] | None = None

    def as_json(self) -> dict[str, Any]:
        """The document that `ordnance evaluate --out` writes."""
        return {
            "model": {
                "name": self.model,
                "sha256": self.sha256,
                "input_size": self.input_size,
                "second_view": self.second_view and dict(zip(("name", "sha256"), self.second_view, strict=True)),
            },
            "method": {
                "split": self.split,
                "average_precision": "COCO (pycocotools), 101 recalls, at most 100 findings a picture",
                "sizes": "longer side of the box in pixels of the network's input",
                "interval": f"95 % bootstrap over pictures, {bootstrap.DRAWS} draws, seed {bootstrap.SEED}",
                "ece": f"{BINS} bins of equal width, weighted by boxes",
                "video": "made from weapon-free photographs" if self.video_is_made else "clips given",
            },
            "sets": {name: _set_json(measures) for name, measures in self.sets.items()},
            "coco_baseline": self.baseline
            and {name: {"boxes": boxes, "ap50": ap50} for name, (boxes, ap50) in self.baseline.items()},
            "video": self.video and {**dataclasses.asdict(self.video), "per_hour": self.video.per_hour},
        }


def measure(
    model: Model,
    entry: ManifestEntry,
    *,
    data: Path | None,
    split: str,
    folders: Mapping[str, Sequence[Path]],
    negative_video: Path | None = None,
    damages: Sequence[str] = tuple(DAMAGES),
    video_alarms: bool = True,
    quick: bool = False,
) -> Measures:
    """Measure `model` on the photographs of `split` below `data` and on those of each of `folders` (composite, render).

    The photographs are measured on damaged copies too, by the names of DAMAGES. `negative_video` is a folder of clips
    without weapons; without it false alarms per hour are counted on a clip made of weapon-free photographs, or not at
    all without `video_alarms`. `quick` leaves out the damaged copies, the bootstrap intervals and the made clip.
    Raises DataError where there is nothing to measure on, BadOption for an unknown damage, VideoError for a negative
    clip of which nothing can be decoded.
    """
    if unknown := set(damages) - set(DAMAGES):
        raise BadOption(f"'{min(unknown)}' is no damage; use {', '.join(DAMAGES)}, or none.")
    sets = labelled_sets(data, split, folders, model.classes)
    # Before the rest: a clip that cannot be read ends this at once rather than after everything else.
    counted = None if negative_video is None else count_alarms(model, clips_in(negative_video))
    second = None if model.second is None else (model.second.name, model.second.sha256)
    done = Measures(model.name, model.sha256, model.input_size, split, second)
    video: VideoAlarms | None = None
    for name, files in sets.items():
        predictions = predict(model, files, name)
        spoilt = damages if name == "photo" and not quick else ()
        done.sets[name] = _measure_set(model, entry, predictions, files, damages=spoilt, quick=quick)
        if name == "photo" and video_alarms and not quick and counted is None:
            free = {picture.name for picture in predictions.pictures if picture.is_weapon_free}
            video = _made_video_alarms(model, [file.picture for file in files if file.picture.name in free])
    return dataclasses.replace(done, video=counted or video, video_is_made=video is not None)


def labelled_sets(
    data: Path | None, split: str, folders: Mapping[str, Sequence[Path]], classes: Sequence[str]
) -> dict[str, list[LabelledFile]]:
    """The pictures of each set: photo (of `split`, labelled for `classes`, with `data`), and those of `folders`.

    Raises DataError for none.
    """
    sets: dict[str, list[LabelledFile]] = {"photo": photographs(data, split, classes)} if data else {}
    sets |= {name: [file for folder in each for file in labelled_folder(folder)] for name, each in folders.items()}
    if not sets:
        raise DataError("There is nothing to measure on; set ORDNANCE_DATA, or give --composites or --renders.")
    return sets


def check_baseline(weights: Path) -> None:
    """Raises DataError unless `weights` are COCO-trained ones, which `with_baseline` takes."""
    from detector.training.coco_baseline import open_coco

    with tempfile.TemporaryDirectory() as scratch:
        open_coco(weights, Path(scratch))


def with_baseline(measures: Measures, weights: Path, data: Path) -> Measures:
    """The same with the figures of the COCO-trained ultralytics weights `weights` on the same photographs."""
    from detector.training.coco_baseline import coco_ap50

    with tempfile.TemporaryDirectory() as scratch:
        files = photographs(data, measures.split, tuple(measures.sets["photo"].score.classes))
        found = coco_ap50(weights, files, Path(scratch), input_size=measures.input_size)
    return dataclasses.replace(measures, baseline=found)


def write_measures(measures: Measures, out: Path) -> list[Path]:
    """Write the JSON document `out` and beside it a confusion matrix and a reliability diagram of each set (SVG).

    Raises DataError where they cannot be written.
    """
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(measures.as_json(), indent=1) + "\n", encoding="utf-8")
        return [out, *write_pictures(measures, out.parent, out.stem)]
    except OSError as error:
        raise DataError(f"{error.filename or out} cannot be written: {error.strerror}.") from error


def write_pictures(measures: Measures, folder: Path, stem: str) -> list[Path]:
    """Write `folder`/`stem`-SET-confusion.svg and -reliability.svg, and -failures.jpg if any can be shown; paths."""
    written = []
    for name, each in measures.sets.items():
        title = f"{measures.model} on the {name} set"
        for kind, picture in (
            ("confusion", confusion_svg(each.confusion, title)),
            ("reliability", reliability_svg(each.reliability, title)),
        ):
            path = folder / f"{stem}-{name}-{kind}.svg"
            path.write_text(picture, encoding="utf-8")
            written.append(path)
        sheet = folder / f"{stem}-{name}-failures.jpg"
        sheet.unlink(missing_ok=True)
        if each.failures:
            sheet.write_bytes(contact_sheet(each.failures))
            written.append(sheet)
    return written


def reliabilities(matches: Matches, entry: ManifestEntry) -> dict[str, Reliability]:
    """Reliability of the raw and of the calibrated scores: of all findings that are stored, and of those reported."""
    floors = dict.fromkeys(entry.classes, entry.score_floor)
    return {
        "stored, raw": reliability(matches, None, floors, entry.classes),
        "stored, calibrated": reliability(matches, entry.calibration, floors, entry.classes),
        "reported, raw": reliability(matches, None, entry.thresholds, entry.classes),
        "reported, calibrated": reliability(matches, entry.calibration, entry.thresholds, entry.classes),
    }


def _measure_set(
    model: Model,
    entry: ManifestEntry,
    predictions: Predictions,
    files: list[LabelledFile],
    *,
    damages: Sequence[str],
    quick: bool,
) -> SetMeasures:
    thresholds = model.thresholds
    matches = match(predictions)
    damaged = {}
    for name in damages:
        worse = predict(model, files, f"{predictions.name}, {name}", damage=DAMAGES[name])
        damaged[name] = score(worse, thresholds, intervals=False)
    return SetMeasures(
        score(predictions, thresholds, intervals=not quick, strict=True, matches=matches),
        damaged,
        _by_source(predictions, thresholds),
        confusion(predictions, thresholds),
        reliabilities(matches, entry),
        failures(predictions, files, thresholds),
    )


def _by_source(predictions: Predictions, thresholds: Mapping[str, float]) -> dict[str, SetScore]:
    names = [picture.source for picture in predictions.pictures]
    large = sorted({name for name in names if names.count(name) >= FEWEST_OF_A_SOURCE})
    if len(large) <= 1 and len(set(names)) <= 1:
        return {}
    sources = {}
    for name in large:
        part = predictions.only(partial(_is_of, name), name)
        sources[name] = score(part, thresholds, intervals=False)
    rest = predictions.only(lambda picture: picture.source not in large, "other")
    return sources | ({"other": score(rest, thresholds, intervals=False)} if rest.pictures else {})


def _is_of(source: str, picture: Picture) -> bool:
    return picture.source == source


def _made_video_alarms(model: Model, pictures: list[Path]) -> VideoAlarms | None:
    if not pictures:
        return None
    with tempfile.TemporaryDirectory() as scratch:
        clip = Path(scratch) / "weapon-free.mp4"
        make_clip(pictures, clip)
        return count_alarms(model, [clip])


def _set_json(measures: SetMeasures) -> dict[str, Any]:
    return {
        **_score_json(measures.score),
        "damaged": {name: _score_json(each) for name, each in measures.damaged.items()},
        "sources": {name: _score_json(each) for name, each in measures.sources.items()},
        "confusion": confusion_rows(measures.confusion),
        "reliability": {name: dataclasses.asdict(each) for name, each in measures.reliability.items()},
        "failures_shown": [each.line() for each in measures.failures],
    }


def _score_json(each: SetScore) -> dict[str, Any]:
    document = dataclasses.asdict(each)
    document["false_alarms"]["per_1000"] = each.false_alarms.per_1000
    return document
