"""What each format may hold besides plain boxes, and where its pictures may lie."""

import json
import re

import pytest

from detector.errors import DataError
from detector.training.imports import READERS

from .annotated import HEIGHT, MAKERS, WIDTH, add_picture, coco, cvat, imported, labelstudio, voc


def changed(source, change):
    content = json.loads(source.read_text())
    change(content)
    source.write_text(json.dumps(content))
    return source


def names(pictures):
    return [each.path.name for each in pictures]


def test_a_list_of_another_tool_is_not_coco(tmp_path):
    with pytest.raises(DataError, match=r"export\.json is not COCO, which is an object with images, annotations and"):
        READERS["coco"](labelstudio(tmp_path))


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


@pytest.mark.parametrize("name", ["coco", "voc", "yolo", "cvat", "labelstudio"])
def test_a_box_that_is_given_again_counts_once(tmp_path, name):
    if name == "coco":
        source = changed(
            coco(tmp_path / "in"), lambda content: content["annotations"].append(content["annotations"][0])
        )
    elif name == "labelstudio":
        source = changed(labelstudio(tmp_path / "in"), repeat_results)
    else:
        source = MAKERS[name](tmp_path / "in")
        file = {
            "voc": tmp_path / "in" / "Annotations" / "one.xml",
            "yolo": tmp_path / "in" / "labels" / "one.txt",
            "cvat": tmp_path / "in" / "annotations.xml",
        }[name]
        file.write_text(re.sub(r"(<object>.*</object>|<box .*/>|0 0\.5 .*\n)", r"\1\1", file.read_text()))
    assert len(READERS[name](source)[0].boxes) == 2
    assert len(imported(tmp_path, name, source)[0].boxes) == 1


def repeat_results(content):
    results = content[0]["annotations"][0]["result"]
    results.append(results[0])


TURNED_BOX = '<box label="{}" xtl="60" ytl="60" xbr="180" ybr="120" rotation="90.00"/>'
TURNED_XML = "<attributes><attribute><name>rotation</name><value>90.0</value></attribute></attributes></object>"


def test_a_rectangle_that_was_turned_in_cvat_is_the_upright_box_around_it_in_its_coco_and_voc_too(tmp_path):
    """CVAT writes the rectangle as it was before; 120 by 60 pixels turned by a quarter stand upright."""
    boxes = [imported(tmp_path, "cvat", cvat(tmp_path / "cvat", shape=TURNED_BOX), out=tmp_path / "1")[0].boxes]
    more = {"attributes": {"occluded": False, "rotation": 90.0}, "segmentation": []}
    source = coco(tmp_path / "coco", box=(60, 60, 120, 60), **more)
    boxes.append(imported(tmp_path, "coco", source, out=tmp_path / "2")[0].boxes)
    folder = voc(tmp_path / "voc", box=(60, 60, 180, 120))
    path = folder / "Annotations" / "one.xml"
    path.write_text(path.read_text().replace("</object>", TURNED_XML))
    boxes.append(imported(tmp_path, "voc", folder, out=tmp_path / "3")[0].boxes)
    for [box] in boxes:
        assert box.corners == pytest.approx((90 / WIDTH, 30 / HEIGHT, 150 / WIDTH, 150 / HEIGHT), abs=1e-5)


def test_what_a_user_calls_rotation_of_an_outline_turns_nothing(tmp_path):
    more = {"segmentation": [[60, 60, 180, 60, 180, 120]], "attributes": {"rotation": 90}}
    [box] = imported(tmp_path, "coco", coco(tmp_path / "in", box=(60, 60, 120, 60), **more))[0].boxes
    assert box.corners == pytest.approx((0.25, 1 / 3, 0.75, 2 / 3), abs=1e-5)


@pytest.mark.parametrize("ignore", [1, True])
def test_a_coco_annotation_to_be_ignored_is_no_object(tmp_path, ignore):
    with pytest.raises(DataError, match=r"annotation 7 on one\.jpg: the 'Panzer' is marked to be ignored; delete it"):
        imported(tmp_path, "coco", coco(tmp_path / "in", ignore=ignore))


@pytest.mark.parametrize("ignore", [0, None, False])
def test_a_coco_annotation_that_is_not_to_be_ignored_is_one(tmp_path, ignore):
    assert len(imported(tmp_path, "coco", coco(tmp_path / "in", ignore=ignore))[0].boxes) == 1


def test_one_picture_under_two_names_is_refused(tmp_path):
    """Of train/one.jpg and val/one.jpg one file is there: it would stand in both, once with another one's labels."""

    def twice(content):
        [image], [box] = content["images"], content["annotations"]
        content["images"] = [image | {"file_name": "train/one.jpg"}, image | {"id": 2, "file_name": "val/one.jpg"}]
        content["annotations"] = [box, box | {"id": 8, "image_id": 2, "bbox": [1, 1, 20, 20]}]

    with pytest.raises(DataError, match=r"one\.jpg is listed twice; keep one\. Names in several folders lead to it"):
        imported(tmp_path, "coco", changed(coco(tmp_path / "in"), twice), split="auto")
    assert not (tmp_path / "out").exists()


def test_a_listed_voc_picture_without_an_xml_file_has_no_object(tmp_path):
    folder = voc(tmp_path / "in")
    add_picture(folder / "JPEGImages" / "cam2", "nothing.jpg", 2)
    (folder / "ImageSets" / "Main").mkdir(parents=True)
    (folder / "ImageSets" / "Main" / "train.txt").write_text("one\ncam2/nothing\n")
    photographs = imported(tmp_path, "voc", folder, split="auto")
    assert sorted((each.picture.name.split("__")[0], len(each.boxes)) for each in photographs) == [
        ("nothing", 0),
        ("one", 1),
    ]
    assert len(READERS["voc"](folder / "Annotations")) == 2


def test_a_listed_voc_picture_that_is_not_there_is_named(tmp_path):
    folder = voc(tmp_path)
    (folder / "ImageSets" / "Main").mkdir(parents=True)
    (folder / "ImageSets" / "Main" / "val.txt").write_text("one\ngone\n")
    with pytest.raises(DataError, match=r"ImageSets/Main names the picture 'gone', which is not in"):
        READERS["voc"](folder)


def test_a_label_studio_task_with_labels_on_two_pictures_is_refused(tmp_path):
    """Its export does not say which picture `to_name` is of: all boxes would land on the first."""

    def second(content):
        results = content[0]["annotations"][0]["result"]
        content[0]["data"]["image2"] = "/data/upload/1/two.jpg"
        results[:] = [results[0] | {"to_name": "image"}, results[0] | {"to_name": "image2"}]

    with pytest.raises(DataError, match="task 5 has labels on several pictures; make a task of each picture"):
        READERS["labelstudio"](changed(labelstudio(tmp_path), second))


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


@pytest.mark.parametrize("filename", ["0001.jpg", "cam2/0001.jpg", "/home/ann/set/cam2/0001.jpg"])
@pytest.mark.parametrize("images", [None, "pictures"])
def test_a_voc_picture_of_a_common_name_is_the_one_in_the_folder_of_its_xml_file(tmp_path, filename, images):
    folder = voc(tmp_path)
    place = folder / (images or "JPEGImages")
    for seed, part in enumerate((".", "cam1", "cam2")):
        add_picture(place / part, "0001.jpg", seed)
    (folder / "Annotations" / "cam2").mkdir()
    path = (folder / "Annotations" / "one.xml").rename(folder / "Annotations" / "cam2" / "0001.xml")
    path.write_text(path.read_text().replace("one.jpg", filename))
    assert [each.path for each in READERS["voc"](folder, images and place)] == [place / "cam2" / "0001.jpg"]


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
