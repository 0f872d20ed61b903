"""COCO detection JSON (cocodataset.org, "Data format"): `bbox` is [x, y, width, height] in pixels."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from pydantic import BaseModel, Field, ValidationError

from detector.errors import DataError
from detector.training.imports.annotations import (
    AnnotatedPicture,
    SourceBox,
    find_picture,
    picture_folders,
    read_json,
)


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


class _Category(BaseModel):
    id: int | str
    name: str


class _Coco(BaseModel):
    images: list[_Image]
    annotations: list[_Annotation]
    categories: list[_Category]


def read_coco(source: Path, images: Path | None = None) -> list[AnnotatedPicture]:
    """The pictures of a COCO file. Raises DataError that names the file and the wrong entry."""
    try:
        content = _Coco.model_validate(read_json(source))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise DataError(f"{source} is not COCO at '{where}': {first['msg']}.") from error
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
        x, y, width, height = each.bbox
        boxes[each.image_id].append(
            SourceBox(
                names[each.category_id],
                x / image.width,
                y / image.height,
                (x + width) / image.width,
                (y + height) / image.height,
                f"{where} on {image.file_name}",
                "is a crowd region, not one object; box each object" if each.iscrowd else "",
            )
        )
    folders = picture_folders(source, images)
    return [
        AnnotatedPicture(
            find_picture(image.file_name, folders, str(source)), tuple(boxes[image.id]), (image.width, image.height)
        )
        for image in content.images
    ]
