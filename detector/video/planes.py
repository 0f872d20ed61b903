"""Decoded pictures that are made RGB only where somebody looks at their pixels, and straight at the model's size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import cast

import numpy as np
from av import VideoFrame
from av.buffer import Buffer
from av.video.plane import VideoPlane
from av.video.reformatter import ColorRange
from numpy.typing import NDArray

from detector.video.display import FULL_RANGE, Display, Orientation, colorspace_of

_FORMATS = ("yuv420p", "yuvj420p")
MATRICES = {1: (0.2126, 0.0722), 5: (0.299, 0.114), 6: (0.299, 0.114)}
"""What red and blue weigh in luma, by FFmpeg's number of the matrix (libavutil/pixfmt.h, AVColorSpace): ITU-R BT.709-6
item 3.2, and twice BT.601-7 item 2.5.1, for 625 and for 525 lines."""


@dataclass(frozen=True, slots=True)
class Colours:
    """What the numbers in the planes mean; `matrix` is FFmpeg's number of it."""

    matrix: int
    is_full_range: bool


class Planes:
    """A picture of 8-bit 4:2:0 planes as the decoder left it, upright and in the clip's display size.

    The decoder's buffers are held, 1.5 bytes a pixel, for as long as this is.
    """

    def __init__(
        self,
        planes: Sequence[NDArray[np.uint8]],
        colours: Colours,
        display: Display,
        *,
        is_interlaced: bool = False,
    ) -> None:
        """`planes` are luma (height, width), Cb and Cr (height / 2, width / 2); each field has its own rows of them."""
        self.planes = tuple(planes)
        self.colours = colours
        self.is_interlaced = is_interlaced
        self.height, self.width = planes[0].shape
        self._display = display
        self._picture: VideoFrame | None = None

    @classmethod
    def of(cls, picture: VideoFrame, display: Display) -> Planes | None:
        """Those of a decoded picture; None unless it is of a usual format, to be shown as it lies, its sides even, as
        are those of its fields."""
        is_fit = (
            picture.format.name in _FORMATS
            and display.shows_unchanged(picture)
            and picture.width % 2 == picture.height % (4 if picture.interlaced_frame else 2) == 0
            and colorspace_of(picture) in MATRICES
            and all(plane.line_size >= plane.width for plane in picture.planes)
        )
        if not is_fit:
            return None
        planes = [_rows(plane)[:, : plane.width] for plane in picture.planes]
        is_full = picture.format.name == "yuvj420p" or int(picture.color_range) == int(ColorRange.JPEG)
        colours = Colours(colorspace_of(picture), is_full)
        made = cls(planes, colours, display, is_interlaced=picture.interlaced_frame)
        made._picture = picture
        return made

    @classmethod
    def of_bytes(cls, content: bytearray, colours: Colours, display: Display, *, is_interlaced: bool = False) -> Planes:
        """Those whose rows follow each other in `content`. Raises ValueError where they are no picture of `display`."""
        width, height = display.coded_size
        half = width // 2 * (height // 2)
        is_even = width % 2 == height % (4 if is_interlaced else 2) == 0
        fits = len(content) == width * height + 2 * half and is_even
        if not fits or not display.is_upright or colours.matrix not in MATRICES:
            raise ValueError(f"{len(content)} bytes are no picture of {width}x{height} in planes")
        luma, *chroma = np.split(np.frombuffer(content, np.uint8), [width * height, width * height + half])
        halves = [plane.reshape(height // 2, width // 2) for plane in chroma]
        return cls([luma.reshape(height, width), *halves], colours, display, is_interlaced=is_interlaced)

    def image(self) -> NDArray[np.uint8]:
        """The whole picture, RGB uint8 (height, width, 3)."""
        if self._picture is None and self.is_interlaced:
            return self._woven()
        if self._picture is None:
            self._picture = self._copied()
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
        small = [cv2.resize(plane, (width, height), interpolation=cv2.INTER_LINEAR) for plane in self.planes]
        matrix = _to_rgb(self.colours)
        return np.asarray(cv2.transform(cv2.merge(small), matrix), np.uint8)

    def grey(self, left: int, top: int, right: int, bottom: int) -> NDArray[np.uint8]:
        """The luma of a part of the picture, uint8 (bottom - top, right - left), 0 for black and 255 for white."""
        part = self.planes[0][top:bottom, left:right]
        if self.colours.is_full_range:
            return part
        import cv2

        return np.asarray(cv2.LUT(part, FULL_RANGE), np.uint8)

    def _woven(self) -> NDArray[np.uint8]:
        """Each field by itself, as swscale does with a picture that says of itself that it is interlaced."""
        image = np.empty((self.height, self.width, 3), np.uint8)
        display = Display(self.width, self.height // 2, Orientation())
        for first in (0, 1):
            image[first::2] = Planes([plane[first::2] for plane in self.planes], self.colours, display).image()
        return image

    def _copied(self) -> VideoFrame:
        """As FFmpeg wants it: its code may read some bytes past the end of a row."""
        picture = VideoFrame(self.width, self.height, "yuv420p")
        picture.colorspace = self.colours.matrix
        picture.color_range = int(ColorRange.JPEG if self.colours.is_full_range else ColorRange.MPEG)
        for into, plane in zip(picture.planes, self.planes, strict=True):
            _rows(into)[:, : into.width] = plane
        return picture


def _rows(plane: VideoPlane) -> NDArray[np.uint8]:
    return np.frombuffer(memoryview(cast(Buffer, plane)), np.uint8).reshape(plane.height, plane.line_size)


@lru_cache
def _to_rgb(colours: Colours) -> NDArray[np.float64]:
    """From Y, Cb, Cr in 0..255 to R, G, B in 0..255: (3, 4), the last column is added."""
    red, blue = MATRICES[colours.matrix]
    green = 1 - red - blue
    black, luma, chroma = (0.0, 1.0, 1.0) if colours.is_full_range else (16.0, 255 / 219, 255 / 224)
    from_cb, from_cr = 2 * (1 - blue) * chroma, 2 * (1 - red) * chroma
    factors = np.array(
        [
            [luma, 0.0, from_cr],
            [luma, -from_cb * blue / green, -from_cr * red / green],
            [luma, from_cb, 0.0],
        ]
    )
    return np.column_stack([factors, -factors @ np.array([black, 128.0, 128.0])])
