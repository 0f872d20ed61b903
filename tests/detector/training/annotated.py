"""Small annotated sets in the formats that are imported, for the tests of imports."""

from __future__ import annotations

import json

import cv2

from detector.training.imports import READERS, read_class_map, write_layout
from detector.training.imports.layout import Terms
from detector.training.photographs import listed_rows, read_photograph

from .conftest import drawn

WIDTH, HEIGHT = 240, 180


def add_picture(folder, name="one.jpg", seed=1):
    folder.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(folder / name), drawn(seed, WIDTH, HEIGHT))
    return folder / name


def add_label(folder, name="one.txt", line="0 0.5 0.5 0.5 0.5"):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(line + "\n")
    return folder / name


def coco(folder, label="Panzer", box=(60, 45, 120, 90), **more):
    add_picture(folder / "images")
    content = {
        "images": [{"id": 1, "file_name": "one.jpg", "width": WIDTH, "height": HEIGHT}],
        "annotations": [{"id": 7, "image_id": 1, "category_id": 3, "bbox": list(box), **more}],
        "categories": [{"id": 3, "name": label}],
    }
    path = folder / "instances.json"
    path.write_text(json.dumps(content))
    return path


def yolo(folder, label="Panzer", line="0 0.5 0.5 0.5 0.5"):
    add_picture(folder / "images")
    add_label(folder / "labels", line=line)
    (folder / "data.yaml").write_text(json.dumps({"names": [label]}))
    return folder


def voc(folder, label="Panzer", box=(60, 45, 180, 135)):
    add_picture(folder / "JPEGImages")
    (folder / "Annotations").mkdir()
    corners = "".join(f"<{k}>{v}</{k}>" for k, v in zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True))
    (folder / "Annotations" / "one.xml").write_text(
        f"<annotation><filename>one.jpg</filename><size><width>{WIDTH}</width><height>{HEIGHT}</height></size>"
        f"<object><name>{label}</name><bndbox>{corners}</bndbox></object></annotation>"
    )
    return folder


def cvat(folder, label="Panzer", shape='<box label="{}" xtl="60" ytl="45" xbr="180" ybr="135"/>'):
    add_picture(folder / "images")
    path = folder / "annotations.xml"
    path.write_text(
        '<?xml version="1.0" encoding="utf-8"?>\n<annotations><version>1.1</version><meta/>'
        f'<image id="0" name="one.jpg" width="{WIDTH}" height="{HEIGHT}">{shape.format(label)}</image></annotations>'
    )
    return path


def labelstudio(folder, label="Panzer", type_="rectanglelabels", annotations=1, **value):
    add_picture(folder / "images")
    rectangle = {"x": 25, "y": 25, "width": 50, "height": 50, "rotation": 0, type_: [label]} | value
    result = {"type": type_, "value": rectangle, "original_width": WIDTH, "original_height": HEIGHT}
    task = {"id": 5, "data": {"image": "/data/upload/1/0a1b2c3d-one.jpg"}}
    task["annotations"] = [{"result": [result]}] * annotations
    unlabelled = {"id": 6, "data": {"image": "/data/upload/1/two.jpg"}, "annotations": []}
    path = folder / "export.json"
    path.write_text(json.dumps([task, unlabelled]))
    return path


MAKERS = {"coco": coco, "yolo": yolo, "voc": voc, "cvat": cvat, "labelstudio": labelstudio}


def class_map(tmp_path, text="Panzer: tank\nBaum: drop\n"):
    path = tmp_path / "map.yaml"
    path.write_text(text)
    return read_class_map(path)


def imported(tmp_path, name, source, split="train", out=None):
    out = out or tmp_path / "out"
    write_layout(READERS[name](source), class_map(tmp_path), out, Terms("own", "ours", "tank"), split=split)
    return [read_photograph(row, out) for row in listed_rows(out)]
