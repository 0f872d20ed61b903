import csv

import pytest
import yaml

from detector.errors import DataError
from detector.training.corrections import COMMITTED, apply_corrections, read_corrections
from detector.training.labels import read_labels
from detector.training.photographs import WEAPONS, listed_rows, read_photograph
from detector.training.predictions import photographs

TANK = {"class": "tank", "corners": [0.3, 0.3, 0.7, 0.7]}
HUMVEE = {"class": "humvee", "corners": [0.1, 0.1, 0.2, 0.3]}


@pytest.fixture
def sha256(folder):
    folder.add("test", "t.jpg", "tank 0.5 0.5 0.4 0.4\n")
    return folder.add("train", "a.jpg", "tank 0.5 0.5 0.4 0.4\nsoldier 0.1 0.1 0.1 0.1\n", "handgun")


def entry(action, sha256, **more):
    return {"action": action, "picture": sha256, "file": "a.jpg", "reason": "seen and wrong", "reviewer": "me"} | more


def corrected(folder, *entries, splits=("train", "val")):
    path = folder.root / "corrections.yaml"
    path.write_text(yaml.safe_dump({"splits": list(splits), "entries": list(entries)}))
    photographs = [read_photograph(row, folder.root) for row in listed_rows(folder.root)]
    return apply_corrections(photographs, read_corrections(path))


def boxes(photographs):
    return [box.class_name for each in photographs if each.picture.name == "a.jpg" for box in each.boxes]


def test_a_box_is_added(folder, sha256):
    kept, _ = corrected(folder, entry("add_box", sha256, box=HUMVEE))
    assert boxes(kept) == ["tank", "soldier", "humvee"]
    assert kept[1].boxes[2].corners == pytest.approx((0.1, 0.1, 0.2, 0.3))


def test_a_box_is_replaced(folder, sha256):
    kept, _ = corrected(folder, entry("replace_box", sha256, was=TANK, box=HUMVEE))
    assert boxes(kept) == ["humvee", "soldier"]


def test_a_box_is_dropped(folder, sha256):
    kept, _ = corrected(folder, entry("drop_box", sha256, was=TANK))
    assert boxes(kept) == ["soldier"]


def test_a_picture_is_left_out(folder, sha256):
    kept, out = corrected(folder, entry("leave_out", sha256))
    assert [each.picture.name for each in kept] == ["t.jpg"]
    assert [each.picture.name for each in out] == ["a.jpg"]


def test_a_reviewer_vouches_for_the_rest_of_a_picture(folder, sha256):
    vouch = {"action": "vouch", "complete_for": ["all"], "pictures": {"a.jpg": sha256}}
    kept, _ = corrected(folder, vouch | {"reason": "seen, none in view", "reviewer": "me"})
    assert kept[1].is_complete_for(("tank", "tow_launcher"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"picture": "0" * 64}, r"entry 1 \(drop_box of a\.jpg\): no picture of the data has the SHA-256 0+; add it"),
        ({"was": HUMVEE}, r"entry 1 \(drop_box of a\.jpg\): the labels hold no such humvee box"),
        ({"was": {"class": "tank", "corners": [0.3, 0.3, 0.7, 0.6]}}, "the labels hold no such tank box"),
        ({"was": {"class": "zeppelin", "corners": [0, 0, 1, 1]}}, "the class 'zeppelin' is unknown"),
        ({"was": {"class": "tank", "corners": [0.5, 0.5, 1.5, 1]}}, "reaches out of the picture"),
        ({"reason": ""}, r"corrections\.yaml are wrong at 'entries\.0\.drop_box\.reason'"),
        ({"reviewer": None}, r"corrections\.yaml are wrong at 'entries\.0\.drop_box\.reviewer'"),
    ],
)
def test_an_entry_that_does_not_apply_is_named(folder, sha256, change, message):
    with pytest.raises(DataError, match=message):
        corrected(folder, entry("drop_box", sha256, was=TANK) | change)


def test_a_box_that_is_there_by_now_is_an_error(folder, sha256):
    with pytest.raises(DataError, match="the labels hold this box by now"):
        corrected(folder, entry("add_box", sha256, box=TANK))


def test_the_test_split_changes_only_by_a_file_that_says_so(folder, sha256):
    digest = next(row["sha256"] for row in folder.rows if row["file"] == "t.jpg")
    change = entry("drop_box", digest, was=TANK)
    with pytest.raises(DataError, match="the picture is in the test split, which the file must not change"):
        corrected(folder, change)
    kept, _ = corrected(folder, change, splits=("test",))
    assert kept[0].boxes == ()


def test_the_committed_corrections_leave_the_test_split_alone():
    assert {split for each in read_corrections(COMMITTED) for split in each.splits} == {"train", "val"}


@pytest.mark.needs_data
def test_the_committed_corrections_apply(ordnance_data):
    with (ordnance_data / "photos" / "sources.csv").open(newline="") as lines:
        splits = {row["sha256"]: row["split"] for row in csv.DictReader(lines)}
    corrections = read_corrections(COMMITTED)
    assert {splits[digest] for each in corrections for digest in each.pictures} <= {"train", "val"}
    wanted = {digest for each in corrections for digest in each.pictures}
    rows = [row for row in listed_rows(ordnance_data) if row["sha256"] in wanted]
    apply_corrections([read_photograph(row, ordnance_data) for row in rows], corrections)


@pytest.mark.needs_data
def test_a_model_is_measured_against_corrected_labels(ordnance_data):
    name = "obulka26-tank-detector__dde39a498c"
    measured = next(each for each in photographs(ordnance_data, "val", WEAPONS) if each.picture.stem == name)
    given = read_labels(ordnance_data / "photos" / "val" / "labels" / f"{name}.txt")
    added = [each.class_name for each in measured.boxes if each not in given]
    assert added == ["machine_gun"], "the gun that the photograph is of was not boxed"
