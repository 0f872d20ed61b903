import dataclasses
import json
import os
import shutil
from pathlib import Path

import cv2
import pytest

from detector.errors import DataError
from detector.training import write_set
from detector.training.built_set import read_built, read_dataset
from detector.training.config import TrainingConfig, read_config
from detector.training.data_card import data_card
from detector.training.dataset import build_dataset
from detector.training.dataset_check import check_folder
from detector.training.listing import repeat_factors
from detector.training.photographs import file_sha256

from .conftest import DataFolder, drawn

CONFIGS = Path(__file__).parents[3] / "datasets" / "configs"
CONFIG = TrainingConfig.model_validate(
    {
        "name": "tiny",
        "start": "start/none.pt",
        "classes": ["tow_launcher", "tank"],
        "negatives_complete_for": ["construction_machine"],
        "input_size": 160,
        "stages": [{"name": "only", "sets": ["photos"], "epochs": 1, "input_size": 64}],
    }
)


@pytest.fixture
def data(folder):
    folder.add("train", "a.jpg", "tank 0.5 0.5 0.4 0.4\nsoldier 0.1 0.1 0.1 0.1\n")
    folder.add("train", "b.jpg", "", "construction_machine")
    folder.add("train", "c.jpg", "missile 0.5 0.5 0.2 0.2\n", "missile")
    folder.add("val", "e.jpg", "tank 0.5 0.5 0.2 0.2\n")
    folder.add("test", "d.jpg", "tow_launcher 0.5 0.5 0.2 0.2\n")
    rendered = folder.root / "rendered"
    (rendered / "images").mkdir(parents=True)
    (rendered / "labels").mkdir()
    cv2.imwrite(str(rendered / "images" / "r.jpg"), drawn(77))
    (rendered / "labels" / "r.txt").write_text("tow_launcher 0.5 0.5 0.3 0.3\n")
    return folder.root


def reasons(built):
    return {each.file: (each.kind, each.why) for each in built.left_out}


def test_labels_are_mapped_and_unlearned_classes_dropped(data, tmp_path):
    out = tmp_path / "set"
    build_dataset(CONFIG, data, [], out)
    assert (out / "train" / "labels" / "a.txt").read_text() == "1 0.5 0.5 0.4 0.4\n"
    assert (out / "train" / "labels" / "b.txt").read_text() == ""
    assert (out / "train" / "images" / "a.jpg").read_bytes() == (data / "photos/train/images/a.jpg").read_bytes()


def test_a_picture_labelled_for_something_else_only_is_left_out_and_listed(data, tmp_path):
    built = build_dataset(CONFIG, data, [], tmp_path / "set")
    assert not (tmp_path / "set" / "train" / "images" / "c.jpg").exists()
    assert reasons(built)["c.jpg"] == ("incomplete", "boxed for missile only")


def test_a_list_of_classes_vouches_for_them(folder, data, tmp_path):
    folder.add("train", "f.jpg", "tank 0.5 0.5 0.3 0.3\n", "tank, tow_launcher")
    folder.add("train", "g.jpg", "tank 0.5 0.5 0.3 0.3\n", "tank")
    built = build_dataset(CONFIG, data, [], tmp_path / "set")
    assert "f.jpg" in {each.file for each in built.pictures}
    assert reasons(built)["g.jpg"][0] == "incomplete"


def test_what_looks_like_a_class_but_is_none_is_kept_out_of_training_only(folder, data, tmp_path):
    folder.add("train", "f.jpg", "manpads 0.5 0.5 0.3 0.3\n")
    folder.add("test", "g.jpg", "manpads 0.5 0.5 0.3 0.3\n")
    built = build_dataset(CONFIG, data, [], tmp_path / "set")
    assert reasons(built)["f.jpg"] == ("ambiguous", "shows manpads")
    assert "g.jpg" in {each.file for each in built.pictures}


def test_renders_never_reach_val_or_test(data, tmp_path):
    built = build_dataset(CONFIG, data, [], tmp_path / "set")
    assert {p.split for p in built.pictures if p.set_name == "rendered"} == {"train"}
    assert [p.file for p in built.pictures if p.split == "test"] == ["d.jpg"]


def test_a_training_picture_that_is_a_near_copy_of_a_test_picture_is_left_out(folder, data, tmp_path):
    picture = cv2.imread(str(data / "photos" / "test" / "images" / "d.jpg"))
    height, width = picture.shape[:2]
    copy = cv2.warpAffine(picture, cv2.getRotationMatrix2D((width / 2, height / 2), 9, 1), (width, height))
    folder.add("train", "copy.jpg", "tow_launcher 0.5 0.5 0.2 0.2\n", picture=copy)
    built = build_dataset(CONFIG, data, [], tmp_path / "set")
    kind, why = reasons(built)["copy.jpg"]
    assert kind == "near-copy"
    assert why.startswith("near-copy of d.jpg in test")
    assert "d.jpg" in {each.file for each in built.pictures}


@pytest.mark.parametrize("made", [{"scene": "b.jpg", "objects": ["copy.jpg"]}, {"backdrop": "copy.jpg"}])
def test_what_was_made_of_such_a_copy_is_left_out_with_it(folder, data, tmp_path, made):
    shutil.copytree(data / "rendered", tmp_path / "pasted")
    cv2.imwrite(str(tmp_path / "pasted" / "images" / "fine.jpg"), drawn(78))
    (tmp_path / "pasted" / "labels" / "fine.txt").write_text("tank 0.5 0.5 0.3 0.3\n")
    images = [{"file": "r.jpg", **made}, {"file": "fine.jpg", "scene": "b.jpg", "objects": ["a.jpg"]}]
    (tmp_path / "pasted" / "manifest.json").write_text(json.dumps({"split": "train", "seed": 1, "images": images}))
    picture = cv2.imread(str(data / "photos" / "test" / "images" / "d.jpg"))
    folder.add("train", "copy.jpg", "tow_launcher 0.5 0.5 0.2 0.2\n", picture=cv2.flip(picture, 1))
    built = build_dataset(CONFIG, data, [tmp_path / "pasted"], tmp_path / "set")
    assert reasons(built)["synthetic-pasted-r.jpg"] == ("near-copy", "made of copy.jpg, a near-copy of d.jpg in test")
    assert [each.file for each in built.pictures if each.set_name == "synthetic"] == ["synthetic-pasted-fine.jpg"]


def test_a_cluster_of_the_listing_is_not_split(folder, data, tmp_path):
    folder.add("val", "f.jpg", "tank 0.5 0.5 0.3 0.3\n", cluster="7")
    folder.add("test", "g.jpg", "tank 0.5 0.5 0.3 0.3\n", cluster="7")
    built = build_dataset(CONFIG, data, [], tmp_path / "set")
    assert reasons(built)["f.jpg"] == ("near-copy", "near-copy of g.jpg in test (one cluster in sources.csv)")


def test_further_folders_join_the_photographs(data, tmp_path):
    other = DataFolder(tmp_path / "own")
    other.add("train", "a.jpg", "tank 0.5 0.5 0.1 0.1\n", picture=drawn(501))
    built = build_dataset(CONFIG, data, [], tmp_path / "set", extra=[other.root])
    assert {"a.jpg", "own-a.jpg"} <= {each.file for each in built.pictures if each.set_name == "photos"}


def test_the_hash_says_what_went_in(data, tmp_path):
    build_dataset(CONFIG, data, [], tmp_path / "one")
    build_dataset(CONFIG, data, [], tmp_path / "two")
    assert read_dataset(tmp_path / "one")[1] == read_dataset(tmp_path / "two")[1]
    (data / "rendered" / "labels" / "r.txt").write_text("tow_launcher 0.5 0.5 0.31 0.3\n")
    build_dataset(CONFIG, data, [], tmp_path / "two")
    assert read_dataset(tmp_path / "one")[1] != read_dataset(tmp_path / "two")[1]


def test_a_second_build_leaves_nothing_of_the_first(data, tmp_path):
    out = tmp_path / "set"
    build_dataset(CONFIG, data, [], out)
    shutil.rmtree(data / "rendered")
    built = build_dataset(CONFIG, data, [], out)
    assert built.counts["train"]["tow_launcher"] == 0
    assert sorted(path.name for path in (out / "train" / "images").iterdir()) == ["a.jpg", "b.jpg"]


@pytest.mark.parametrize("fault", ["a damaged render", "renders without a picture", "two pictures of one name"])
def test_a_build_that_fails_leaves_the_earlier_set(folder, data, tmp_path, fault):
    out, renders, extra = tmp_path / "set", tmp_path / "renders", []
    built = build_dataset(CONFIG, data, [], out)
    (renders / "images").mkdir(parents=True)
    (renders / "labels").mkdir()
    if fault == "a damaged render":
        (renders / "images" / "x.jpg").write_bytes(b"broken")
        (renders / "labels" / "x.txt").touch()
        said = r"x\.jpg is missing or damaged"
    elif fault == "renders without a picture":
        said = r"renders holds no images/\*\.jpg"
    else:
        extra = [tmp_path / where / "own" for where in "ab"]
        for number, root in enumerate(extra):
            DataFolder(root).add("train", "same.jpg", picture=drawn(600 + number))
        said = r"same\.jpg has the name of another picture of the train split"
    with pytest.raises(DataError, match=said):
        build_dataset(CONFIG, data, [] if extra else [renders], out, extra=extra)
    assert read_built(out) == built
    assert check_folder(out).problems == ()


def test_two_pictures_that_would_share_a_label_file_are_refused(folder, data, tmp_path):
    folder.add("train", "a.png", "tank 0.5 0.5 0.4 0.4\n")
    with pytest.raises(DataError, match=r"a\.png has the name of another picture of the train split"):
        build_dataset(CONFIG, data, [], tmp_path / "set")


def phone_picture(folder, name):
    """A photograph of the data folder to which a phone has appended data of its own."""
    folder.add("train", name, "tank 0.5 0.5 0.4 0.4\n")
    path = folder.root / "photos" / "train" / "images" / name
    path.write_bytes(path.read_bytes() + b"\0\0SEFT")
    folder.rows[-1]["sha256"] = file_sha256(path)
    folder.write()
    return path


@pytest.mark.needs_torch
@pytest.mark.filterwarnings("ignore")
def test_the_trainer_leaves_a_jpeg_with_bytes_after_its_end_alone(folder, data, tmp_path):
    from detector.training.load_ultralytics import load_ultralytics

    load_ultralytics(tmp_path / "settings")
    from ultralytics.data.utils import verify_image

    source = phone_picture(folder, "phone.jpg")
    before = source.read_bytes()
    build_dataset(CONFIG, data, [], tmp_path / "set")
    file = tmp_path / "set" / "train" / "images" / "phone.jpg"
    _, found, _, said = verify_image(((str(file), 0), ""))
    assert (found, said) == (1, "")
    assert source.read_bytes() == before
    assert (cv2.imread(str(file)) == cv2.imread(str(source))).all()
    assert check_folder(tmp_path / "set").problems == ()


def test_where_no_set_can_be_written_it_is_said_before_the_pictures_are_read(data, tmp_path):
    next((data / "photos").rglob("a.jpg")).write_bytes(b"another picture")
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=r"file/set/dataset\.json\.part cannot be written"):
        build_dataset(CONFIG, data, [], tmp_path / "file" / "set")


def test_pictures_of_somebody_else_are_not_cleared(data, tmp_path):
    mine = tmp_path / "mine" / "train" / "images"
    mine.mkdir(parents=True)
    (mine / "holiday.jpg").write_bytes(b"x")
    with pytest.raises(DataError, match="no build put there"):
        build_dataset(CONFIG, data, [], tmp_path / "mine")
    assert (mine / "holiday.jpg").exists()


def test_a_changed_picture_is_refused(data, tmp_path):
    cv2.imwrite(str(data / "photos" / "train" / "images" / "a.jpg"), drawn(99))
    with pytest.raises(DataError, match=r"a\.jpg is not the picture that sources\.csv lists"):
        build_dataset(CONFIG, data, [], tmp_path / "set")


def test_a_missing_picture_is_named(data, tmp_path):
    (data / "photos" / "val" / "images" / "e.jpg").unlink()
    with pytest.raises(DataError, match=r"e\.jpg is listed but cannot be read"):
        build_dataset(CONFIG, data, [], tmp_path / "set")


def test_a_damaged_picture_is_named(folder, data, tmp_path):
    path = data / "photos" / "train" / "images" / "b.jpg"
    path.write_bytes(path.read_bytes()[:900])
    folder.rows[1]["sha256"] = file_sha256(path)
    folder.write()
    with pytest.raises(DataError, match=r"b\.jpg is missing or damaged"):
        build_dataset(CONFIG, data, [], tmp_path / "set")


@pytest.mark.parametrize(
    ("label", "message"),
    [
        ("tank 0.9 0.5 0.4 0.4\n", r"a\.txt, line 1: the box .* reaches out of the picture"),
        ("tank 0.5 0.5 0 0.4\n", r"a\.txt, line 1: the box .* has no area"),
        ("tank 0.5 nan 0.1 0.4\n", r"a\.txt, line 1: the box .* has no area"),
        ("tank 0.5 0.5 0.1 0.1\nzeppelin 0.5 0.5 0.1 0.1\n", r"a\.txt, line 2: the class 'zeppelin' is unknown"),
        ("tank 0.5 0.5\n", r"a\.txt, line 1: 'tank 0\.5 0\.5' is not"),
    ],
)
def test_a_wrong_label_is_named(data, tmp_path, label, message):
    (data / "photos" / "train" / "labels" / "a.txt").write_text(label)
    with pytest.raises(DataError, match=message):
        build_dataset(CONFIG, data, [], tmp_path / "set")


def test_an_empty_split_is_refused(folder, data, tmp_path):
    folder.rows = [row for row in folder.rows if row["split"] != "val"]
    folder.write()
    with pytest.raises(DataError, match=r"The split 'val' of .* is left without a picture"):
        build_dataset(CONFIG, data, [], tmp_path / "set")


@pytest.mark.parametrize("name", ["t.gif", "t.jfif", "t"])
def test_a_picture_that_the_trainer_would_pass_over_is_refused(folder, data, tmp_path, name):
    folder.add("train", "t.jpg")
    (data / "photos" / "train" / "images" / "t.jpg").rename(data / "photos" / "train" / "images" / name)
    folder.rows[-1]["file"] = name
    folder.write()
    with pytest.raises(DataError, match=rf"images/{name} is none of \.bmp, \.jpeg, \.jpg, \.png, \.webp"):
        build_dataset(CONFIG, data, [], tmp_path / "set")


def test_files_as_windows_writes_them_are_read(folder, data, tmp_path):
    folder.add("train", "t.jpg")
    folder.rows[-1]["sha256"] = folder.rows[-1]["sha256"].upper()
    folder.write()
    listing, label = data / "photos" / "sources.csv", data / "photos" / "train" / "labels" / "t.txt"
    listing.write_bytes(b"\xef\xbb\xbf" + listing.read_bytes())
    label.write_bytes(b"\xef\xbb\xbftank 0.5 0.5 0.4 0.4\r\n")
    built = build_dataset(CONFIG, data, [], tmp_path / "set")
    assert next(each for each in built.pictures if each.file == "t.jpg").classes == ("tank",)
    assert check_folder(data).problems == ()


def test_why_a_split_is_empty_is_said(folder, data, tmp_path):
    for row in folder.rows:
        row["complete_for"] = "tank" if row["split"] == "train" else row["complete_for"]
    folder.write()
    with pytest.raises(DataError, match=r"The split 'train' of .* \(\d+ left out, the first of them as boxed for tank"):
        build_dataset(CONFIG, data, [], tmp_path / "set")


def test_a_full_disk_is_said_and_leaves_no_set(data, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(write_set.os, "link", full)
    monkeypatch.setattr(write_set.shutil, "copyfile", full)
    with pytest.raises(DataError, match=r"a\.jpg cannot be written: No space left on device"):
        build_dataset(CONFIG, data, [], tmp_path / "set")
    with pytest.raises(DataError, match="holds no data set"):
        read_built(tmp_path / "set")


def test_a_folder_without_data_is_refused(tmp_path):
    with pytest.raises(DataError, match="ORDNANCE_DATA"):
        build_dataset(CONFIG, tmp_path, [], tmp_path / "set")


def test_a_listing_without_a_column_is_refused(data, tmp_path):
    (data / "photos" / "sources.csv").write_text("file,split\na.jpg,train\n")
    with pytest.raises(DataError, match="lacks the column sha256, complete_for"):
        build_dataset(CONFIG, data, [], tmp_path / "set")


def test_the_data_sheet_says_what_is_in_the_set(data, tmp_path):
    built = build_dataset(CONFIG, data, [], tmp_path / "set")
    sheet = data_card(built)
    assert sheet == data_card(read_built(tmp_path / "set"))
    assert "| x/y | CC0 | 2 | 1 | 1 |" in sheet
    assert "| incomplete | boxed for missile only | 1 | 0 | 0 |" in sheet
    assert "tow_launcher: 0 training photographs" in sheet


def test_a_set_of_an_earlier_version_is_read(data, tmp_path):
    import json

    built = build_dataset(CONFIG, data, [], tmp_path / "set")
    rows = [dataclasses.asdict(each) for each in built.pictures]
    for row in rows:
        del row["licence"], row["label_sha256"]
    index = {"classes": CONFIG.classes, "sha256": "0" * 64, "counts": built.counts, "pictures": rows}
    (tmp_path / "set" / "dataset.json").write_text(json.dumps(index))
    assert len(read_dataset(tmp_path / "set")[0]) == len(built.pictures)


@pytest.mark.needs_data
def test_the_founding_photographs_give_the_counts_of_their_listing(ordnance_data, tmp_path):
    config = read_config(CONFIGS / "ordnance-n.yaml")
    photographs = tmp_path / "data"
    photographs.mkdir()
    (photographs / "photos").symlink_to(ordnance_data / "photos")
    built = build_dataset(config, photographs, [], tmp_path / "set")
    assert built.counts["test"] == {
        "tow_launcher": 1,
        "tank": 285,
        "rocket_launcher": 7,
        "howitzer": 4,
        "humvee": 3,
        "machine_gun": 74,
        "mlrs": 7,
        "self_propelled_howitzer": 13,
        "apc_ifv": 22,
        "atgm_launcher": 11,
    }
    added_by_corrections = 2
    assert built.counts["train"]["humvee"] == 15 + added_by_corrections
    kinds = [(each.kind, each.split) for each in built.left_out]
    assert kinds.count(("incomplete", "test")) == 103
    assert kinds.count(("incomplete", "val")) == 80
    assert 25 <= sum(kind == "near-copy" for kind, _ in kinds) <= 40
    assert not any(kind == "near-copy" and split == "test" for kind, split in kinds)


def test_rare_classes_are_repeated_up_to_the_limit(data, tmp_path):
    pictures = build_dataset(CONFIG, data, [], tmp_path / "set").pictures
    common = [p for p in pictures if p.file == "a.jpg"] * 99
    rare = [p for p in pictures if p.file == "d.jpg"]
    factors = repeat_factors([*common, *rare], threshold=0.16, limit=3)
    assert factors == [1] * 99 + [3]
    assert repeat_factors([*common, *rare], threshold=0.16, limit=9)[-1] == 4


def test_the_committed_settings_say_how_to_make_what_their_stages_learn_from():
    config = read_config(CONFIGS / "ordnance-n.yaml")
    assert "tow_launcher" in config.classes
    assert any("synthetic" in stage.sets for stage in config.stages)
    assert config.synthetic


def test_a_wrong_setting_is_named(tmp_path):
    path = tmp_path / "wrong.yaml"
    path.write_text("name: x\nstart: y\nclasses: [tank]\ninput_size: 100\nstages: []\n")
    with pytest.raises(DataError, match="input_size"):
        read_config(path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name: x\nstart: y\nclases: [tank]\n", "are wrong at 'clases': there is no such setting; correct its name."),
        ("name: [x\n", "are not YAML: while parsing a flow sequence in"),
    ],
)
def test_misspelt_settings_are_said_in_a_line(tmp_path, text, said):
    path = tmp_path / "wrong.yaml"
    path.write_text(text)
    with pytest.raises(DataError) as caught:
        read_config(path)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("made", "words"),
    [({"held_out": True}, "holds held-out scenes"), ({"split": "test"}, "composites of the split 'test'")],
)
def test_what_is_there_to_measure_on_is_not_learned_from(data, tmp_path, made, words):
    (data / "rendered" / "manifest.json").write_text(json.dumps(made))
    with pytest.raises(DataError, match=words):
        build_dataset(CONFIG, data, [], tmp_path / "set")


def test_scenes_of_another_program_may_have_a_manifest_of_another_form(data, tmp_path):
    for images in (["r.jpg"], {"r.jpg": {}}, [{"id": 1, "file_name": "r.jpg"}]):
        (data / "rendered" / "manifest.json").write_text(json.dumps({"images": images}))
        built = build_dataset(CONFIG, data, [], tmp_path / "set")
        assert "rendered-rendered-r.jpg" in {each.file for each in built.pictures}


def test_the_card_tells_composites_from_renders(data, tmp_path):
    pasted = tmp_path / "pasted"
    shutil.copytree(data / "rendered", pasted)
    cv2.imwrite(str(pasted / "images" / "r.jpg"), drawn(78))
    (pasted / "manifest.json").write_text(json.dumps({"split": "train", "seed": 1}))
    card = data_card(build_dataset(CONFIG, data, [pasted], tmp_path / "set"))
    assert "4 photographs, 1 rendered, 1 composites" in card
    assert "| synthetic | pasted | that of its photographs | 1 |" in card
    assert "| rendered | rendered | rendered | 1 |" in card


def test_settings_that_are_not_text_are_said(tmp_path):
    path = tmp_path / "bytes.yaml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(DataError, match=r"bytes\.yaml are not text in UTF-8"):
        read_config(path)
