"""Corrections to other people's labels: YAML files that a build applies and reports, never silently.

An entry names its picture by SHA-256 and says what was wrong, who saw it and what is right. One that finds no picture,
or not the box it speaks of, is an error: the labels have changed, and somebody must look again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from detector.errors import DataError
from detector.training.labels import KNOWN_CLASSES, LabelledBox, checked_box
from detector.training.photographs import Photograph
from detector.training.yaml_text import not_yaml

COMMITTED = Path(__file__).parents[2] / "datasets" / "corrections" / "photos.yaml"
"""Corrections of the founding photographs' train and val splits; a build applies them unless told otherwise."""

SAME_BOX_IOU = 0.9
"""An entry's box is the label's if the classes are equal and the boxes overlap at least this much."""

SHA256 = r"^[0-9a-f]{64}$"
Corners = tuple[float, float, float, float]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Entry(_Strict):
    picture: str = Field(pattern=SHA256, description="SHA-256 of the picture")
    file: str = Field(description="its name, for readers")
    reason: str = Field(min_length=8)
    reviewer: str = Field(min_length=1)


class _Box(_Strict):
    class_: str = Field(alias="class")
    corners: Corners = Field(description="x1, y1, x2, y2 as shares of width and height")

    def labelled(self, where: str) -> LabelledBox:
        return checked_box(LabelledBox.from_corners(self.class_, *self.corners), where)


class AddBox(_Entry):
    action: Literal["add_box"]
    box: _Box


class ReplaceBox(_Entry):
    action: Literal["replace_box"]
    was: _Box
    box: _Box


class DropBox(_Entry):
    action: Literal["drop_box"]
    was: _Box


class LeaveOut(_Entry):
    action: Literal["leave_out"]


class Vouch(_Strict):
    """Every box of `complete_for` is known in these pictures: the reviewer looked at each of them."""

    action: Literal["vouch"]
    complete_for: tuple[str, ...] = Field(min_length=1, description="classes, or `all`")
    pictures: dict[str, Annotated[str, Field(pattern=SHA256)]] = Field(min_length=1, description="file name: SHA-256")
    reason: str = Field(min_length=8)
    reviewer: str = Field(min_length=1)


Entry = Annotated[AddBox | ReplaceBox | DropBox | LeaveOut | Vouch, Field(discriminator="action")]


class _File(_Strict):
    splits: tuple[Literal["train", "val", "test"], ...] = Field(description="splits whose labels the file may change")
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class Correction:
    """One entry and where it stands."""

    entry: AddBox | ReplaceBox | DropBox | LeaveOut | Vouch
    splits: tuple[str, ...]
    where: str

    @property
    def pictures(self) -> tuple[str, ...]:
        """SHA-256 of each picture it is about."""
        return tuple(self.entry.pictures.values()) if isinstance(self.entry, Vouch) else (self.entry.picture,)


def read_corrections(path: Path) -> list[Correction]:
    """The entries of a corrections file; raises DataError that names the file and the wrong entry."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"The corrections {path} cannot be read: {error}.") from error
    except yaml.YAMLError as error:
        raise not_yaml(f"The corrections {path} are", error) from error
    try:
        file = _File.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise DataError(f"The corrections {path} are wrong at '{where}': {first['msg']}.") from error
    found = []
    for number, entry in enumerate(file.entries, 1):
        about = f"{len(entry.pictures)} pictures" if isinstance(entry, Vouch) else entry.file
        where = f"{path.name}, entry {number} ({entry.action} of {about})"
        if isinstance(entry, Vouch):
            strange = [name for name in entry.complete_for if name != "all" and name not in KNOWN_CLASSES]
            if strange:
                raise DataError(f"{where}: the class '{strange[0]}' is unknown.")
        found.append(Correction(entry, file.splits, where))
    return found


def with_committed_corrections(photographs: Sequence[Photograph]) -> list[Photograph]:
    """Some of the founding photographs, such as a split, with those COMMITTED corrections that are about them."""
    known = {each.sha256 for each in photographs}
    about_them = [each for each in read_corrections(COMMITTED) if known.issuperset(each.pictures)]
    return apply_corrections(photographs, about_them)[0]


def apply_corrections(
    photographs: Sequence[Photograph], corrections: Sequence[Correction]
) -> tuple[list[Photograph], list[Photograph]]:
    """The photographs with their corrected labels, and those that corrections leave out.

    Raises DataError that names an entry without its picture or box, or for a split that its file must not change.
    """
    positions: dict[str, list[int]] = {}
    for number, each in enumerate(photographs):
        positions.setdefault(each.sha256, []).append(number)
    corrected = list(photographs)
    out: set[int] = set()
    for correction in corrections:
        entry, where = correction.entry, correction.where
        for digest in correction.pictures:
            if digest not in positions:
                raise DataError(
                    f"{where}: no picture of the data has the SHA-256 {digest}; add it, or give a file of corrections "
                    "without this entry with --corrections."
                )
        for number in (number for digest in correction.pictures for number in positions[digest]):
            if corrected[number].split not in correction.splits:
                split = corrected[number].split
                raise DataError(f"{where}: the picture is in the {split} split, which the file must not change.")
            if isinstance(entry, LeaveOut):
                out.add(number)
            elif isinstance(entry, Vouch):
                vouched = corrected[number].vouched | set(entry.complete_for)
                corrected[number] = replace(corrected[number], vouched=vouched)
            else:
                corrected[number] = replace(corrected[number], boxes=_boxes_after(corrected[number].boxes, correction))
    kept = [each for number, each in enumerate(corrected) if number not in out]
    return kept, [corrected[number] for number in sorted(out)]


def _boxes_after(boxes: tuple[LabelledBox, ...], correction: Correction) -> tuple[LabelledBox, ...]:
    entry, where = correction.entry, correction.where
    if isinstance(entry, AddBox):
        new = entry.box.labelled(where)
        if any(_is_same(new, box) for box in boxes):
            raise DataError(f"{where}: the labels hold this box by now; remove the entry.")
        return (*boxes, new)
    assert isinstance(entry, ReplaceBox | DropBox)
    was = entry.was.labelled(where)
    position = next((number for number, box in enumerate(boxes) if _is_same(was, box)), None)
    if position is None:
        raise DataError(f"{where}: the labels hold no such {was.class_name} box any more; look again.")
    instead = (entry.box.labelled(where),) if isinstance(entry, ReplaceBox) else ()
    return (*boxes[:position], *instead, *boxes[position + 1 :])


def _is_same(one: LabelledBox, other: LabelledBox) -> bool:
    return one.class_name == other.class_name and one.iou(other) >= SAME_BOX_IOU
