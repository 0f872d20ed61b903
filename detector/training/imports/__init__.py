"""Takes a user's own annotations over into the layout that `ordnance dataset build` reads."""

from __future__ import annotations

from detector.training.imports.annotations import AnnotatedPicture, SourceBox
from detector.training.imports.class_map import ClassMap, read_class_map
from detector.training.imports.coco import read_coco
from detector.training.imports.cvat import read_cvat
from detector.training.imports.label_studio import read_label_studio
from detector.training.imports.layout import ImportedSet, write_layout
from detector.training.imports.voc import read_voc
from detector.training.imports.yolo import read_yolo

READERS = {
    "coco": read_coco,
    "yolo": read_yolo,
    "voc": read_voc,
    "cvat": read_cvat,
    "labelstudio": read_label_studio,
}
"""Format name to reader: (annotations, folder of pictures or None) -> pictures with boxes in the source's words."""

__all__ = [
    "READERS",
    "AnnotatedPicture",
    "ClassMap",
    "ImportedSet",
    "SourceBox",
    "read_class_map",
    "read_coco",
    "read_cvat",
    "read_label_studio",
    "read_voc",
    "read_yolo",
    "write_layout",
]
