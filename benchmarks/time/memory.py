"""Whether memory grows with a clip's length: a short and a long clip of one kind, each in a process of its own."""

from __future__ import annotations

import multiprocessing
import os
import tempfile
import time
from collections.abc import Sequence
from fractions import Fraction
from multiprocessing.connection import Connection
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from benchmarks.machine import peak_memory_mb
from benchmarks.stand_in import stand_in
from benchmarks.time.contenders import Contender
from detector.memory import keep_large_blocks_apart
from detector.models.backend import BackendName
from detector.models.manifest import ManifestEntry, find_weights
from detector.scanner import Scanner, ScanOptions

SIZE = (160, 90)
RATE = 25
GOP_FRAMES = 50


SLOW_PICTURES, SLOW_SECONDS = 40, 0.05
"""The stand-in for a network takes its time over the first pictures, so that as many wait as may wait, as they do for a
real one. Where none waits, the peak is a matter of chance, and of more chances in a longer clip."""


class BlindBackend:
    """Stands in for a network that sees nothing: what memory then holds is the scan's own."""

    name: BackendName = "onnxruntime"
    device = "cpu"

    def __init__(self) -> None:
        self._seen = 0

    def infer(self, batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        if self._seen < SLOW_PICTURES:
            time.sleep(SLOW_SECONDS * len(batch))
        self._seen += len(batch)
        return np.zeros((len(batch), 1, 6), np.float32)


def peak_by_length(
    contenders: Sequence[Contender], minutes: Sequence[float], cache: Path, model: str
) -> dict[str, list[float | None]]:
    """For every plan among the contenders the peak resident size, 10**6 bytes, after a clip of each length.

    None where the system does not tell.
    """
    entry, _ = find_weights(model)
    clips = [moving_stripes(each, cache) for each in minutes]
    return {
        contender.name: [_peak_of(contender, clip, entry) for clip in clips]
        for contender in contenders
        if contender.kind == "plan"
    }


def moving_stripes(minutes: float, cache: Path) -> Path:
    """A clip in which every picture differs from the one before; from `cache` if it was built before."""
    path = cache / f"stripes-{minutes:g}min.mp4"
    if path.exists():
        return path
    cache.mkdir(parents=True, exist_ok=True)
    width, height = SIZE
    columns, rows = np.meshgrid(np.arange(width), np.arange(height))
    with tempfile.TemporaryDirectory(dir=cache, prefix=".building-") as temporary:
        draft = Path(temporary) / path.name
        with av.open(str(draft), "w") as container:
            stream = container.add_stream("libx264", rate=RATE, options={"preset": "ultrafast", "g": str(GOP_FRAMES)})
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            stream.codec_context.thread_count = 1
            stream.codec_context.time_base = Fraction(1, RATE)
            for number in range(round(minutes * 60 * RATE)):
                grey = (128 + 90 * np.sin((columns + 5 * number) / 9 + rows / 7)).astype(np.uint8)
                frame = av.VideoFrame.from_ndarray(grey, format="gray")
                frame.pts, frame.time_base = number, Fraction(1, RATE)
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        os.replace(draft, path)
    return path


def _peak_of(contender: Contender, clip: Path, entry: ManifestEntry) -> float | None:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_scan_and_tell, args=(theirs, contender, clip, entry), daemon=True)
    process.start()
    theirs.close()
    try:
        peak: float | None = ours.recv()
    except EOFError:
        peak = None
    process.join()
    return peak


def _scan_and_tell(pipe: Connection, contender: Contender, clip: Path, entry: ManifestEntry) -> None:
    # As `ordnance` does.
    keep_large_blocks_apart()
    model = stand_in(entry, BlindBackend())
    cadence = {} if contender.cadence_seconds is None else {"cadence_seconds": contender.cadence_seconds}
    Scanner(model, ScanOptions(plan=contender.plan, **cadence)).scan(clip)
    pipe.send(peak_memory_mb())
