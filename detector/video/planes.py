"""Decoded pictures that are made RGB only where somebody looks at their pixels, and straight at the model's size."""

from __future__ import annotations

from functools import lru_cache
from typing import cast

import numpy as np
from av import VideoFrame
from av.buffer import Buffer
from av.video.reformatter import ColorRange
from numpy.typing import NDArray

from detector.video.display import Display, colorspace_of

_FORMATS = ("yuv420p", "yuvj420p")
_LUMA_WEIGHTS = {1: (0.2126, 0.0722), 5: (0.299, 0.114), 6: (0.299, 0.114)}
"""What red and blue weigh in luma, by FFmpeg's number of the matrix (libavutil/pixfmt.h, AVColorSpace): ITU-R BT.709-6
item 3.2, and twice BT.601-7 item 2.5.1, for 625 and for 525 lines."""


class Planes:
    """A picture of 8-bit 4:2:0 planes as the decoder left it, upright and in the clip's display size.

    The decoder's buffers are held, 1.5 bytes a pixel, for as long as this is.
    """

    def __init__(self, picture: VideoFrame, display: Display) -> None:
        """Take `picture`, for which `is_fit` says yes."""
        self._picture = picture
        self._display = display
        self.width, self.height = picture.width, picture.height

    @staticmethod
    def is_fit(picture: VideoFrame, display: Display) -> bool:
        """Whether `picture` can be taken: of a usual format, to be shown as it lies, its sides even."""
        return (
            picture.format.name in _FORMATS
            and display.shows_unchanged(picture)
            and picture.width % 2 == picture.height % 2 == 0
            and colorspace_of(picture) in _LUMA_WEIGHTS
            and all(plane.line_size >= plane.width for plane in picture.planes)
        )

    def image(self) -> NDArray[np.uint8]:
        """The whole picture, RGB uint8 (height, width, 3)."""
        return self._display.image(self._picture)

    def scaled(self, width: int, height: int) -> NDArray[np.uint8]:
        """The picture scaled to these sides with OpenCV's INTER_LINEAR, RGB uint8 (height, width, 3).

        Where no plane is enlarged by it, the planes are scaled and what comes out is made RGB; that costs a third of
        scaling the whole picture's RGB (1080p to 512 px, one thread: 0.4 and 1.1 ms), and differs from it by a grey
        level. Chroma is taken as lying amidst its four pixels, as swscale does for the whole picture.
        """
        import cv2

        if 2 * width > self.width or 2 * height > self.height:
            return np.asarray(cv2.resize(self.image(), (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)
        planes = [
            cv2.resize(
                np.frombuffer(memoryview(cast(Buffer, plane)), np.uint8).reshape(plane.height, plane.line_size)[
                    :, : plane.width
                ],
                (width, height),
                interpolation=cv2.INTER_LINEAR,
            )
            for plane in self._picture.planes
        ]
        is_full = self._picture.format.name == "yuvj420p" or int(self._picture.color_range) == int(ColorRange.JPEG)
        matrix = _to_rgb(colorspace_of(self._picture), is_full)
        return np.asarray(cv2.transform(cv2.merge(planes), matrix), np.uint8)


@lru_cache
def _to_rgb(colorspace: int, is_full_range: bool) -> NDArray[np.float64]:
    """From Y, Cb, Cr in 0..255 to R, G, B in 0..255: (3, 4), the last column is added."""
    red, blue = _LUMA_WEIGHTS[colorspace]
    green = 1 - red - blue
    black, luma, chroma = (0.0, 1.0, 1.0) if is_full_range else (16.0, 255 / 219, 255 / 224)
    from_cb, from_cr = 2 * (1 - blue) * chroma, 2 * (1 - red) * chroma
    factors = np.array(
        [
            [luma, 0.0, from_cr],
            [luma, -from_cb * blue / green, -from_cr * red / green],
            [luma, from_cb, 0.0],
        ]
    )
    return np.column_stack([factors, -factors @ np.array([black, 128.0, 128.0])])
