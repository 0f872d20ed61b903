from __future__ import annotations

import csv
import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from datasets import composites
from datasets.composites import build_composites, cut_out
from detector.cli.app import app
from detector.errors import DataError
from detector.models import WEIGHTS_FOLDER

OBJECT_COLOUR = (40, 40, 230)
HULL, GUN = (120, 150, 300, 260), (190, 130, 230, 170)
"""A hull and a gun on its roof, left, top, right, bottom in pixels of a 400 x 320 picture."""


def grass(seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, 12, (320, 400, 3))
    return np.clip(np.array([60, 140, 70]) + noise, 0, 255).astype(np.uint8)


def vehicle(seed: int) -> np.ndarray:
    picture = grass(seed)
    x1, y1, x2, y2 = HULL
    corners = np.array([(x1, y2), (x1 + 20, y1), (x2 - 20, y1), (x2, y2)], np.int32)
    cv2.fillPoly(picture, [corners], OBJECT_COLOUR)
    cv2.rectangle(picture, GUN[:2], (GUN[2] - 1, GUN[3] - 1), OBJECT_COLOUR, -1)
    return picture


def label(name: str, box: tuple[int, int, int, int]) -> str:
    x1, y1, x2, y2 = (value / side for value, side in zip(box, (400, 320) * 2, strict=True))
    return f"{name} {(x1 + x2) / 2:.6f} {(y1 + y2) / 2:.6f} {x2 - x1:.6f} {y2 - y1:.6f}\n"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Two vehicles with a gun on the roof and three meadows without anything, all of the test split."""
    folder = tmp_path / "data" / "photos"
    whole = (HULL[0], GUN[1], HULL[2], HULL[3])
    boxes = label("tank", whole) + label("machine_gun", GUN)
    pictures = [(vehicle(n), boxes) for n in range(2)] + [(grass(10 + n), "") for n in range(3)]
    rows = []
    for number, (picture, text) in enumerate(pictures):
        for part in ("images", "labels"):
            (folder / "test" / part).mkdir(parents=True, exist_ok=True)
        path = folder / "test" / "images" / f"{number}.png"
        cv2.imwrite(str(path), picture)
        (folder / "test" / "labels" / f"{number}.txt").write_text(text)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        rows.append([path.name, "test", "ours", path.name, "0", "CC0", digest, number, "all"])
    with (folder / "sources.csv").open("w", newline="") as lines:
        head = ["file", "split", "source_repo", "source_path", "commit", "licence", "sha256", "cluster", "complete_for"]
        csv.writer(lines).writerows([head, *rows])
    return tmp_path / "data"


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_equal_seeds_give_equal_files_with_any_number_of_processes(data: Path, tmp_path: Path) -> None:
    for name, seed, workers in (("one", 7, 1), ("two", 7, 2), ("three", 8, 1)):
        build_composites(data, tmp_path / name, split="test", classes=("tank",), count=3, seed=seed, workers=workers)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    assert contents(tmp_path / "one").keys() != contents(tmp_path / "three").keys()


def test_boxes_are_those_of_what_was_pasted(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(composites, "film", lambda rgb, rng: np.round(rgb[..., ::-1] * 255).astype(np.uint8))
    counts = build_composites(data, tmp_path / "out", split="test", classes=("tank",), count=6, seed=3)
    assert counts["tank"] >= 6
    for path in sorted((tmp_path / "out" / "images").iterdir()):
        picture = cv2.imread(str(path)).astype(int)
        height, width = picture.shape[:2]
        is_object = (picture[..., 2] > 130) & (picture[..., 1] < 110)
        inside = np.zeros_like(is_object)
        text = (tmp_path / "out" / "labels" / f"{path.stem}.txt").read_text().splitlines()
        for line in text:
            name, cx, cy, w, h = line.split()
            if name == "tank":
                x1, x2 = ((float(cx) + sign * float(w) / 2) * width for sign in (-1, 1))
                y1, y2 = ((float(cy) + sign * float(h) / 2) * height for sign in (-1, 1))
                part = is_object[round(y1) : round(y2), round(x1) : round(x2)]
                rows, columns = np.nonzero(part)
                assert rows.min() <= 4 and part.shape[0] - rows.max() <= 5
                assert columns.min() <= 4 and part.shape[1] - columns.max() <= 5
                inside[round(y1) - 2 : round(y2) + 2, round(x1) - 2 : round(x2) + 2] = True
        assert not is_object[~inside].any()


def test_a_gun_on_the_roof_keeps_its_label(data: Path, tmp_path: Path) -> None:
    counts = build_composites(data, tmp_path / "out", split="test", classes=("tank",), count=6, seed=3)
    assert counts["machine_gun"] == counts["tank"]
    for path in (tmp_path / "out" / "labels").iterdir():
        boxes = [line.split() for line in path.read_text().splitlines()]
        hulls, guns = ([list(map(float, box[1:])) for box in boxes if box[0] == n] for n in ("tank", "machine_gun"))
        for hull, gun in zip(hulls, guns, strict=True):
            assert abs(gun[0] - hull[0]) < hull[2] * 0.1, "the gun is in the middle of the hull"
            assert gun[1] < hull[1], "and above it"
            assert gun[2] / hull[2] == pytest.approx(40 / 180, rel=0.15)


def digest_of(data: Path, file: str) -> str:
    return hashlib.sha256((data / "photos" / "test" / "images" / file).read_bytes()).hexdigest()


def test_what_was_found_unfit_is_not_pasted(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listing = tmp_path / "cut_outs.yaml"
    listing.write_text(f"- {{picture: {digest_of(data, '0.png')}, class: tank}}\n")
    monkeypatch.setattr(composites, "LEFT_OUT", listing)
    build_composites(data, tmp_path / "out", split="test", classes=("tank",), count=6, seed=3)
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert {name for image in manifest["images"] for name in image["objects"]} == {"1.png"}


def test_a_corrected_box_comes_along(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(2):
        path = data / "photos" / "test" / "labels" / f"{number}.txt"
        path.write_text(path.read_text().splitlines()[0] + "\n")
    corners = [round(value / side, 6) for value, side in zip(GUN, (400, 320) * 2, strict=True)]
    entries = [
        f"  - {{action: add_box, picture: {digest_of(data, f'{number}.png')}, file: {number}.png, "
        f"box: {{class: machine_gun, corners: {corners}}}, reason: the gun was not boxed, reviewer: a test}}\n"
        for number in range(2)
    ]
    corrections = tmp_path / "photos.yaml"
    corrections.write_text("splits: [test]\nentries:\n" + "".join(entries))
    monkeypatch.setattr("detector.training.corrections.COMMITTED", corrections)
    counts = build_composites(data, tmp_path / "out", split="test", classes=("tank",), count=6, seed=3)
    assert counts["machine_gun"] == counts["tank"] > 0


def test_a_look_alike_of_pictures_boxed_for_nothing_else_is_pasted_under_its_own_name(
    data: Path, tmp_path: Path
) -> None:
    sources = data / "photos" / "sources.csv"
    rows = sources.read_text().splitlines()
    rows[1] = rows[1].removesuffix("all") + "construction_machine"
    sources.write_text("\n".join(rows) + "\n")
    (data / "photos" / "test" / "labels" / "0.txt").write_text(label("construction_machine", HULL))
    command = [
        "dataset",
        "composites",
        "--out",
        str(tmp_path / "out"),
        "--split",
        "test",
        "--count",
        "8",
        "--seed",
        "3",
    ]
    asked = CliRunner().invoke(app, [*command, "--classes", "construction_machine,tank", "--data", str(data)])
    assert asked.exit_code == 0, asked.output
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    pasted = {
        (name, shown)
        for image in manifest["images"]
        for name, shown in zip(image["objects"], [c for c in image["classes"] if c != "machine_gun"], strict=True)
    }
    assert pasted == {("0.png", "construction_machine"), ("1.png", "tank")}
    assert "0.png" not in {image["scene"] for image in manifest["images"]}, "it is no picture without anything"


def test_what_touches_the_edge_is_not_cut_out(tmp_path: Path) -> None:
    path = tmp_path / "edge.png"
    cv2.imwrite(str(path), vehicle(1))
    assert cut_out(path, ("tank", 0.0, 150.0, 300.0, 260.0)) is None


def test_a_class_without_a_picture_is_named(data: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="howitzer"):
        build_composites(data, tmp_path / "out", split="test", classes=("howitzer",), count=2, seed=1)


def test_a_folder_in_which_nothing_could_be_made_takes_what_is_asked_for_next(data: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="leave the class out"):
        build_composites(data, tmp_path / "out", split="test", classes=("humvee", "tank"), count=1, seed=3)
    assert build_composites(data, tmp_path / "out", split="test", classes=("tank",), count=1, seed=3)["tank"]
    assert json.loads((tmp_path / "out" / "manifest.json").read_text())["classes"] == ["tank"]


def test_a_manifest_of_something_else_is_left_alone(data: Path, tmp_path: Path) -> None:
    weights = tmp_path / "weights"
    weights.mkdir()
    shutil.copyfile(WEIGHTS_FOLDER / "manifest.json", weights / "manifest.json")
    with pytest.raises(DataError, match=r"weights holds a manifest\.json that is not of pictures; choose another"):
        build_composites(data, weights, split="test", classes=("tank",), count=1, seed=3)
    assert contents(weights) == {"manifest.json": (WEIGHTS_FOLDER / "manifest.json").read_bytes()}


def test_the_command_says_what_it_made(data: Path, tmp_path: Path) -> None:
    arguments = ["dataset", "composites", "--out", str(tmp_path / "out"), "--data", str(data), "--count", "2"]
    done = CliRunner().invoke(app, [*arguments, "--classes", "tank"])
    assert done.exit_code == 0, done.output
    assert "2 pictures" in done.output and "tank" in done.output
    assert len(list((tmp_path / "out" / "images").iterdir())) == 2


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"seed": 4}, "made with seed 3, not 4"),
        ({"classes": ("machine_gun",)}, "made with classes tank, not machine_gun"),
        ({"count": 1}, "more than 1 of these pictures"),
    ],
)
def test_a_folder_of_other_pictures_is_refused_and_left_as_it_is(
    data: Path, tmp_path: Path, changes: dict, words: str
) -> None:
    asked = {"split": "test", "classes": ("tank",), "count": 2, "seed": 3}
    build_composites(data, tmp_path / "out", **asked)
    before = contents(tmp_path / "out")
    with pytest.raises(DataError, match=words):
        build_composites(data, tmp_path / "out", **(asked | changes))
    assert contents(tmp_path / "out") == before


def test_a_full_disk_is_said_and_no_picture_is_half_one(data: Path, tmp_path: Path) -> None:
    limited = 'ulimit -f 4; exec "$@"'
    command = [sys.executable, "-m", "service", "dataset", "composites", "--classes", "tank", "--count", "2"]
    done = subprocess.run(
        ["bash", "-c", limited, "bash", *command, "--data", str(data), "--out", str(tmp_path / "out")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "cannot be written" in done.stderr and "Traceback" not in done.stderr
    assert not list((tmp_path / "out" / "images").glob("*.jpg"))
