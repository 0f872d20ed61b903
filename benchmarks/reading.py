"""Reading clips as several suites do: by our reader, and by hand as the tutorials do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from detector.models.letterbox import PADDING_GREY, Square
from detector.video import open_video

Image = NDArray[np.uint8]


def squares(clip: Path, input_px: int, *, keyframes_only: bool = False) -> Iterator[Square]:
    """Every frame in the model's square of `input_px` pixels, as a scan reads it."""
    with open_video(clip) as video:
        for frame in video.frames(keyframes_only=keyframes_only):
            yield Square.of(frame, input_px)


def opencv_images(clip: Path) -> Iterator[Image]:
    """Every frame that OpenCV reads, uint8 (height, width, 3) BGR."""
    import cv2

    capture = cv2.VideoCapture(str(clip))
    try:
        while True:
            has_frame, image = capture.read()
            if not has_frame:
                return
            yield image
    finally:
        capture.release()


def letterboxed_by_hand(image: Image, size: int) -> tuple[Image, float, int, int]:
    """The picture in the middle of a grey square of `size` pixels by OpenCV's resize, its scale, left and top."""
    import cv2

    height, width = image.shape[:2]
    scale = min(size / width, size / height)
    scaled = cv2.resize(image, (round(width * scale), round(height * scale)))
    top, left = (size - scaled.shape[0]) // 2, (size - scaled.shape[1]) // 2
    square = np.full((size, size, 3), PADDING_GREY, np.uint8)
    square[top : top + scaled.shape[0], left : left + scaled.shape[1]] = scaled
    return square, scale, left, top
