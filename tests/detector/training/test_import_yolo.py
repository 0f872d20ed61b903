"""YOLO folders: which label belongs to which picture, how classes are named, what a line may hold."""

import json

import pytest

from detector.errors import DataError
from detector.training.imports import READERS

from .annotated import add_label, add_picture, yolo


def labels(folder, images=None):
    return [[box.label for box in each.boxes] for each in READERS["yolo"](folder, images)]


def test_a_label_file_without_its_picture_is_named(tmp_path):
    add_label(yolo(tmp_path) / "labels", "two.txt")
    with pytest.raises(DataError, match=r"labels/two\.txt has no picture .*images/two\.jpg"):
        READERS["yolo"](tmp_path)


def test_a_labelled_picture_of_a_type_that_is_not_read_is_named(tmp_path):
    add_label(yolo(tmp_path) / "labels", "two.txt")
    add_picture(tmp_path / "images", "two.tif")
    with pytest.raises(DataError, match=r"images/two\.tif is of a type that is not read"):
        READERS["yolo"](tmp_path)


def test_two_pictures_with_one_label_file_are_refused(tmp_path):
    add_picture(yolo(tmp_path) / "images", "one.png", seed=2)
    with pytest.raises(DataError, match=r"one\.jpg and .*one\.png have one label file, .*labels/one\.txt; rename one"):
        READERS["yolo"](tmp_path)


def test_what_tools_hide_beside_pictures_is_none(tmp_path):
    folder = yolo(tmp_path)
    add_picture(folder / "images" / ".ipynb_checkpoints", "one-checkpoint.jpg")
    (folder / "images" / "._one.jpg").write_bytes(b"\0\5\x16\7")
    (folder / "labels" / "._one.txt").write_bytes(b"\0\5\x16\7")
    assert labels(folder) == [["Panzer"]]


def test_linked_folders_are_read_and_a_link_that_leads_back_ends(tmp_path):
    folder, disk = yolo(tmp_path / "set"), tmp_path / "disk"
    add_picture(disk / "pictures", "two.jpg", seed=2)
    add_label(disk / "boxes", "two.txt")
    (folder / "images" / "more").symlink_to(disk / "pictures")
    (folder / "labels" / "more").symlink_to(disk / "boxes")
    (folder / "images" / "again").symlink_to(folder)
    (folder / "data.yaml").write_text(json.dumps({"names": ["Panzer"], "train": "images"}))
    assert labels(folder) == [["Panzer"], ["Panzer"]]
    assert {each.split for each in READERS["yolo"](folder)} == {"train"}


def test_labels_beside_their_pictures_are_refused(tmp_path):
    folder = yolo(tmp_path)
    (folder / "labels" / "one.txt").rename(folder / "images" / "one.txt")
    with pytest.raises(DataError, match=r"images/one\.txt lies beside its picture; move it to .*labels/one\.txt"):
        READERS["yolo"](folder)


def test_pictures_without_any_label_file_are_refused(tmp_path):
    (yolo(tmp_path) / "labels" / "one.txt").unlink()
    with pytest.raises(DataError, match="add an empty label file"):
        READERS["yolo"](tmp_path)


def test_a_picture_without_a_label_file_among_labelled_ones_has_no_object(tmp_path):
    add_picture(yolo(tmp_path) / "images", "two.jpg")
    assert labels(tmp_path) == [["Panzer"], []]


@pytest.mark.parametrize("images", ["images/a", "images/b"])
def test_a_part_of_the_pictures_wants_its_own_labels_only(tmp_path, images):
    for part in ("a", "b"):
        add_picture(tmp_path / "images" / part, f"{part}.jpg")
        add_label(tmp_path / "labels" / part, f"{part}.txt")
    (tmp_path / "classes.txt").write_text("Panzer")
    assert labels(tmp_path, tmp_path / images) == [["Panzer"]]


def test_a_class_list_in_the_folder_of_labels_is_no_label_file(tmp_path):
    (yolo(tmp_path) / "labels" / "classes.txt").write_text("Panzer\n")
    assert labels(tmp_path) == [["Panzer"]]


def test_a_blank_line_that_shifts_class_numbers_is_refused(tmp_path):
    (yolo(tmp_path) / "classes.txt").write_text("Baum\n\nPanzer\n")
    with pytest.raises(DataError, match=r"classes\.txt, line 2 is blank"):
        READERS["yolo"](tmp_path)


def test_two_lists_that_call_a_class_differently_are_refused(tmp_path):
    (yolo(tmp_path) / "classes.txt").write_text("Baum\nPanzer\n")
    with pytest.raises(DataError, match=r"classes\.txt calls class 0 'Baum', .*data\.yaml calls it 'Panzer'; remove"):
        READERS["yolo"](tmp_path)
    assert len(READERS["yolo"](tmp_path / "data.yaml")) == 1


def test_blank_lines_at_the_end_of_the_classes_are_nothing(tmp_path):
    (yolo(tmp_path) / "classes.txt").write_text("Panzer\n\n\n")
    assert labels(tmp_path) == [["Panzer"]]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ("null", "does not list the class names under 'names'"),
        ("5", "does not list the class names under 'names'"),
        ("[]", "does not list the class names under 'names'"),
        ("{Panzer: 0}", "names a class 'Panzer: 0' under 'names'; write 'number: name'"),
        ("[[Panzer]]", r"names a class '0: \['Panzer'\]'"),
        ("{0: }", "names a class '0: '"),
    ],
)
def test_class_names_that_cannot_be_read_are_named(tmp_path, names, message):
    (yolo(tmp_path) / "data.yaml").write_text(f"names: {names}")
    with pytest.raises(DataError, match=rf"data\.yaml {message}"):
        READERS["yolo"](tmp_path)


@pytest.mark.parametrize("name", ["007", "Yes", "1.50"])
def test_class_names_are_read_as_they_are_written(tmp_path, name):
    (yolo(tmp_path) / "data.yaml").write_text(f"names: [{name}]")
    assert labels(tmp_path) == [[name]]


@pytest.mark.parametrize(
    ("shape", "points"), [("[2, 3]", "0.1 0.1 2 0.9 0.9 2"), ("[2, 2]", "0.1 0.1 0.9 0.9"), ("[1, 3]", "0.1 0.1 2")]
)
def test_of_a_line_with_key_points_the_box_is_read(tmp_path, shape, points):
    folder = yolo(tmp_path, line=f"0 0.5 0.5 0.2 0.2 {points}")
    (folder / "data.yaml").write_text(f"names: [Panzer]\nkpt_shape: {shape}\n")
    box = READERS["yolo"](folder)[0].boxes[0]
    assert (box.x1, box.y1, box.x2, box.y2) == pytest.approx((0.4, 0.4, 0.6, 0.6))


@pytest.mark.parametrize(
    ("shape", "message"), [("[2, 3]", "8 numbers are neither a box nor one with"), ("17", "kpt_shape is not")]
)
def test_key_points_that_do_not_fit_are_named(tmp_path, shape, message):
    folder = yolo(tmp_path, line="0 0.5 0.5 0.2 0.2 0.1 0.1 0.9 0.9")
    (folder / "data.yaml").write_text(f"names: [Panzer]\nkpt_shape: {shape}\n")
    with pytest.raises(DataError, match=message):
        READERS["yolo"](folder)
