"""Fits pictures of any size into the network's square input, and boxes found there back onto the picture.

The geometry is that of ultralytics' `LetterBox` (ultralytics 8.4, data/augment.py: auto=False, scaleup=True,
center=True, padding 114, bilinear), because the network was trained behind it. What the network is given in the end is
the square without most of its padding (see `trimmed`): of a 16:9 picture that is two thirds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from detector.frame import Frame

PADDING_GREY = 114
STRIDE = 32
"""The network takes sides that are multiples of this, px: that of its coarsest feature grid."""
MARGIN_PX = STRIDE
"""Padding that stays beside the picture, where the square has some. Without it, as ultralytics predicts (auto=True),
ordnance-n had AP50 0.877 on 38 rendered launchers, with it 0.920, with all of it 0.924. Half of it, which would save a
tenth of the network's work, is no middle: 0.803 on 31 launchers of other scenes, with it 0.840, without 0.811."""
TRIMMED_SHARES = (9 / 16, 5 / 8, 3 / 4, 1)
"""Shorter sides of the pictures that a trimmed square is made for. Few, as backends prepare for each shape; most video
is about 16:9 or 4:3."""


@dataclass(frozen=True, slots=True)
class Window:
    """A part of the square: its corner and its sides, px."""

    left: int
    top: int
    width: int
    height: int


def trimmed_sides(size: int) -> tuple[int, ...]:
    """The sides that a trimmed square of `size` pixels may have, ascending; the last is `size`."""
    pictures = (math.ceil(size * share / STRIDE) * STRIDE for share in TRIMMED_SHARES)
    return tuple(min(size, side + 2 * MARGIN_PX) for side in pictures)


@dataclass(frozen=True, slots=True)
class Letterbox:
    """How one picture of `width` x `height` pixels lies in the square: scaled, then moved by `left`, `top` px.

    The two scales (square px per picture px) differ only by the rounding of the scaled size to whole pixels.
    """

    width: int
    height: int
    scale_x: float
    scale_y: float
    left: int
    top: int

    @classmethod
    def fit(cls, width: int, height: int, size: int) -> Letterbox:
        """The placement of a picture of `width` x `height` pixels in a square of `size` pixels."""
        scale = min(size / width, size / height)
        scaled_width, scaled_height = max(round(width * scale), 1), max(round(height * scale), 1)
        return cls(
            width=width,
            height=height,
            scale_x=scaled_width / width,
            scale_y=scaled_height / height,
            left=round((size - scaled_width) / 2 - 0.1),
            top=round((size - scaled_height) / 2 - 0.1),
        )

    @property
    def scaled_size(self) -> tuple[int, int]:
        """Width and height of the scaled picture inside the square, px."""
        return round(self.width * self.scale_x), round(self.height * self.scale_y)

    def window(self, size: int) -> Window:
        """The part of the square of `size` pixels that holds the picture, of one of few shapes."""
        width, height = (
            next(side for side in trimmed_sides(size) if side >= min(size, each + 2 * MARGIN_PX))
            for each in self.scaled_size
        )
        left = min(max(0, self.left - (width - self.scaled_size[0]) // 2), size - width)
        top = min(max(0, self.top - (height - self.scaled_size[1]) // 2), size - height)
        return Window(left, top, width, height)

    def within(self, window: Window) -> Letterbox:
        """The same placement, told from the corner of a part of the square."""
        return replace(self, left=self.left - window.left, top=self.top - window.top)

    def to_square(self, xyxy: NDArray[np.float32]) -> NDArray[np.float32]:
        """Boxes (n, 4) in pixels of the picture, as they lie in the square."""
        return xyxy * self._scales() + self._offsets()

    def to_picture(self, xyxy: NDArray[np.float32]) -> NDArray[np.float32]:
        """Boxes (n, 4) in pixels of the square, as they lie on the picture, cut off at its edges."""
        limits = np.array([self.width, self.height, self.width, self.height], np.float32)
        placed: NDArray[np.float32] = np.clip((xyxy - self._offsets()) / self._scales(), np.float32(0), limits)
        return placed

    def _scales(self) -> NDArray[np.float32]:
        return np.array([self.scale_x, self.scale_y, self.scale_x, self.scale_y], np.float32)

    def _offsets(self) -> NDArray[np.float32]:
        return np.array([self.left, self.top, self.left, self.top], np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Square:
    """A picture as the network sees it: `pixels` uint8 (size, size, 3) RGB, and how the picture lies in it."""

    pixels: NDArray[np.uint8]
    placement: Letterbox

    @classmethod
    def of(cls, frame: Frame, size: int) -> Square:
        """The frame letterboxed; no image of its whole size is made where it can do without."""
        placement = Letterbox.fit(*frame.size, size)
        pixels = np.full((size, size, 3), PADDING_GREY, np.uint8)
        square = cls(pixels, placement)
        square.picture[:] = frame.scaled(*placement.scaled_size)
        return square

    @property
    def picture(self) -> NDArray[np.uint8]:
        """The part of `pixels` in which the picture lies."""
        width, height = self.placement.scaled_size
        left, top = self.placement.left, self.placement.top
        return self.pixels[top : top + height, left : left + width]


def letterbox(
    images: Sequence[NDArray[np.uint8] | Square], size: int
) -> tuple[NDArray[np.uint8], tuple[Letterbox, ...]]:
    """Pictures, each uint8 (height, width, 3) RGB or a Square, as one batch uint8 (n, size, size, 3), and their places.

    Raises ValueError for anything that is not such a picture.
    """
    squares = letterboxed(images, size)
    return np.stack([each.pixels for each in squares]), tuple(each.placement for each in squares)


def letterboxed(images: Sequence[NDArray[np.uint8] | Square], size: int) -> list[Square]:
    """As `letterbox`, but each picture by itself; a Square is not copied."""
    return [_fitting(each, size) if isinstance(each, Square) else _square_of(each, size) for each in images]


def _square_of(image: NDArray[np.uint8], size: int) -> Square:
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
        raise ValueError(f"a picture must be uint8 (height, width, 3), not {image.dtype} {image.shape}")
    return Square.of(Frame(image, 0.0, is_keyframe=False), size)


@dataclass(frozen=True, slots=True, eq=False)
class Trimmed:
    """Squares of one shape without most of their padding: `pixels` uint8 (n, height, width, 3).

    `positions` are those of the squares that they come from, `placements` how each lies in its part.
    """

    pixels: NDArray[np.uint8]
    positions: tuple[int, ...]
    placements: tuple[Letterbox, ...]


def trimmed(squares: Sequence[Square]) -> list[Trimmed]:
    """What the network is to see of squares of one size, by shape."""
    windows = [each.placement.window(len(each.pixels)) for each in squares]
    by_shape: dict[tuple[int, int], list[int]] = {}
    for position, window in enumerate(windows):
        by_shape.setdefault((window.height, window.width), []).append(position)
    return [
        Trimmed(
            _together([_part(squares[position].pixels, windows[position]) for position in positions]),
            tuple(positions),
            tuple(squares[position].placement.within(windows[position]) for position in positions),
        )
        for positions in by_shape.values()
    ]


def _part(pixels: NDArray[np.uint8], window: Window) -> NDArray[np.uint8]:
    return pixels[window.top : window.top + window.height, window.left : window.left + window.width]


def _together(parts: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    return parts[0][None] if len(parts) == 1 else np.stack(parts)


def _fitting(square: Square, size: int) -> Square:
    if square.pixels.shape != (size, size, 3):
        raise ValueError(f"a square of {square.pixels.shape} is not one of {size} px")
    return square
