"""From coded pictures to what a viewer sees: orientation, square pixels, RGB."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from fractions import Fraction
from typing import cast

import numpy as np
from av import VideoFrame
from av.buffer import Buffer
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter
from numpy.typing import NDArray

from detector.video.limits import MAX_PIXEL_ASPECT

_HD_HEIGHT = 720
_COLORSPACE_UNSPECIFIED = 2
_BT2020, _BT2020_CONSTANT_LUMINANCE, _ICTCP = 9, 10, 14
_CONVERTED_MATRICES = frozenset((0, 1, 2, 4, 5, 6, 7, _BT2020))
"""FFmpeg's numbers (libavutil/pixfmt.h, AVColorSpace) of those from which its scaler converts (libswscale 9.5); of any
other it refuses the picture."""
FULL_RANGE = np.clip(np.rint((np.arange(256) - 16) * (255 / 219)), 0, 255).astype(np.uint8)
"""Luma of 16 to 235 (BT.601-7 item 2.5.3) as 0 to 255."""


@dataclass(frozen=True, slots=True)
class Orientation:
    """One of the eight ways in which a picture can lie: rows and columns swapped first, then flipped."""

    transpose: bool = False
    flip_x: bool = False
    flip_y: bool = False

    @classmethod
    def from_matrix(cls, matrix: bytes) -> Orientation:
        """Read a 3x3 display matrix (nine native int32, as FFmpeg hands it out).

        A coded pixel (x, y) is shown at (a*x + c*y, b*x + d*y). Angles between the quarter turns go to the
        nearest one; a matrix that shows nothing (all zero, or a line) is ignored.
        """
        if len(matrix) < 36:
            return cls()
        a, b, _u, c, d = (int(entry) for entry in np.frombuffer(matrix, dtype=np.int32, count=5))
        if a * d - b * c == 0:
            return cls()
        if abs(a) + abs(d) >= abs(b) + abs(c):
            return cls(transpose=False, flip_x=a < 0, flip_y=d < 0)
        return cls(transpose=True, flip_x=c < 0, flip_y=b < 0)

    @classmethod
    def of_frame(cls, frame: VideoFrame) -> Orientation:
        """The orientation that comes with a decoded frame.

        `VideoFrame.rotation` is not used: it gives a wrong angle for mirrored pictures (PyAV 18.1).
        """
        matrix = frame.side_data.get("DISPLAYMATRIX")
        return cls() if matrix is None else cls.from_matrix(bytes(cast(Buffer, matrix)))

    @property
    def mirrored(self) -> bool:
        """Whether writing in the coded picture is shown the right way only after mirroring it."""
        return self.transpose ^ self.flip_x ^ self.flip_y

    @property
    def rotation_degrees(self) -> int:
        """The clockwise turn, 0, 90, 180 or 270; where `mirrored`, the picture is mirrored left to right first."""
        if self.transpose:
            return 90 if self.flip_x else 270
        return 180 if self.flip_y else 0

    def size(self, width: int, height: int) -> tuple[int, int]:
        """Width and height as shown of a picture that lies in the file as width x height."""
        return (height, width) if self.transpose else (width, height)

    def apply(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Turn an image of shape (height, width, channels) the way it is shown."""
        if self.transpose:
            image = image.swapaxes(0, 1)
        return np.ascontiguousarray(image[:: -1 if self.flip_y else 1, :: -1 if self.flip_x else 1])


def pixel_aspect(declared: Fraction | None) -> Fraction:
    """Width over height of one coded pixel; 1 where the file says nothing or nonsense."""
    if not declared or declared < Fraction(1, MAX_PIXEL_ASPECT) or declared > MAX_PIXEL_ASPECT:
        return Fraction(1)
    return declared


def square_width(width: int, aspect: Fraction) -> int:
    """The width in square pixels of `width` pixels of that aspect, rounded half up; the height stays."""
    return max(1, int(width * aspect + Fraction(1, 2)))


class Display:
    """Turns decoded pictures into RGB images of the clip's one display size. May be used from several threads.

    A stream may change its picture size on the way; every image is scaled to the size that `probe` reports,
    so that boxes of different frames can be compared. High bit depths are reduced to 8, alpha is dropped, HDR
    is not tone-mapped, interlaced pictures keep both fields.
    """

    def __init__(self, width: int, height: int, orientation: Orientation) -> None:
        """`width` and `height` are the display size in pixels, after orientation."""
        self._width, self._height = orientation.size(width, height)
        self._orientation = orientation
        self._reformatter = VideoReformatter()
        self._lock = threading.Lock()

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of what is shown."""
        return self._orientation.size(self._width, self._height)

    @property
    def coded_size(self) -> tuple[int, int]:
        """Width and height, in square pixels, before the picture is turned."""
        return self._width, self._height

    @property
    def is_upright(self) -> bool:
        """Whether pictures are shown as they lie in the file, not turned or mirrored."""
        return self._orientation == Orientation()

    def shows_unchanged(self, picture: VideoFrame) -> bool:
        """Whether the picture is shown as it lies: not turned, not scaled."""
        return self.is_upright and (picture.width, picture.height) == (self._width, self._height)

    def image(self, picture: VideoFrame) -> NDArray[np.uint8]:
        """The picture as uint8 (height, width, 3), RGB, as a viewer sees it."""
        with self._lock:
            rgb = self._reformatter.reformat(
                picture,
                width=self._width,
                height=self._height,
                format="rgb24",
                src_colorspace=None if _says_colorspace(picture) else colorspace_of(picture),
                threads=1,
            )
        image = rgb.to_ndarray().astype(np.uint8, copy=False)
        return self._orientation.apply(FULL_RANGE[image] if _is_grey_of_video(picture) else image)


def _is_grey_of_video(picture: VideoFrame) -> bool:
    """Whether a picture without colours has black at 16 and white at 235, which FFmpeg's scaler does not heed."""
    return picture.format.name.startswith("gray") and int(picture.color_range) == int(ColorRange.MPEG)


def name_converted_matrix(picture: VideoFrame) -> None:
    """Have a picture whose colour matrix cannot be converted from say that it is of the nearest one: that of its
    primaries, BT.2020's where that follows, else none. The colours of YCgCo and ICtCp are then wrong, shapes are not.
    """
    if int(picture.colorspace) in _CONVERTED_MATRICES:
        return
    nearest = int(picture.color_primaries)
    if int(picture.colorspace) in (_BT2020_CONSTANT_LUMINANCE, _ICTCP):
        nearest = _BT2020
    picture.colorspace = nearest if nearest in _CONVERTED_MATRICES else _COLORSPACE_UNSPECIFIED


def colorspace_of(picture: VideoFrame) -> int:
    """FFmpeg's number of the picture's colour matrix; for a file that does not say what players assume: BT.709 for HD,
    BT.601 below."""
    if _says_colorspace(picture):
        return int(picture.colorspace)
    return int(Colorspace.ITU709 if picture.height >= _HD_HEIGHT else Colorspace.ITU601)


def _says_colorspace(picture: VideoFrame) -> bool:
    return picture.format.is_rgb or int(picture.colorspace) != _COLORSPACE_UNSPECIFIED
