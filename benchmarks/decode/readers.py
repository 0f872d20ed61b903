"""Ways to get pictures out of a clip. Each factory returns a runner that reads one clip and counts its pictures."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av

from benchmarks.reading import opencv_images, squares
from benchmarks.time.contenders import NotMeasured
from benchmarks.turns import Contender, Runner, Took
from detector.models.backend import available_threads
from detector.models.letterbox import Square
from detector.video import open_video, probe

PROBE, DECODE_ONLY = "ordnance, probe", "PyAV, decoding alone"
PROBES = 20
"""Probes of a clip that are timed as one, for one alone is short."""


def contenders(input_px: int) -> tuple[Contender, ...]:
    """All readers; `input_px` is the model's square, to which ours scales."""
    return (
        Contender(PROBE, probing),
        Contender(
            "ordnance, every frame, model's square", model_squares, {"input_px": input_px, "keyframes_only": False}
        ),
        Contender("ordnance, every frame, full RGB", every_frame),
        Contender("ordnance, a frame a second, model's square", a_frame_a_second, {"input_px": input_px}),
        Contender("ordnance, keyframes, model's square", model_squares, {"input_px": input_px, "keyframes_only": True}),
        Contender(DECODE_ONLY, pyav, {"convert": False}),
        Contender("PyAV, every frame, full RGB", pyav, {"convert": True}),
        Contender("OpenCV, every frame, full BGR", opencv),
        Contender("torchcodec, every frame, full RGB", torchcodec),
        Contender("decord, every frame, full RGB", decord),
    )


def probing() -> Runner:
    def run(clip: Path) -> Took:
        begun = time.perf_counter()
        for _ in range(PROBES):
            facts = probe(clip)
        return Took((time.perf_counter() - begun) / PROBES, {"pictures": len(facts.pts_seconds)})

    return run


def model_squares(input_px: int, keyframes_only: bool) -> Runner:
    return _counting(lambda clip: squares(clip, input_px, keyframes_only=keyframes_only))


def every_frame() -> Runner:
    def read(clip: Path) -> Iterator[Any]:
        with open_video(clip) as video:
            for frame in video.frames():
                yield frame.image

    return _counting(read)


def a_frame_a_second(input_px: int) -> Runner:
    def read(clip: Path) -> Iterator[Any]:
        with open_video(clip) as video:
            for _, frame in video.frames_at([float(n) for n in range(int(video.probe.duration_seconds) + 1)]):
                yield Square.of(frame, input_px)

    return _counting(read)


def pyav(convert: bool) -> Runner:
    def read(clip: Path) -> Iterator[Any]:
        with av.open(str(clip)) as container:
            stream = container.streams.video[0]
            stream.thread_type, stream.codec_context.thread_count = "AUTO", available_threads()
            for frame in container.decode(stream):
                yield frame.to_ndarray(format="rgb24") if convert else frame

    return _counting(read)


def opencv() -> Runner:
    return _counting(opencv_images)


def torchcodec() -> Runner:
    _need("torchcodec")
    from torchcodec.decoders import VideoDecoder

    def read(clip: Path) -> Iterator[Any]:
        decoder = VideoDecoder(str(clip), num_ffmpeg_threads=available_threads(), seek_mode="approximate")
        yield from decoder

    return _counting(read)


def decord() -> Runner:
    _need("decord")
    from decord import VideoReader

    def read(clip: Path) -> Iterator[Any]:
        reader = VideoReader(str(clip), num_threads=available_threads())
        for number in range(len(reader)):
            yield reader[number]

    return _counting(read)


def _counting(read: Callable[[Path], Iterator[Any]]) -> Runner:
    def run(clip: Path) -> Took:
        begun = time.perf_counter()
        pictures = sum(1 for _ in read(clip))
        return Took(time.perf_counter() - begun, {"pictures": pictures})

    return run


def _need(package: str) -> None:
    if importlib.util.find_spec(package) is None:
        raise NotMeasured(f"not installed; pip install {package}")
