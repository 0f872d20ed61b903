"""The splits of a source are kept, whatever way it states them, and what is in none of them is said."""

from pathlib import Path

import pytest

from detector.errors import DataError
from detector.training.imports import READERS, write_layout
from detector.training.imports.layout import Terms

from .annotated import HEIGHT, WIDTH, add_label, add_picture, class_map, coco, voc


def splits(name, source, images=None):
    """Split by stem of the picture."""
    return {each.path.stem: each.split for each in READERS[name](source, images)}


def written(tmp_path, name, source, split="auto"):
    terms = Terms("own", "ours", "tank")
    return write_layout(READERS[name](source), class_map(tmp_path), tmp_path / "out", terms, split=split)


def yolo_set(folder, places, settings=""):
    """Pictures at `places`, paths below `folder` with images/ in them, each with a label."""
    for seed, place in enumerate(places):
        path = folder / place
        add_picture(path.parent, path.name, seed)
        add_label((folder / place.replace("images", "labels")).parent, f"{path.stem}.txt")
    (folder / "data.yaml").write_text(f"names: [Panzer]\n{settings}")
    return folder


YEARS = ("images/train2017/a.jpg", "images/val2017/b.jpg")


@pytest.mark.parametrize(
    "settings",
    [
        "path: .\ntrain: images/train2017\nval: images/val2017\ntest:",
        "path: ../datasets/other\ntrain: [images/train2017]\nval: [images/val2017]",
        "train: /content/set/images/train2017\nval: /content/set/images/val2017",
        "train: ../images/train2017\nval: ../images/val2017\ntest: ../images/test2017",
        "",
    ],
)
def test_folders_with_a_year_are_splits(tmp_path, settings):
    assert splits("yolo", yolo_set(tmp_path, YEARS, settings)) == {"a": "train", "b": "val"}


def test_folders_are_splits_by_what_data_yaml_says_of_them(tmp_path):
    folder = yolo_set(tmp_path, ("images/one/a.jpg", "images/two/b.jpg"), "train: images/two\nval: images/one\n")
    assert splits("yolo", folder) == {"a": "val", "b": "train"}


@pytest.mark.parametrize("start", ["./images/", "images/", "/content/set/images/"])
def test_lists_of_pictures_are_splits_and_test_goes_before_val(tmp_path, start):
    folder = yolo_set(
        tmp_path, [f"images/{name}.jpg" for name in "abc"], "train: train.txt\nval: test.txt\ntest: test.txt\n"
    )
    (folder / "train.txt").write_text(f"{start}a.jpg\n{start}b.jpg\n")
    (folder / "test.txt").write_text(f"{start}c.jpg\n")
    assert splits("yolo", folder) == {"a": "train", "b": "train", "c": "test"}


def test_one_folder_for_train_and_val_is_no_split(tmp_path):
    folder = yolo_set(tmp_path, ["images/a.jpg"], "train: images\nval: images\n")
    assert splits("yolo", folder) == {"a": None}


def test_folders_are_splits_in_capitals_too(tmp_path):
    folder = yolo_set(tmp_path, ("Train/images/a.jpg", "VALID/images/b.jpg", "Test/images/c.jpg"))
    assert splits("yolo", folder) == {"a": "train", "b": "val", "c": "test"}


@pytest.mark.parametrize("source", ["mine", "absolute"])
@pytest.mark.parametrize("images", ["mine/images", "absolute", None])
def test_folders_above_the_source_are_no_splits(tmp_path, monkeypatch, source, images):
    folder = yolo_set(tmp_path / "test" / "mine", ["images/a.jpg"])
    monkeypatch.chdir(folder.parent)
    given = folder if source == "absolute" else Path(source)
    pictures = folder / "images" if images == "absolute" else images and Path(images)
    assert splits("yolo", given, pictures) == {"a": None}


def test_folders_above_pictures_that_lie_elsewhere_are_no_splits(tmp_path):
    folder = yolo_set(tmp_path / "test" / "mine", ["images/a.jpg"])
    (tmp_path / "set").mkdir()
    (folder / "data.yaml").rename(tmp_path / "set" / "data.yaml")
    assert splits("yolo", tmp_path / "set", folder / "images") == {"a": None}


def test_a_picture_outside_the_splits_is_named(tmp_path):
    folder = yolo_set(tmp_path / "in", ("train/images/a.jpg", "test/images/b.jpg", "extra/images/c.jpg"))
    with pytest.raises(DataError, match=r"extra/images/c\.jpg is in none or in several of them \(1 of 3"):
        written(tmp_path, "yolo", folder)
    assert not (tmp_path / "out").exists()
    assert written(tmp_path, "yolo", folder, "val").pictures == {"train": 0, "val": 3, "test": 0}


@pytest.mark.parametrize(
    ("places", "said"),
    [
        (("train/images/a.jpg", "test/images/b.jpg"), "the source's own"),
        (("images/a.jpg",), "all to train, fewer than 5 scenes"),
        ([f"images/{number}.jpg" for number in range(8)], "drawn at random, near-copies together"),
    ],
)
def test_it_is_said_where_the_splits_come_from(tmp_path, places, said):
    assert written(tmp_path, "yolo", yolo_set(tmp_path / "in", places)).splits_by.startswith(said)


@pytest.mark.parametrize("start", ["", "Annotations"])
def test_voc_image_sets_are_splits(tmp_path, start):
    folder = voc(tmp_path)
    text = (folder / "Annotations" / "one.xml").read_text()
    (folder / "Annotations" / "one.xml").unlink()
    (folder / "ImageSets" / "Main").mkdir(parents=True)
    for split, name in (("train", "a"), ("val", "b.c"), ("test", "d.jpg")):
        stem = name.removesuffix(".jpg")
        add_picture(folder / "JPEGImages", f"{stem}.jpg")
        (folder / "Annotations" / f"{stem}.xml").write_text(text.replace("one.jpg", f"{stem}.jpg"))
        (folder / "ImageSets" / "Main" / f"{split}.txt").write_text(f"{name}\n\n")
    (folder / "ImageSets" / "Main" / "trainval.txt").write_text("a\nb.c\n")
    found = splits("voc", folder / start, folder / "JPEGImages")
    assert found == {"a": "train", "b.c": "val", "d": "test"}


@pytest.mark.parametrize(("lists", "split"), [(["trainval"], "train"), (["trainval", "val"], "val"), ([], None)])
def test_what_voc_lists_for_train_and_val_together_is_train_s_where_it_is_not_parted(tmp_path, lists, split):
    folder = voc(tmp_path)
    (folder / "ImageSets" / "Main").mkdir(parents=True)
    for name in lists:
        (folder / "ImageSets" / "Main" / f"{name}.txt").write_text("one\n")
    assert splits("voc", folder) == {"one": split}


def test_cvat_subsets_are_splits(tmp_path):
    words = {"a": "Train", "b": "Validation", "c": "Test", "d": "batch 1"}
    images = ""
    for stem, word in words.items():
        add_picture(tmp_path / "images" / word, f"{stem}.jpg")
        images += f'<image id="0" name="{stem}.jpg" subset="{word}" width="{WIDTH}" height="{HEIGHT}"/>'
    (tmp_path / "annotations.xml").write_text(f"<annotations>{images}</annotations>")
    assert splits("cvat", tmp_path / "annotations.xml") == {"a": "train", "b": "val", "c": "test", "d": None}


@pytest.mark.parametrize(
    ("name", "split"), [("test/one.jpg", "test"), ("/home/test/one.jpg", None), ("C:\\test\\one.jpg", None)]
)
def test_folders_in_a_picture_s_name_are_splits_unless_they_are_of_another_machine(tmp_path, name, split):
    source = coco(tmp_path)
    source.write_text(source.read_text().replace("one.jpg", name.replace("\\", "\\\\")))
    assert splits("coco", source) == {"one": split}
