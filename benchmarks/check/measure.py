"""What the guard counts: nothing here is a time of the clock, so that a busy machine gives nearly the same answer.

Not so the memory: how many pictures wait at once depends on which thread gets a processor (4 MiB on an idle machine of
two cores, 6 to 10 beside 13 others).
"""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.excerpt import Excerpt, build_excerpt
from benchmarks.growth.point import ScriptedBackend
from benchmarks.reading import letterboxed_by_hand, squares
from benchmarks.stand_in import stand_in
from detector.models.manifest import find_weights
from detector.sampling.names import PLAN_NAMES
from detector.scanner import Scanner, ScanOptions

CLIP = Excerpt(1280, 720, 2, 250)
STILL_FRAMES = 250
REPETITIONS = 5


def measure(model: str = "default", cache: Path | None = None) -> dict[str, float]:
    """Every figure by its name, on a clip of 10 s at 720p and with a network that costs nothing and finds nothing."""
    clip = build_excerpt(CLIP, cache)
    entry, _ = find_weights(model)
    figures: dict[str, float] = {}
    for plan in PLAN_NAMES:
        backend = ScriptedBackend(0, len(entry.classes))
        report = _scanner(model, plan, backend).scan(clip).report
        figures[f"{plan}: pictures given to the model"] = backend.pictures
        figures[f"{plan}: pictures decoded"] = report.coverage.frames_decoded
        figures[f"{plan}: bytes of the report"] = len(report.to_json().encode())
    backend = ScriptedBackend(0, len(entry.classes))
    with TemporaryDirectory() as folder:
        _scanner(model, "interval", backend).scan(_still(clip, Path(folder) / "still.mp4"))
    figures["interval, a picture that stands still: pictures given to the model"] = backend.pictures
    idle = ScriptedBackend(0, len(entry.classes))
    tracemalloc.start()
    _scanner(model, "every-frame", idle).scan(clip)
    figures["every-frame: most bytes that Python and NumPy held at once, MiB"] = (
        tracemalloc.get_traced_memory()[1] / 2**20
    )
    tracemalloc.stop()
    by_hand, ours, scanning, linking = _least_cpu(
        lambda: _by_hand(clip, entry.input_size),
        lambda: sum(1 for _ in squares(clip, entry.input_size)),
        lambda: _scanner(model, "every-frame", idle).scan(clip),
        lambda: _scanner(model, "every-frame", ScriptedBackend(1, len(entry.classes))).scan(clip),
    )
    figures["reading into the model's square, processor time by that of a PyAV loop"] = ours / by_hand
    figures["every-frame scan without the network, processor time by that of a PyAV loop"] = scanning / by_hand
    figures["the same with a find on every picture, processor time by that of a PyAV loop"] = linking / by_hand
    return {name: round(value, 3) for name, value in figures.items()}


def _still(clip: Path, out: Path) -> Path:
    """A clip of STILL_FRAMES times the first picture of `clip`."""
    import av

    with av.open(str(clip)) as reading, av.open(str(out), "w") as writing:
        picture = next(reading.decode(video=0)).reformat(format="yuv420p")
        stream = writing.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = picture.width, picture.height, "yuv420p"
        for number in range(STILL_FRAMES):
            picture.pts, picture.time_base = number, Fraction(1, 25)
            writing.mux(stream.encode(picture))
        writing.mux(stream.encode(None))
    return out


def _scanner(model: str, plan: str, backend: ScriptedBackend) -> Scanner:
    entry, _ = find_weights(model)
    return Scanner(stand_in(entry, backend), ScanOptions(plan=plan))


def _least_cpu(*works: Callable[[], object]) -> list[float]:
    """Processor seconds of each, all threads; they take turns, and the least counts, as others can only add to it."""
    least = [float("inf")] * len(works)
    for _ in range(REPETITIONS):
        for number, work in enumerate(works):
            begun = time.process_time()
            work()
            least[number] = min(least[number], time.process_time() - begun)
    return least


def _by_hand(clip: Path, size: int) -> int:
    """The reference loop: PyAV, a full RGB picture, OpenCV's resize into a grey square."""
    import av

    pictures = 0
    with av.open(str(clip)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        for frame in container.decode(stream):
            letterboxed_by_hand(frame.to_ndarray(format="rgb24"), size)
            pictures += 1
    return pictures
