"""Label Studio's JSON export (labelstud.io, "Task format"): rectangles in percent of the picture.

A turned rectangle (`rotation`, degrees clockwise about its top left corner) becomes the upright box around it. Tasks
that nobody annotated, or only a model, are left out. A task with several annotations is refused unless one is the
ground truth, and so is one with labels on several pictures. The split is what the folders in the path of a local file
say.
"""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from detector.errors import DataError
from detector.training.imports.annotations import (
    AnnotatedPicture,
    SourceBox,
    find_picture,
    first_fault,
    picture_folders,
    read_json,
    turned_corners,
)
from detector.training.imports.splits import split_of_name

SHAPES = ("rectangle", "polygon", "ellipse", "brush", "keypoint", "vector")
UPLOAD_PREFIX = re.compile(r"^[0-9a-f]{8}-")


class _Result(BaseModel):
    model_config = ConfigDict(extra="allow")
    id: int | str | None = None
    type: str
    to_name: str | None = None
    value: dict[str, Any] = Field(default_factory=dict)
    original_width: int | None = Field(default=None, gt=0)
    original_height: int | None = Field(default=None, gt=0)
    image_rotation: float | None = None


class _Annotation(BaseModel):
    result: list[_Result]
    was_cancelled: bool = False
    ground_truth: bool = False


class _Task(BaseModel):
    id: int | str
    data: dict[str, Any]
    annotations: list[_Annotation] = Field(default_factory=list)


class _Rectangle(BaseModel):
    x: float
    y: float
    width: float
    height: float
    rotation: float | None = None
    rectanglelabels: list[str] = Field(min_length=1, max_length=1)


def read_label_studio(source: Path, images: Path | None = None) -> list[AnnotatedPicture]:
    """The annotated pictures of a Label Studio export. Raises DataError that names the file and task."""
    content = read_json(source)
    if not isinstance(content, list):
        raise DataError(f"{source} is not a Label Studio export: a list of tasks is expected.")
    folders = picture_folders(source, images)
    found = []
    for number, entry in enumerate(content):
        try:
            task = _Task.model_validate(entry)
        except ValidationError as error:
            where = f"{source}, task {number + 1}"
            if not isinstance(entry, dict) or "data" not in entry:
                raise DataError(f"{where} has no 'data'; export as 'JSON', not 'JSON-MIN'.") from error
            raise DataError(f"{where} is wrong at {first_fault(error)}.") from error
        where = f"{source}, task {task.id}"
        annotation = _the_annotation(task, where)
        if annotation is None:
            continue
        boxes, size = _boxes(annotation, where)
        name = _picture_name(task, where)
        found.append(AnnotatedPicture(_picture(name, folders, where), boxes, size, split_of_name(name)))
    if not found:
        raise DataError(f"{source} holds no annotated task.")
    return found


def _the_annotation(task: _Task, where: str) -> _Annotation | None:
    annotations = [each for each in task.annotations if not each.was_cancelled]
    best = [each for each in annotations if each.ground_truth] or annotations
    if len(best) > 1:
        raise DataError(f"{where} has {len(best)} annotations; mark one of them as ground truth.")
    return best[0] if best else None


def _boxes(annotation: _Annotation, where: str) -> tuple[tuple[SourceBox, ...], tuple[int, int] | None]:
    boxes: list[SourceBox] = []
    size = None
    if len({result.to_name for result in annotation.result if _labels(result)}) > 1:
        raise DataError(f"{where} has labels on several pictures; make a task of each picture.")
    labelled = {result.id for result in annotation.result if result.id and _labels(result)}
    for result in annotation.result:
        labels = _labels(result)
        if not labels:
            if result.type.removesuffix("labels") in SHAPES and result.id not in labelled:
                raise DataError(f"{where}: a {result.type.removesuffix('labels')} has no label; label or delete it.")
            continue
        if result.type != "rectanglelabels":
            fault = f"is of type {result.type}; draw a rectangle with RectangleLabels"
            boxes.extend(SourceBox(str(label), 0, 0, 0, 0, where, fault) for label in labels)
            continue
        try:
            value = _Rectangle.model_validate(result.value)
        except ValidationError as error:
            raise DataError(f"{where}: a rectangle is wrong at '{error.errors()[0]['loc'][0]}'.") from error
        if result.image_rotation:
            raise DataError(f"{where}: the picture was turned while it was labelled; turn the file itself instead.")
        if result.original_width and result.original_height:
            size = (result.original_width, result.original_height)
        x1, y1, x2, y2 = value.x, value.y, value.x + value.width, value.y + value.height
        if value.rotation:
            if size is None:
                raise DataError(f"{where}: a turned rectangle needs original_width and original_height.")
            px, py = size[0] / 100, size[1] / 100
            turned = turned_corners(
                x1 * px, y1 * py, value.width * px, value.height * py, value.rotation, (x1 * px, y1 * py)
            )
            x1, y1, x2, y2 = turned[0] / px, turned[1] / py, turned[2] / px, turned[3] / py
        boxes.append(SourceBox(value.rectanglelabels[0], x1 / 100, y1 / 100, x2 / 100, y2 / 100, where))
    return tuple(boxes), size


def _labels(result: _Result) -> list[Any]:
    labels = next((value for key, value in result.value.items() if key.endswith("labels")), None)
    return labels if isinstance(labels, list) else []


def _picture_name(task: _Task, where: str) -> str:
    address = next((task.data[key] for key in ("image", "img", "image_url") if key in task.data), None)
    if address is None:
        texts = [value for value in task.data.values() if isinstance(value, str)]
        address = texts[0] if len(texts) == 1 else None
    if not isinstance(address, str):
        raise DataError(f"{where} does not name its picture in data.image.")
    parts = urlsplit(address)
    local = parse_qs(parts.query).get("d")
    return local[0] if local else unquote(parts.path)


def _picture(name: str, folders: list[Path], where: str) -> Path:
    path = PurePosixPath(name)
    try:
        return find_picture(name, folders, where)
    except DataError:
        if not UPLOAD_PREFIX.match(path.name):
            raise
        return find_picture(str(path.with_name(UPLOAD_PREFIX.sub("", path.name))), folders, where)
