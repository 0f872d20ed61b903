import errno
import re
import shutil
from pathlib import Path
from unicodedata import normalize

import cv2
import numpy as np
import pytest
from PIL import Image

from detector.cli.app import run
from detector.errors import DataError
from detector.training.imports import READERS

from .annotated import HEIGHT, MAKERS, WIDTH, add_label, add_picture, class_map, coco, cvat, imported, labelstudio, yolo
from .conftest import drawn

HALF = (0.25, 0.25, 0.75, 0.75)


@pytest.mark.parametrize("name", MAKERS)
def test_a_box_arrives_where_it_was_drawn(tmp_path, name):
    photograph = imported(tmp_path, name, MAKERS[name](tmp_path / "in"))[0]
    assert [box.class_name for box in photograph.boxes] == ["tank"]
    assert photograph.boxes[0].corners == pytest.approx(HALF, abs=1e-5)
    assert (photograph.licence, photograph.complete_for, photograph.split) == ("ours", "tank", "train")


@pytest.mark.parametrize("name", MAKERS)
def test_a_label_that_the_map_does_not_know_is_named_with_its_file(tmp_path, name):
    source = MAKERS[name](tmp_path / "in", "Zeppelin")
    with pytest.raises(DataError, match=r"in/.*the label 'Zeppelin' is not in the class map"):
        imported(tmp_path, name, source)
    assert not (tmp_path / "out").exists()


def test_all_labels_that_the_map_does_not_know_are_named_at_once(tmp_path):
    shapes = "".join(
        f'<box label="{label}" xtl="60" ytl="45" xbr="180" ybr="135"/>'
        for label in ("Zeppelin", "Boot", "Panzer", "Auto")
    )
    with pytest.raises(DataError, match=r"the label 'Zeppelin' is not in .* Not in it either: 'Auto', 'Boot'\.$"):
        imported(tmp_path, "cvat", cvat(tmp_path / "in", shape=shapes))


@pytest.mark.parametrize("name", MAKERS)
def test_a_dropped_label_leaves_the_picture_without_a_box(tmp_path, name):
    assert imported(tmp_path, name, MAKERS[name](tmp_path / "in", "Baum"))[0].boxes == ()


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("coco", {"box": (200, 45, 120, 90)}),
        ("yolo", {"line": "0 0.9 0.5 0.5 0.5"}),
        ("voc", {"box": (60, 45, 300, 135)}),
        ("cvat", {"shape": '<box label="{}" xtl="60" ytl="45" xbr="250" ybr="135"/>'}),
        ("labelstudio", {"x": 80}),
    ],
)
def test_a_box_off_the_frame_is_named_with_file_and_label(tmp_path, name, wrong):
    source = MAKERS[name](tmp_path / "in", **wrong)
    with pytest.raises(DataError, match=r"in/.*\('Panzer'\): the box .* reaches out of the picture"):
        imported(tmp_path, name, source)


@pytest.mark.parametrize(
    ("name", "wrong", "message"),
    [
        ("coco", {"iscrowd": 1}, "is a crowd region"),
        ("coco", {"box": (60, 45, 0, 90)}, "has no area"),
        ("yolo", {"line": "4 0.5 0.5 0.5 0.5"}, "class 4 has no name"),
        ("yolo", {"line": "0 0.5 0.5"}, "2 numbers are neither a box nor an outline"),
        ("yolo", {"line": "tank 0.5 0.5 0.5 0.5"}, "is not 'class_number cx cy w h'"),
        ("cvat", {"shape": '<mask label="{}" rle="1" />'}, "'Panzer' is a mask"),
        ("cvat", {"shape": '<box label="{}" xtl="a" ytl="45" xbr="250" ybr="135"/>'}, "xtl='a' is not a number"),
        ("labelstudio", {"type_": "brushlabels"}, "is of type brushlabels"),
        ("labelstudio", {"annotations": 2}, "task 5 has 2 annotations"),
    ],
)
def test_what_cannot_be_used_is_named(tmp_path, name, wrong, message):
    source = MAKERS[name](tmp_path / "in", **wrong)
    with pytest.raises(DataError, match=message):
        imported(tmp_path, name, source)


def test_outlines_give_their_extent(tmp_path):
    source = yolo(tmp_path / "in", line="0 0.25 0.5 0.5 0.25 0.75 0.5 0.5 0.75")
    assert imported(tmp_path, "yolo", source)[0].boxes[0].corners == pytest.approx(HALF)


def test_cvat_polygons_give_their_extent(tmp_path):
    source = cvat(tmp_path / "in", shape='<polygon label="{}" points="60,90;120,45;180,90;120,135"/>')
    assert imported(tmp_path, "cvat", source)[0].boxes[0].corners == pytest.approx(HALF)


def test_a_turned_cvat_rectangle_gives_the_upright_box_around_it(tmp_path):
    source = cvat(tmp_path / "in", shape='<box label="{}" xtl="75" ytl="75" xbr="165" ybr="105" rotation="90"/>')
    corners = imported(tmp_path, "cvat", source)[0].boxes[0].corners
    assert corners == pytest.approx((105 / WIDTH, 45 / HEIGHT, 135 / WIDTH, 135 / HEIGHT))


def test_a_turned_label_studio_rectangle_turns_about_its_corner(tmp_path):
    source = labelstudio(tmp_path / "in", x=50, y=50, width=25, height=10, rotation=90)
    corners = imported(tmp_path, "labelstudio", source)[0].boxes[0].corners
    assert corners == pytest.approx((102 / WIDTH, 0.5, 0.5, 150 / HEIGHT), abs=1e-5)


def test_cvat_for_video_is_refused(tmp_path):
    path = tmp_path / "annotations.xml"
    path.write_text("<annotations><track id='0' label='Panzer'/></annotations>")
    with pytest.raises(DataError, match="export the task as 'CVAT for images"):
        READERS["cvat"](path)


def test_an_entity_bomb_is_refused(tmp_path):
    path = tmp_path / "annotations.xml"
    path.write_text('<!DOCTYPE a [<!ENTITY b "bbbb">]><annotations>&b;</annotations>')
    with pytest.raises(DataError, match=r"annotations\.xml are not plain XML"):
        READERS["cvat"](path)


def test_a_picture_that_the_trainer_would_pass_over_is_refused(tmp_path):
    source = coco(tmp_path / "in")
    source.write_text(source.read_text().replace("one.jpg", "one.jfif"))
    (tmp_path / "in" / "images" / "one.jpg").rename(tmp_path / "in" / "images" / "one.jfif")
    with pytest.raises(DataError, match=r"one\.jfif is none of .* only rename it where it is one"):
        imported(tmp_path, "coco", source)


@pytest.mark.parametrize(
    ("format_", "size", "message"),
    [("GIF", (WIDTH, HEIGHT), "in the format GIF, which"), ("PNG", (WIDTH, 9), "is 240x9 pixels; the trainer needs")],
)
def test_a_picture_that_the_trainer_would_pass_over_whatever_its_name_is_refused(tmp_path, format_, size, message):
    source = coco(tmp_path / "in", box=(60, 2, 120, 6))
    source.write_text(source.read_text().replace(f'"height": {HEIGHT}', f'"height": {size[1]}'))
    Image.fromarray(drawn(1, *size)).save(tmp_path / "in" / "images" / "one.jpg", format=format_)
    with pytest.raises(DataError, match=rf"one\.jpg .*{message}"):
        imported(tmp_path, "coco", source)


@pytest.mark.parametrize("written", ["Тягач № 1 й.jpg", "%D0%A2%D1%8F%D0%B3%D0%B0%D1%87%20%E2%84%96%201%20%D0%B9.jpg"])
@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_a_picture_is_found_however_its_name_is_spelt(tmp_path, written, form):
    source = coco(tmp_path / "in")
    source.write_text(source.read_text().replace("one.jpg", written), encoding="utf-8")
    named = (tmp_path / "in" / "images" / "one.jpg").rename(
        tmp_path / "in" / "images" / normalize(form, "Тягач № 1 й.jpg")
    )
    assert [each.path for each in READERS["coco"](source)] == [named]


@pytest.mark.parametrize(("limit", "is_read"), [(WIDTH * HEIGHT - 1, True), (WIDTH * HEIGHT // 3, False)])
def test_a_very_large_picture_is_read_without_a_warning_up_to_the_limit(tmp_path, monkeypatch, limit, is_read):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    source = coco(tmp_path / "in")
    if is_read:
        assert len(imported(tmp_path, "coco", source)) == 1
    else:
        with pytest.raises(DataError, match=r"one\.jpg has more than .* million pixels; make it smaller"):
            imported(tmp_path, "coco", source)


def test_a_picture_outside_the_folder_is_not_read(tmp_path):
    add_picture(tmp_path, "secret.jpg")
    source = coco(tmp_path / "in")
    source.write_text(source.read_text().replace("one.jpg", "../secret.jpg"))
    with pytest.raises(DataError, match=r"names the picture '\.\./secret\.jpg', which is not in"):
        READERS["coco"](source)


def test_annotations_for_another_size_are_refused(tmp_path):
    source = coco(tmp_path / "in")
    cv2.imwrite(str(tmp_path / "in" / "images" / "one.jpg"), drawn(1, 480, 360))
    with pytest.raises(DataError, match=r"one\.jpg is 480x360, but its annotations are for 240x180"):
        imported(tmp_path, "coco", source)


@pytest.mark.parametrize(("displayed", "is_refused"), [(True, False), (False, True)])
def test_boxes_belong_to_the_picture_as_displayed(tmp_path, displayed, is_refused):
    source = coco(tmp_path / "in")
    path = tmp_path / "in" / "images" / "one.jpg"
    stored = (HEIGHT, WIDTH) if displayed else (WIDTH, HEIGHT)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(drawn(1, *stored)).save(path, exif=exif)
    if is_refused:
        with pytest.raises(DataError, match="EXIF orientation"):
            imported(tmp_path, "coco", source)
    else:
        assert imported(tmp_path, "coco", source)[0].boxes[0].corners == pytest.approx(HALF)


def test_splits_of_the_source_are_kept(tmp_path):
    folder = tmp_path / "in"
    for seed, split in enumerate(("train", "valid", "test")):
        add_picture(folder / split / "images", f"{split}.jpg", seed)
        add_label(folder / split / "labels", f"{split}.txt")
    (folder / "data.yaml").write_text("names: {0: Panzer}")
    photographs = imported(tmp_path, "yolo", folder, "auto")
    assert {each.picture.name.split("__")[0]: each.split for each in photographs} == {
        "train": "train",
        "valid": "val",
        "test": "test",
    }


def test_near_copies_get_the_same_split(tmp_path):
    folder = tmp_path / "in"
    for seed in range(8):
        add_picture(folder / "images", f"{seed}.jpg", seed)
        cv2.imwrite(str(folder / "images" / f"{seed}m.jpg"), drawn(seed, WIDTH, HEIGHT)[:, ::-1].copy())
    add_label(folder / "labels", "0.txt")
    (folder / "data.yaml").write_text("names: [Panzer]")
    by_name = {each.picture.name.split("__")[0]: each.split for each in imported(tmp_path, "yolo", folder, "auto")}
    assert all(by_name[f"{seed}"] == by_name[f"{seed}m"] for seed in range(8))
    assert set(by_name.values()) == {"train", "val", "test"}


@pytest.mark.parametrize("others", [4, 30])
def test_a_camera_that_stood_still_leaves_most_pictures_and_scenes_to_train(tmp_path, others):
    folder = tmp_path / "in"
    for seed in range(1, 1 + others):
        add_picture(folder / "images", f"other{seed}.jpg", seed)
    for number in range(40):
        still = np.clip(drawn(0, WIDTH, HEIGHT).astype(int) + number % 5, 0, 255).astype(np.uint8)
        still[-4:, -4:] = 6 * number
        cv2.imwrite(str(folder / "images" / f"still{number}.png"), still)
    add_label(folder / "labels", "other1.txt")
    (folder / "data.yaml").write_text("names: [Panzer]")
    split_of = {each.picture.name.split("__")[0]: each.split for each in imported(tmp_path, "yolo", folder, "auto")}
    assert {split for name, split in split_of.items() if name.startswith("still")} == {"train"}
    assert set(split_of.values()) == {"train", "val", "test"}
    assert sum(split == "train" for name, split in split_of.items() if name.startswith("other")) >= others / 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Panzer: zeppelin\n", r"map\.yaml maps 'Panzer' to 'zeppelin'"),
        ("- tank\n", "must hold lines"),
        ("a: [\n", "is not YAML"),
        ("a: tank\nPanzer: [tank]\n", r"map\.yaml, line 2 is not 'their label: our_class'"),
        ("? [a]\n: tank\n", r"map\.yaml, line 1 is not 'their label: our_class'"),
        ("Panzer: tank\nPanzer: drop\n", r"map\.yaml, line 2 names the label 'Panzer' again"),
        ("Panzer:\n", r"maps 'Panzer' to ''"),
    ],
)
def test_a_wrong_class_map_is_named(tmp_path, text, message):
    with pytest.raises(DataError, match=message) as caught:
        class_map(tmp_path, text)
    assert "\n" not in str(caught.value)


def test_labels_of_a_class_map_are_read_as_they_are_written(tmp_path):
    classes = class_map(tmp_path, "007: tank\n1.50: tank\nYes: tank\n2020-01-01: drop\n~: drop\n").classes
    assert list(classes) == ["007", "1.50", "Yes", "2020-01-01", "~"]


@pytest.mark.parametrize(
    ("out", "message"),
    [("in/instances.json", "is a file; choose another --out"), ("in/instances.json/own", "cannot be written: ")],
)
def test_where_nothing_can_be_written_is_named(tmp_path, out, message):
    with pytest.raises(DataError, match=rf"{out} {message}"):
        imported(tmp_path, "coco", coco(tmp_path / "in"), out=tmp_path / out)


def test_an_import_goes_into_an_empty_working_folder(tmp_path, monkeypatch):
    (tmp_path / "own").mkdir()
    monkeypatch.chdir(tmp_path / "own")
    imported(tmp_path, "coco", coco(tmp_path / "in"), out=Path())
    assert [path.name for path in (tmp_path / "own").iterdir()] == ["photos"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "map.yaml", "own"]


def test_a_folder_beside_the_new_one_is_left_alone(tmp_path):
    (tmp_path / "out.part").mkdir()
    (tmp_path / "out.part" / "precious").write_text("")
    imported(tmp_path, "coco", coco(tmp_path / "in"))
    assert (tmp_path / "out.part" / "precious").exists()


def test_a_full_disk_is_said_of_the_new_folder(tmp_path, monkeypatch):
    def full(source, target):
        raise OSError(errno.ENOSPC, "No space left on device", str(source), None, str(target))

    monkeypatch.setattr("shutil.copyfile", full)
    with pytest.raises(DataError, match=r"/out cannot be written: No space left on device \(one__\w+\.jpg\)"):
        imported(tmp_path, "coco", coco(tmp_path / "in"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "map.yaml"]


def test_an_empty_folder_on_another_disk_is_filled(tmp_path, monkeypatch):
    disk = tmp_path / "out"
    disk.mkdir()
    rename = Path.rename

    def within_a_disk(self, target):
        if self.is_relative_to(disk) is not Path(target).is_relative_to(disk):
            raise OSError(errno.EXDEV, "Invalid cross-device link", str(self), None, str(target))
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", within_a_disk)
    assert len(imported(tmp_path, "coco", coco(tmp_path / "in"))) == 1
    assert [path.name for path in disk.iterdir()] == ["photos"]


def test_import_by_command(tmp_path, capsys):
    source = coco(tmp_path / "in")
    (tmp_path / "map.yaml").write_text("Panzer: tank\n")
    arguments = ["dataset", "import", str(source), "--format", "coco", "--classes", str(tmp_path / "map.yaml")]
    assert run([*arguments, "--out", str(tmp_path / "own"), "--split", "train"]) == 0
    printed = capsys.readouterr().out
    assert "complete for tank" in printed
    assert re.search(r"\(without a box\) +0 +0 +0\n", printed)
    assert "splits: all to train, as --split says" in printed
    assert run([*arguments, "--out", str(tmp_path / "own")]) == 1
    assert "is not empty; choose another --out" in capsys.readouterr().err


def test_an_import_says_how_far_it_is(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("detector.training.near_duplicates.TOLD_EVERY", 2)
    source = yolo(tmp_path / "in")
    for number in range(3):
        add_picture(source / "images", f"{number}.jpg", number)
    (tmp_path / "map.yaml").write_text("Panzer: tank\n")
    arguments = ["dataset", "import", str(source), "--format", "yolo", "--classes", str(tmp_path / "map.yaml")]
    for out in ("own", "again"):
        assert run([*arguments, "--out", str(tmp_path / out)]) == 0
        assert capsys.readouterr().err == "ordnance: looked at 2 of 4 pictures\n"


def test_everything_that_cannot_be_taken_is_named_at_once(tmp_path, capsys):
    source = yolo(tmp_path / "in", line="0 0.5 0.5 0.2 0.2\n0 0.9 0.5 0.4 0.2\n0 0.5 0.5 0 0.2")
    add_label(source / "labels", "two.txt", "0 0.5 0.5 0.2 0.2")
    (source / "images" / "two.jpg").write_bytes(b"no picture")
    (tmp_path / "map.yaml").write_text("Panzer: tank\n")
    arguments = ["dataset", "import", str(source), "--format", "yolo", "--classes", str(tmp_path / "map.yaml")]
    assert run([*arguments, "--out", str(tmp_path / "own")]) == 1
    said = capsys.readouterr().err
    assert re.search(r"one\.txt, line 2 .* reaches out of the picture", said)
    assert re.search(r"one\.txt, line 3 .* has no area", said)
    assert re.search(r"two\.jpg is missing or damaged", said)
    assert "Nor can 2 other boxes or pictures be taken" in said
    assert not (tmp_path / "own").exists()


@pytest.mark.parametrize("name", MAKERS)
def test_an_archive_as_tools_export_it_is_to_be_unpacked(tmp_path, capsys, name):
    MAKERS[name](tmp_path / "in")
    archive = shutil.make_archive(str(tmp_path / "export"), "zip", tmp_path / "in")
    (tmp_path / "map.yaml").write_text("Panzer: tank\n")
    arguments = ["dataset", "import", archive, "--format", name, "--classes", str(tmp_path / "map.yaml")]
    assert run([*arguments, "--out", str(tmp_path / "own")]) == 1
    assert "export.zip is an archive; unpack it" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize("name", ["coco", "labelstudio"])
def test_a_folder_where_a_file_is_wanted_is_named(tmp_path, name):
    MAKERS[name](tmp_path / "in")
    with pytest.raises(DataError, match=r"/in is a folder; give the annotation file in it"):
        READERS[name](tmp_path / "in")


@pytest.mark.parametrize("name", ["coco", "voc", "cvat", "labelstudio"])
def test_pictures_that_the_annotations_do_not_name_are_counted(tmp_path, capsys, name):
    source = MAKERS[name](tmp_path / "in")
    folder = next((tmp_path / "in").rglob("one.jpg")).parent
    add_picture(folder, "nothing.jpg", 2)
    (tmp_path / "map.yaml").write_text("Panzer: drop\n")
    arguments = ["dataset", "import", str(source), "--format", name, "--classes", str(tmp_path / "map.yaml")]
    assert run([*arguments, "--out", str(tmp_path / "own")]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "(pictures) 1 0 0 (without a box) 1 0 0" in said
    assert f"left out: 1 pictures that the annotations do not name, the first {folder / 'nothing.jpg'}" in said


def test_a_handful_of_pictures_goes_to_train(tmp_path):
    assert [each.split for each in imported(tmp_path, "coco", coco(tmp_path / "in"), "auto")] == ["train"]
