"""The values that flow from room to room: a decoded frame, the boxes on it, a detection."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

SUSPECTED_OVERLAY = "suspected_overlay"
"""Flag of an appearance that sits still on something burnt into the picture; not shown by default, never deleted."""


class Unconverted(Protocol):
    """A decoded picture that is not RGB yet; sides in pixels as displayed."""

    width: int
    height: int

    def image(self) -> NDArray[np.uint8]:
        """The whole picture, RGB uint8 (height, width, 3)."""
        ...

    def scaled(self, width: int, height: int) -> NDArray[np.uint8]:
        """RGB uint8 (height, width, 3) of the size asked for, scaled bilinearly without smoothing."""
        ...

    def grey(self, left: int, top: int, right: int, bottom: int) -> NDArray[np.uint8]:
        """How light a part of the picture is, uint8 (bottom - top, right - left), from 0 for black to 255 for white."""
        ...


class Frame:
    """One decoded picture.

    `image` is uint8, shape (height, width, 3), RGB, in display orientation with square pixels; it is made when it is
    first asked for. `pts_seconds` is the presentation time on the clip's timeline (0 is what a player shows as 0:00).
    `is_keyframe` is the decoder's word, not the container's. `unconverted` is what the image is made from, None where
    there was never anything but the image.
    """

    __slots__ = ("_image", "is_keyframe", "pts_seconds", "unconverted")

    def __init__(self, picture: NDArray[np.uint8] | Unconverted, pts_seconds: float, is_keyframe: bool) -> None:
        self._image: NDArray[np.uint8] | None = picture if isinstance(picture, np.ndarray) else None
        self.unconverted: Unconverted | None = None if isinstance(picture, np.ndarray) else picture
        self.pts_seconds = pts_seconds
        self.is_keyframe = is_keyframe

    def __repr__(self) -> str:
        width, height = self.size
        return f"Frame({width}x{height}, pts_seconds={self.pts_seconds:.6f}, is_keyframe={self.is_keyframe})"

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        if self.unconverted is not None:
            return self.unconverted.width, self.unconverted.height
        return self.image.shape[1], self.image.shape[0]

    @property
    def image(self) -> NDArray[np.uint8]:
        if self._image is None:
            assert self.unconverted is not None
            self._image = self.unconverted.image()
        return self._image

    def scaled(self, width: int, height: int) -> NDArray[np.uint8]:
        """The picture as uint8 (height, width, 3) of another size, scaled bilinearly (OpenCV's INTER_LINEAR)."""
        if (width, height) == self.size:
            return self.image
        if self.unconverted is not None:
            return self.unconverted.scaled(width, height)
        import cv2

        return np.asarray(cv2.resize(self.image, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)

    def grey(self, left: int, top: int, right: int, bottom: int) -> NDArray[np.uint8]:
        """How light a part of the picture is, uint8 (bottom - top, right - left): its luma, where the image is not
        needed for it, else what OpenCV makes of the image."""
        if self.unconverted is not None:
            return self.unconverted.grey(left, top, right, bottom)
        import cv2

        part = np.ascontiguousarray(self.image[top:bottom, left:right])
        return np.asarray(cv2.cvtColor(part, cv2.COLOR_RGB2GRAY), np.uint8)

    def without_image(self) -> Frame:
        """The same frame without the memory that an image made on the way takes, if it can be made again."""
        picture = self.unconverted if self.unconverted is not None else self.image
        return Frame(picture, self.pts_seconds, self.is_keyframe)


@dataclass(frozen=True, slots=True, eq=False)
class Boxes:
    """What a model found on one picture; the columns have equal length n, best score first.

    `xyxy` is float32 (n, 4): left, top, right, bottom in pixels of the picture that went in.
    `scores` is float32 (n,) in 0..1. `class_ids` is int64 (n,), positions in the model's class list.
    """

    xyxy: NDArray[np.float32]
    scores: NDArray[np.float32]
    class_ids: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.scores)

    @classmethod
    def together(cls, parts: Sequence[Boxes]) -> Boxes:
        """Those of all parts, of which there is at least one."""
        scores = np.concatenate([each.scores for each in parts])
        order = np.argsort(-scores, kind="stable")
        return cls(
            xyxy=np.concatenate([each.xyxy for each in parts])[order],
            scores=scores[order],
            class_ids=np.concatenate([each.class_ids for each in parts])[order],
        )

    def only(self, rows: NDArray[np.bool_]) -> Boxes:
        """Those of the rows that are true."""
        return Boxes(self.xyxy[rows], self.scores[rows], self.class_ids[rows])


@dataclass(frozen=True, slots=True)
class Detection:
    """One box on one sample. `box` is (x1, y1, x2, y2) in display pixels, `pts_seconds` as in Frame.

    `sharpness` is that of the box's crop, as `detector.appearances.sharpness` measures it; None where it was not
    measured.
    """

    class_name: str
    score: float
    box: tuple[float, float, float, float]
    pts_seconds: float
    sharpness: float | None = None


@dataclass(frozen=True, slots=True)
class Appearance:
    """A tracked interval of one object, from its first to its last detection.

    `confidence` is the appearance's own, 0..1. `best` is the detection on its best frame; `peak` the one
    with the highest score. `detections` are in time order and never empty. `continues` is the id of the earlier
    appearance of the same object, before the picture cut away from the scene and back to it; None where there is
    none. `flags` are short words such as SUSPECTED_OVERLAY.
    """

    id: str
    class_name: str
    confidence: float
    detections: tuple[Detection, ...]
    best: Detection
    flags: tuple[str, ...] = ()
    continues: str | None = None

    @property
    def first_seen_seconds(self) -> float:
        return self.detections[0].pts_seconds

    @property
    def last_seen_seconds(self) -> float:
        return self.detections[-1].pts_seconds

    @property
    def peak(self) -> Detection:
        return max(self.detections, key=lambda detection: detection.score)
