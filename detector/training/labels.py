"""Label files: one line a box, `class_name cx cy w h`, centre and size as shares of the picture's width and height."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from detector.errors import DataError
from detector.taxonomy import TAXONOMY

CONTEXT_CLASSES = (
    "soldier",
    "civilian_vehicle",
    "construction_machine",
    "military_truck",
    "military_vehicle_other",
    "missile",
    "handgun",
    "rifle",
    "manpads",
    "sam_launcher",
    "warship",
)
"""What a label file may also hold. No model learns these: too few boxes, or boxed in some pictures only."""

KNOWN_CLASSES = frozenset({*(each.id for each in TAXONOMY), *CONTEXT_CLASSES})

FRAME_TOLERANCE = 0.005
"""How far, as a share of the side, a box may reach out of the frame before it counts as wrong: two pixels of 400."""


@dataclass(frozen=True, slots=True)
class LabelledBox:
    """A box: centre and size in 0..1 of the picture's width and height."""

    class_name: str
    cx: float
    cy: float
    width: float
    height: float

    @classmethod
    def from_corners(cls, class_name: str, x1: float, y1: float, x2: float, y2: float) -> LabelledBox:
        """The box between two corners, all in 0..1."""
        return cls(class_name, (x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1)

    @property
    def corners(self) -> tuple[float, float, float, float]:
        """x1, y1, x2, y2 in 0..1."""
        return (
            self.cx - self.width / 2,
            self.cy - self.height / 2,
            self.cx + self.width / 2,
            self.cy + self.height / 2,
        )

    def iou(self, other: LabelledBox) -> float:
        """Intersection over union with another box of the same picture."""
        ax1, ay1, ax2, ay2 = self.corners
        bx1, by1, bx2, by2 = other.corners
        shared = max(0.0, min(ax2, bx2) - max(ax1, bx1)) * max(0.0, min(ay2, by2) - max(ay1, by1))
        return shared / (self.width * self.height + other.width * other.height - shared)

    def line(self) -> str:
        """The line of a label file, without its end."""
        return f"{self.class_name} {self.cx:.6g} {self.cy:.6g} {self.width:.6g} {self.height:.6g}"


def checked_box(box: LabelledBox, where: str) -> LabelledBox:
    """`box` itself. Raises DataError that begins with `where` if its class is unknown, it is empty or off the frame."""
    if box.class_name not in KNOWN_CLASSES:
        raise DataError(
            f"{where}: the class '{box.class_name}' is unknown; known are {', '.join(sorted(KNOWN_CLASSES))}."
        )
    numbers = (box.cx, box.cy, box.width, box.height)
    if not all(map(math.isfinite, numbers)) or box.width <= 0 or box.height <= 0:
        raise DataError(f"{where}: the box {_shown(numbers)} has no area; remove or correct it.")
    x1, y1, x2, y2 = box.corners
    if min(x1, y1) < -FRAME_TOLERANCE or max(x2, y2) > 1 + FRAME_TOLERANCE:
        raise DataError(f"{where}: the box {_shown(numbers)} reaches out of the picture; correct it.")
    return box


def read_labels(path: Path) -> tuple[LabelledBox, ...]:
    """The boxes of a label file. Raises DataError that names the file and line of what cannot be used."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise DataError(f"The label file {path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise DataError(f"The label file {path} is not text.") from error
    boxes = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        where = f"{path}, line {number}"
        name, *values = line.split()
        try:
            cx, cy, width, height = map(float, values)
        except ValueError as error:
            raise DataError(f"{where}: '{line.strip()}' is not 'class cx cy w h'.") from error
        boxes.append(checked_box(LabelledBox(name, cx, cy, width, height), where))
    return tuple(boxes)


def label_text(boxes: Iterable[LabelledBox]) -> str:
    """The content of a label file."""
    return "".join(f"{box.line()}\n" for box in boxes)


def _shown(numbers: Iterable[float]) -> str:
    return "(" + ", ".join(f"{number:.4g}" for number in numbers) + ")"
