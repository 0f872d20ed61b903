"""What each format may hold besides plain boxes, and where its pictures may lie."""

import json

import pytest

from detector.errors import DataError
from detector.training.imports import READERS

from .annotated import HEIGHT, WIDTH, add_picture, coco, cvat, imported, labelstudio, voc


def changed(source, change):
    content = json.loads(source.read_text())
    change(content)
    source.write_text(json.dumps(content))
    return source


def names(pictures):
    return [each.path.name for each in pictures]


@pytest.mark.parametrize(("entries", "what"), [("images", "image id 1"), ("categories", "category id 3")])
def test_an_id_that_coco_gives_twice_is_named(tmp_path, entries, what):
    source = changed(coco(tmp_path), lambda content: content[entries].append(content[entries][0]))
    with pytest.raises(DataError, match=rf"instances\.json lists 2 times the {what}; give each its own"):
        READERS["coco"](source)


def test_a_coco_annotation_that_is_repeated_counts_once(tmp_path):
    source = changed(
        coco(tmp_path / "in"), lambda content: content["annotations"].append(content["annotations"][0] | {"id": 8})
    )
    assert len(imported(tmp_path, "coco", source)[0].boxes) == 1


def test_coco_without_images_is_refused(tmp_path):
    source = changed(coco(tmp_path), lambda content: content.update(images=[], annotations=[]))
    with pytest.raises(DataError, match=r"instances\.json lists no images"):
        READERS["coco"](source)


@pytest.mark.parametrize("name", ["x" * 300 + ".jpg", "a\0.jpg"])
def test_a_name_that_no_file_can_have_is_a_missing_picture(tmp_path, name):
    source = changed(coco(tmp_path), lambda content: content["images"][0].update(file_name=name))
    with pytest.raises(DataError, match=r"names the picture '.*', which is not in"):
        READERS["coco"](source)


@pytest.mark.parametrize("encoding", ["iso-8859-1", "utf-16"])
def test_xml_is_read_in_the_encoding_that_it_declares(tmp_path, encoding):
    folder = voc(tmp_path / "in")
    path = folder / "Annotations" / "one.xml"
    text = path.read_text().replace("<size>", "<folder>Übung</folder><size>")
    path.write_bytes(f'<?xml version="1.0" encoding="{encoding}"?>{text}'.encode(encoding))
    assert names(READERS["voc"](folder)) == ["one.jpg"]


def test_a_voc_filename_without_its_ending_finds_its_picture(tmp_path):
    folder = voc(tmp_path)
    path = folder / "Annotations" / "one.xml"
    path.write_text(path.read_text().replace("one.jpg", "one"))
    assert names(READERS["voc"](folder)) == ["one.jpg"]


@pytest.mark.parametrize("side", ["nan", "inf"])
def test_a_voc_size_that_is_no_number_is_named(tmp_path, side):
    folder = voc(tmp_path)
    path = folder / "Annotations" / "one.xml"
    path.write_text(path.read_text().replace(f"<width>{WIDTH}<", f"<width>{side}<"))
    with pytest.raises(DataError, match=rf"one\.xml: <size/width>='{side}' is not a finite number"):
        READERS["voc"](folder)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ('<box label="{}" xtl="60" ytl="45" xbr="180" ybr="135" rotation="1,5"/>', "rotation='1,5' is not a number"),
        ('<box label="{}" xtl="60" ytl="45" xbr="180" ybr="135" rotation="inf"/>', "rotation='inf' is not a finite"),
        ('<polygon label="{}" points="1,1;2"/>', "points are not pairs"),
        ('<polygon label="{}" points=""/>', "points='' is not a number"),
    ],
)
def test_a_cvat_shape_that_cannot_be_read_is_named(tmp_path, shape, message):
    with pytest.raises(DataError, match=rf"image 'one\.jpg'.*{message}"):
        READERS["cvat"](cvat(tmp_path, shape=shape))


def test_pictures_of_a_cvat_project_lie_in_folders_of_its_subsets(tmp_path):
    pictures = [add_picture(tmp_path / "images" / subset, "one.jpg", seed) for seed, subset in enumerate("AB")]
    images = "".join(
        f'<image id="0" name="one.jpg" subset="{subset}" width="{WIDTH}" height="{HEIGHT}"/>' for subset in "AB"
    )
    (tmp_path / "annotations.xml").write_text(f"<annotations>{images}</annotations>")
    assert [each.path for each in READERS["cvat"](tmp_path / "annotations.xml")] == pictures


@pytest.mark.parametrize(
    ("name", "make"),
    [
        (
            "cvat",
            lambda folder: cvat(
                folder, shape='<box label="{}" xtl="160" ytl="120" xbr="236" ybr="176" rotation="45"/>'
            ),
        ),
        ("labelstudio", lambda folder: labelstudio(folder, x=80, y=80, width=30, height=30, rotation=10)),
    ],
)
def test_a_turned_rectangle_off_the_frame_is_refused_as_an_upright_one_is(tmp_path, name, make):
    with pytest.raises(DataError, match=r"\('Panzer'\): the box .* reaches out of the picture"):
        imported(tmp_path, name, make(tmp_path / "in"))


@pytest.mark.parametrize("value", [{"rectanglelabels": []}, {"rectanglelabels": None}])
def test_a_label_studio_rectangle_without_a_label_is_named_with_its_task(tmp_path, value):
    source = labelstudio(tmp_path, **value)
    with pytest.raises(DataError, match=r"export\.json, task 5: a rectangle has no label; label or delete it"):
        READERS["labelstudio"](source)


def test_label_studio_labels_apart_from_their_rectangle_are_refused_as_what_they_are(tmp_path):
    def apart(content):
        results = content[0]["annotations"][0]["result"]
        place = {key: value for key, value in results[0]["value"].items() if key != "rectanglelabels"}
        results[:] = [
            {"id": "r", "type": "rectangle", "value": place},
            {"id": "r", "type": "labels", "value": place | {"labels": ["Panzer"]}},
        ]

    with pytest.raises(DataError, match="is of type labels; draw a rectangle with RectangleLabels"):
        imported(tmp_path, "labelstudio", changed(labelstudio(tmp_path / "in"), apart))


def test_what_label_studio_adds_to_rectangles_is_passed_over(tmp_path):
    def more(content):
        results = content[0]["annotations"][0]["result"]
        results[0] |= {"id": "r", "image_rotation": None}
        results[0]["value"]["rotation"] = None
        results.append({"from_id": "r", "to_id": "r", "type": "relation", "direction": "right"})
        results.append({"id": "c", "type": "choices", "value": {"choices": ["day"]}})
        content.append({"id": 9, "data": {"image": "x.jpg"}, "predictions": [{"result": []}]})

    photographs = imported(tmp_path, "labelstudio", changed(labelstudio(tmp_path / "in"), more))
    assert [len(each.boxes) for each in photographs] == [1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda task: task.pop("id"), r"task 1 is wrong at 'id': Field required"),
        (lambda task: task.pop("data"), r"task 1 has no 'data'; export as 'JSON', not 'JSON-MIN'"),
    ],
)
def test_a_label_studio_task_that_cannot_be_read_is_named(tmp_path, change, message):
    with pytest.raises(DataError, match=message):
        READERS["labelstudio"](changed(labelstudio(tmp_path), lambda content: change(content[0])))


@pytest.mark.parametrize("images", [None, "pics", "pics/..", "elsewhere"])
def test_label_studio_pictures_are_found_by_as_much_of_their_path_as_there_is(tmp_path, images):
    place = tmp_path / (images if images == "elsewhere" else "pics")
    pictures = [add_picture(place / camera, "0001.jpg", seed) for seed, camera in enumerate(("cam1", "cam2"))]

    def both(content):
        content[1] = content[0] | {"id": 6}
        for task, camera in zip(content, ("cam1", "cam2"), strict=True):
            task["data"] = {"image": f"/data/local-files/?d=pics/{camera}/0001.jpg"}

    source = changed(labelstudio(tmp_path), both)
    found = READERS["labelstudio"](source, tmp_path / images if images else None)
    assert [each.path.resolve() for each in found] == pictures
