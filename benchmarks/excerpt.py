"""Clips for the clock, made of the demo clip that ships: any size, any distance between keyframes."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path

import av

import datasets.demo
from detector.frame import Frame
from detector.models.cache import cache_folder
from detector.video import open_video

RATE = 25
DEMO = Path(datasets.demo.__file__).with_name("demo.mp4")
FOLDER = "bench-excerpts"
WITHOUT_WEAPONS = (44.0, 78.0)
TANK = (82.0, 89.0)
"""Seconds of the demo clip (datasets/demo/truth.json) that show no weapon, and that show a tank."""
WEAPON_SHARE = 0.05


@dataclass(frozen=True, slots=True)
class Excerpt:
    """`frames` pictures at 25 a second, of which the last WEAPON_SHARE show a tank; H.264, a keyframe every `gop`."""

    width: int
    height: int
    gop_seconds: float
    frames: int

    @property
    def name(self) -> str:
        return f"{self.height}p-gop{self.gop_seconds:g}"


def build_excerpt(excerpt: Excerpt, cache: Path | None = None) -> Path:
    """The clip, from the cache folder where it was built before."""
    folder = cache or cache_folder() / FOLDER
    key = hashlib.sha256(
        json.dumps([asdict(excerpt), hashlib.sha256(DEMO.read_bytes()).hexdigest(), av.library_versions]).encode()
    ).hexdigest()[:12]
    path = folder / f"{excerpt.name}-{key}.mp4"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".building-") as temporary:
            draft = Path(temporary) / path.name
            _encode(excerpt, draft)
            os.replace(draft, path)
    return path


def _encode(excerpt: Excerpt, path: Path) -> None:
    gop = round(excerpt.gop_seconds * RATE)
    options = {"preset": "veryfast", "crf": "23", "x264-params": f"keyint={gop}:min-keyint={gop}:scenecut=0:bframes=2"}
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=RATE, options=options)
        stream.width, stream.height, stream.pix_fmt = excerpt.width, excerpt.height, "yuv420p"
        stream.codec_context.time_base = Fraction(1, RATE)
        for number, frame in enumerate(_source_frames(excerpt.frames)):
            picture = av.VideoFrame.from_ndarray(frame.image, format="rgb24").reformat(
                excerpt.width, excerpt.height, "yuv420p"
            )
            picture.pts, picture.time_base = number, Fraction(1, RATE)
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))


def _source_frames(count: int) -> Iterator[Frame]:
    tank = round(WEAPON_SHARE * count)
    yield from _shown(*WITHOUT_WEAPONS, count - tank)
    yield from _shown(*TANK, tank)


def _shown(start: float, end: float, count: int) -> Iterator[Frame]:
    """`count` frames from `start` on, from the beginning again when `end` is reached."""
    given = 0
    while given < count:
        with open_video(DEMO) as video:
            times = [float(pts) for pts in video.probe.pts_seconds if start <= pts < end][: count - given]
            for _, frame in video.frames_at(times):
                yield frame
                given += 1
