"""What messengers and reposting do to footage, applied to a still: the boxes on it stay where they are.

An evaluation does the same to every picture; a training does something else to each.
"""

from __future__ import annotations

import io
import random
from collections.abc import Callable
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

H264_CRF = 40
H264_FRAMES = 6
DARK_GAIN, DARK_GAMMA, DARK_NOISE = 0.3, 1.3, 4.0
SMALL_HEIGHT_PX = 240
TRAINED_CRF = (30, 44)
TRAINED_HEIGHT_PX = (200, 400)
TRAINED_GAIN = (0.25, 0.9)
TRAINED_SHARES = {"recompressed": 0.6, "small and recompressed": 0.25, "dark": 0.15}


def recompressed(picture: NDArray[np.uint8], crf: int = H264_CRF) -> NDArray[np.uint8]:
    """The last of H264_FRAMES frames of an H.264 clip (libx264, veryfast, `crf`) in which the picture drifts.

    `picture` is uint8 (h, w, 3) RGB, and so is what comes back. The drift of one pixel a frame makes the coder
    predict, as in footage; the last frame is in place.
    """
    import av

    height, width = picture.shape[:2]
    padded = np.pad(picture, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    clip = io.BytesIO()
    with av.open(clip, "w", format="matroska") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.height, stream.width = padded.shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.codec_context.thread_count = 1
        stream.options = {"preset": "veryfast", "crf": str(crf), "bf": "0"}
        for back in reversed(range(H264_FRAMES)):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(np.roll(padded, back, axis=1)), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    clip.seek(0)
    with av.open(clip, "r") as written:
        *_, last = written.decode(video=0)
    return np.asarray(last.to_ndarray(format="rgb24")[:height, :width], dtype=np.uint8)


def dark(picture: NDArray[np.uint8], gain: float = DARK_GAIN) -> NDArray[np.uint8]:
    """`gain` of the light, gamma DARK_GAMMA and sensor noise of DARK_NOISE grey levels, always the same."""
    light = (picture.astype(np.float32) / 255) ** DARK_GAMMA * gain * 255
    noise = np.random.default_rng(0).normal(0, DARK_NOISE, picture.shape)
    return np.asarray(np.clip(light + noise, 0, 255), dtype=np.uint8)


def small(picture: NDArray[np.uint8], shorter_side: int = SMALL_HEIGHT_PX) -> NDArray[np.uint8]:
    """Down so that the shorter side has that many pixels, and up again to the size that it had."""
    import cv2

    height, width = picture.shape[:2]
    scale = min(1.0, shorter_side / min(height, width))
    less = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(less, (width, height), interpolation=cv2.INTER_LINEAR), dtype=np.uint8)


DAMAGES: MappingProxyType[str, Callable[[NDArray[np.uint8]], NDArray[np.uint8]]] = MappingProxyType(
    {"recompressed": recompressed, "dark": dark, "240p": small}
)
"""By the names that reports use."""


def damaged_at_random(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """One of TRAINED_SHARES, as strongly as the generator of `random` says, which ultralytics seeds in each worker."""
    kind = random.choices(list(TRAINED_SHARES), list(TRAINED_SHARES.values()))[0]
    if kind == "dark":
        return dark(picture, random.uniform(*TRAINED_GAIN))
    if kind == "small and recompressed":
        picture = small(picture, random.randint(*TRAINED_HEIGHT_PX))
    return recompressed(picture, random.randint(*TRAINED_CRF))
