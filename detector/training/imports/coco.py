"""COCO detection JSON (cocodataset.org, "Data format"): `bbox` is [x, y, width, height] in pixels.

A rectangle that was turned in CVAT, whose export gives the box as it was before and `rotation` beside it, becomes the
upright box around it. The split is what the folders in `file_name` say.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field, ValidationError

from detector.errors import DataError
from detector.training.imports.annotations import (
    AnnotatedPicture,
    SourceBox,
    find_picture,
    finite,
    first_fault,
    picture_folders,
    read_json,
    turned_about_centre,
)
from detector.training.imports.splits import split_of_name


class _Image(BaseModel):
    id: int | str
    file_name: str
    width: int = Field(gt=0)
    height: int = Field(gt=0)


class _Annotation(BaseModel):
    id: int | str
    image_id: int | str
    category_id: int | str
    bbox: tuple[float, float, float, float]
    iscrowd: int = 0
    ignore: int | None = None
    segmentation: Any = None
    attributes: Any = None


class _Category(BaseModel):
    id: int | str
    name: str


class _Coco(BaseModel):
    images: list[_Image]
    annotations: list[_Annotation]
    categories: list[_Category]


def read_coco(source: Path, images: Path | None = None) -> list[AnnotatedPicture]:
    """The pictures of a COCO file. Raises DataError that names the file and the wrong entry."""
    document = read_json(source)
    if not isinstance(document, dict):
        raise DataError(f"{source} is not COCO, which is an object with images, annotations and categories.")
    try:
        content = _Coco.model_validate(document)
    except ValidationError as error:
        raise DataError(f"{source} is not COCO at {first_fault(error)}.") from error
    if not content.images:
        raise DataError(f"{source} lists no images.")
    for what, ids in (
        ("image", [image.id for image in content.images]),
        ("category", [category.id for category in content.categories]),
    ):
        for number, times in Counter(ids).items():
            if times > 1:
                raise DataError(f"{source} lists {times} times the {what} id {number}; give each its own.")
    names = {category.id: category.name for category in content.categories}
    known = {image.id: image for image in content.images}
    boxes: dict[int | str, list[SourceBox]] = defaultdict(list)
    for each in content.annotations:
        where = f"{source}, annotation {each.id}"
        if each.image_id not in known:
            raise DataError(f"{where} belongs to image {each.image_id}, which the file does not list.")
        if each.category_id not in names:
            raise DataError(f"{where} has category {each.category_id}, which the file does not list.")
        image = known[each.image_id]
        x1, y1, x2, y2 = _corners(each, where)
        boxes[each.image_id].append(
            SourceBox(
                names[each.category_id],
                x1 / image.width,
                y1 / image.height,
                x2 / image.width,
                y2 / image.height,
                f"{where} on {image.file_name}",
                _fault(each),
            )
        )
    folders = picture_folders(source, images)
    return [
        AnnotatedPicture(
            find_picture(image.file_name, folders, str(source)),
            tuple(boxes[image.id]),
            (image.width, image.height),
            split_of_name(image.file_name),
        )
        for image in content.images
    ]


def _corners(annotation: _Annotation, where: str) -> tuple[float, float, float, float]:
    x, y, width, height = annotation.bbox
    attributes = annotation.attributes if isinstance(annotation.attributes, dict) else {}
    degrees = attributes.get("rotation")
    # Of an outline the box is the extent as it is; what CVAT calls `rotation` there is an attribute of the user's.
    if annotation.segmentation or not isinstance(degrees, int | float) or not degrees:
        return x, y, x + width, y + height
    return turned_about_centre(x, y, x + width, y + height, finite(str(degrees), f"{where}: rotation"))


def _fault(annotation: _Annotation) -> str:
    if annotation.iscrowd:
        return "is a crowd region, not one object; box each object"
    return "is marked to be ignored; delete it, or set its `ignore` to 0" if annotation.ignore else ""
