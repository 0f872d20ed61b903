from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from .clips import HEIGHT, WIDTH, MakeClip, numbered_picture

MILLISECONDS = Fraction(1, 1000)


@pytest.fixture
def make_clip(tmp_path: Path) -> MakeClip:
    def make(
        name: str = "clip.mp4",
        *,
        pts_ms: Sequence[int] | None = None,
        frames: int = 50,
        gop: int = 25,
        bframes: int = 2,
        x264: str = "",
        codec: str = "libx264",
        size: tuple[int, int] = (WIDTH, HEIGHT),
        sample_aspect: Fraction | None = None,
        container_options: dict[str, str] | None = None,
        picture: Callable[[int], NDArray[np.uint8]] | None = None,
    ) -> Path:
        path = tmp_path / name
        times = list(pts_ms) if pts_ms is not None else [number * 40 for number in range(frames)]
        with av.open(str(path), "w", options=container_options or {}) as container:
            stream = container.add_stream(codec, rate=25)
            stream.width, stream.height = size
            stream.pix_fmt = "yuv420p"
            stream.codec_context.time_base = Fraction(1, 25) if name.endswith(".avi") else MILLISECONDS
            stream.gop_size = gop
            if sample_aspect:
                stream.codec_context.sample_aspect_ratio = sample_aspect
            if codec == "libx264":
                usual = f"keyint={gop}:min-keyint={gop}:scenecut=0:bframes={bframes}:b-adapt=0"
                stream.options = {"preset": "veryfast", "x264-params": f"{usual}:{x264}", "crf": "15"}
            packets = []
            for number, time in enumerate(times):
                image = picture(number) if picture else numbered_picture(number, *size)
                frame = av.VideoFrame.from_ndarray(image, format="rgb24")
                frame.pts = time // 40 if name.endswith(".avi") else time
                frame.time_base = stream.codec_context.time_base
                packets += stream.encode(frame)
            packets += stream.encode()
            for packet in packets:
                container.mux(packet)
        return path

    return make
