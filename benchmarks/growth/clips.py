"""Clips of any length and size for little work: a few seconds are encoded, and their packets muxed again and again."""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

RATE = 25
GOP_FRAMES = 50
BASE_FRAMES = 2 * GOP_FRAMES
"""Frames that are encoded, 4 s; a longer clip repeats them."""
SLIDE_PX = 4
"""How far the picture moves from frame to frame, as a share of 640 px of width."""


def repeated_clip(path: Path, *, width: int, height: int, seconds: float, base_frames: int = BASE_FRAMES) -> Path:
    """An H.264 clip at `path` in which a texture slides sideways, with a keyframe every 2 s; `seconds` is rounded up
    to whole repetitions. Every repetition holds the same packets at later times.
    """
    base = path.with_suffix(".base.mp4")
    _encode(base, width, height, base_frames)
    repeats = math.ceil(seconds * RATE / base_frames)
    with av.open(str(base)) as source, av.open(str(path), "w") as out:
        stream = source.streams.video[0]
        copied = out.add_stream_from_template(stream)
        if stream.time_base is None:
            raise RuntimeError("the muxer gave the encoded stream no time base")
        length = round(Fraction(base_frames, RATE) / stream.time_base)
        for repeat in range(repeats):
            source.seek(0)
            for packet in source.demux(stream):
                if packet.pts is None or packet.dts is None:
                    continue
                packet.pts += repeat * length
                packet.dts += repeat * length
                packet.stream = copied
                out.mux(packet)
    base.unlink()
    return path


def _encode(path: Path, width: int, height: int, frames: int) -> None:
    step = max(1, round(SLIDE_PX * width / 640))
    wide = _texture(width + frames * step, height)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=RATE, options={"preset": "ultrafast", "g": str(GOP_FRAMES)})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.thread_count = 1
        stream.codec_context.time_base = Fraction(1, RATE)
        for number in range(frames):
            grey = np.ascontiguousarray(wide[:, number * step : number * step + width])
            frame = av.VideoFrame.from_ndarray(grey, format="gray")
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _texture(width: int, height: int) -> np.ndarray:
    """Soft blobs of several sizes, uint8 (height, width)."""
    import cv2

    chance = np.random.default_rng(3)
    total = np.zeros((height, width), np.float32)
    for cells in (6, 24, 80):
        coarse = chance.random((cells, max(2, cells * width // height)), dtype=np.float32)
        total += cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC) / cells**0.5
    return cv2.normalize(total, None, 20, 235, cv2.NORM_MINMAX).astype(np.uint8)
