from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from datasets.synthetic import render_set, staging
from datasets.synthetic.casts import CASTS, HELD_OUT
from datasets.synthetic.footage import film, recoded
from datasets.synthetic.render import Renderer, outline, visible
from datasets.synthetic.weapons import Weapon, stretched
from detector.errors import DataError

pytest.importorskip("mitsuba", reason="mitsuba is not installed: pip install 'ordnance[render]'")

WIDTH, HEIGHT = 160, 90
SEED = 31


def tiny(out: Path, *, count: int = 1, classes: tuple[str, ...] = ("tank",), backgrounds: Path | None = None) -> None:
    render_set(
        out,
        count=count,
        seed=SEED,
        classes=classes,
        workers=1,
        backgrounds=backgrounds,
        width=WIDTH,
        height=HEIGHT,
        samples=1,
    )


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("rendered")
    tiny(out)
    return out


def contents(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for folder in ("images", "labels") for path in (out / folder).iterdir()}


def test_a_picture_has_its_class_and_a_box_inside_the_frame(rendered: Path) -> None:
    [image] = (rendered / "images").glob("*.jpg")
    assert cv2.imread(str(image)).shape == (HEIGHT, WIDTH, 3)
    [line] = (rendered / "labels" / f"{image.stem}.txt").read_text().splitlines()
    name, *numbers = line.split()
    x, y, width, height = map(float, numbers)
    assert name == "tank"
    assert 0 <= x - width / 2 < x + width / 2 <= 1 + 1e-5
    assert 0 <= y - height / 2 < y + height / 2 <= 1 + 1e-5


def test_the_manifest_tells_how_each_picture_was_made(rendered: Path) -> None:
    manifest = json.loads((rendered / "manifest.json").read_text())
    assert manifest["seed"] == SEED
    [record] = manifest["images"]
    assert record["kind"] == "tank"
    assert record["backdrop"] is None
    assert record["seen"][0]["visible_share"] >= 0.25


def test_the_same_seed_gives_the_same_picture(rendered: Path, tmp_path: Path) -> None:
    tiny(tmp_path)
    assert contents(tmp_path) == contents(rendered)


def test_a_second_run_leaves_what_is_there_alone(rendered: Path) -> None:
    [image] = (rendered / "images").glob("*.jpg")
    before = image.stat().st_mtime_ns
    tiny(rendered)
    assert image.stat().st_mtime_ns == before


def test_unknown_classes_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no scenes for submarine; known: atgm_launcher, howitzer"):
        tiny(tmp_path, classes=("submarine",))


def test_photographs_stand_behind_some_scenes_and_are_named(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    cv2.imwrite(str(photos / "red.png"), np.full((120, 200, 3), (30, 30, 200), np.uint8))
    tiny(tmp_path / "out", count=3, classes=(), backgrounds=photos)
    records = json.loads((tmp_path / "out" / "manifest.json").read_text())["images"]
    assert {record["backdrop"] for record in records} == {None, "red.png"}


@pytest.mark.parametrize(("kind", "number"), [("tow_launcher", 1), ("tow_launcher", 2), ("humvee", 2)])
def test_the_box_is_tight_about_the_pixels_that_the_thing_changes(kind: str, number: int) -> None:
    """Independent of the label pass: take the weapon away, and look where the distances change."""
    drawn = staging.build(np.random.default_rng([SEED, number]), kind)
    subject = next(thing for thing in drawn.things if thing.label == kind)
    renderer = Renderer(drawn)
    seen = [one for one in renderer.frame(width=WIDTH, height=HEIGHT, samples=1, seed=3).seen if one.label == kind]
    whole = renderer.depth(None, drawn.camera, WIDTH, HEIGHT, 3)
    drawn.things.remove(subject)
    without = Renderer(drawn).depth(None, drawn.camera, WIDTH, HEIGHT, 3)
    rows, columns = np.nonzero(whole != without)
    assert [one.box_px for one in seen] == [(columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)]


def test_the_outline_of_a_thing_in_full_view_is_its_box() -> None:
    drawn = staging.build(np.random.default_rng([SEED, 3]), "humvee")
    subject = next(thing for thing in drawn.things if thing.label == "humvee")
    alone = Renderer(drawn).depth([subject.name], drawn.camera, WIDTH, HEIGHT, 3)
    full = outline(subject, drawn.camera, WIDTH, HEIGHT)
    found = visible("humvee", alone, alone, full)
    assert found is not None and found.visible_share == 1 and not found.cut_away
    assert np.abs(np.array(found.box_px) - full).max() < 1.5


@pytest.mark.parametrize("number", range(3))
def test_every_thing_of_a_scene_has_a_name_of_its_own(number: int) -> None:
    names = [thing.name for thing in staging.build(np.random.default_rng([SEED, number]), "tow_launcher").things]
    assert len(set(names)) == len(names)


def extents(weapon: Weapon) -> np.ndarray:
    lows, highs = zip(*(mesh.bounds() for _, _, parts in weapon.groups for mesh, _ in parts), strict=True)
    return np.max(highs, axis=0) - np.min(lows, axis=0)


def test_a_weapon_of_other_proportions_is_the_same_weapon_stretched() -> None:
    drawn = CASTS["howitzer"](np.random.default_rng(5), (0.5, 0.4, 0.3), False)
    longer = stretched(drawn, 1.1, 0.9, 1.2)
    assert extents(longer) == pytest.approx(extents(drawn) * (1.1, 0.9, 1.2))
    assert [group[:2] for group in longer.groups] == [group[:2] for group in drawn.groups]
    assert longer.footprint == pytest.approx(1.1 * drawn.footprint)


def test_a_set_of_other_proportions_says_so_and_is_not_mixed_with_others(tmp_path: Path) -> None:
    settings = {"count": 1, "seed": SEED, "classes": ("humvee",), "workers": 1, "width": WIDTH, "height": HEIGHT}
    render_set(tmp_path / "plain", **settings)
    render_set(tmp_path / "other", **settings, other_proportions=True)
    [plain, other] = [(tmp_path / name / "images").glob("*.jpg") for name in ("plain", "other")]
    assert next(plain).read_bytes() != next(other).read_bytes()
    assert json.loads((tmp_path / "other" / "manifest.json").read_text())["other_proportions"] is True
    with pytest.raises(DataError, match="other_proportions True, not False"):
        render_set(tmp_path / "other", **settings)


def test_the_manifest_says_that_a_set_is_held_out_and_what_that_means(tmp_path: Path) -> None:
    render_set(tmp_path, count=0, seed=SEED, classes=("tank",), workers=1, width=WIDTH, height=HEIGHT, held_out=True)
    assert json.loads((tmp_path / "manifest.json").read_text())["held_out"] is True
    assert set(CASTS) < set(HELD_OUT)


def test_shares_that_make_more_than_the_whole_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"shares of 0\.8 TOW launchers and 0\.3 negatives"):
        render_set(tmp_path, count=1, seed=1, classes=("tank",), workers=1, tow_share=0.8, negative_share=0.3)


@pytest.mark.parametrize("codec", ["libx264", "mpeg4"])
def test_a_codec_at_a_low_rate_loses_detail_but_not_the_picture(codec: str) -> None:
    frame = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
    cv2.rectangle(frame, (40, 30), (120, 70), (30, 200, 60), -1)
    frame = cv2.add(frame, np.random.default_rng(4).integers(0, 40, frame.shape, dtype=np.uint8))
    shown = recoded(frame, codec, np.random.default_rng(2), 0.8)
    assert shown.shape == frame.shape
    assert shown[45:55, 70:90].mean(axis=(0, 1)) == pytest.approx(frame[45:55, 70:90].mean(axis=(0, 1)), abs=16)
    assert cv2.Laplacian(shown, cv2.CV_64F).std() < 0.6 * cv2.Laplacian(frame, cv2.CV_64F).std()


def depths(inside: float, outside: float, box: tuple[int, int, int, int]) -> np.ndarray:
    image = np.full((60, 80), outside)
    image[box[1] : box[3], box[0] : box[2]] = inside
    return image


def test_a_half_hidden_thing_gets_the_box_of_what_shows() -> None:
    alone = depths(10, np.inf, (20, 20, 60, 50))
    whole = np.minimum(depths(10, 99, (20, 20, 60, 50)), depths(5, 99, (0, 0, 40, 60)))
    found = visible("tank", alone, whole)
    assert found is not None
    assert found.box_px == (40, 20, 60, 50)
    assert found.visible_share == 0.5


@pytest.mark.parametrize(
    ("box", "cover"),
    [((20, 20, 60, 50), (0, 0, 52, 60)), ((20, 20, 30, 28), (0, 0, 1, 1)), ((20, 20, 60, 50), (0, 0, 80, 60))],
    ids=["a fifth shows", "under 12 px", "hidden"],
)
def test_what_cannot_be_recognised_gets_no_box(
    box: tuple[int, int, int, int], cover: tuple[int, int, int, int]
) -> None:
    alone = depths(10, np.inf, box)
    assert visible("tank", alone, np.minimum(depths(10, 99, box), depths(5, 99, cover))) is None


def test_a_fragment_at_the_edge_is_marked() -> None:
    alone = depths(10, np.inf, (60, 20, 80, 50))
    found = visible("tank", alone, alone, (60, 20, 160, 50))
    assert found is not None and found.cut_away


def test_the_film_look_keeps_the_size_and_is_repeatable() -> None:
    picture = np.random.default_rng(1).random((HEIGHT, WIDTH, 3))
    first, second = (film(picture, np.random.default_rng(8)) for _ in range(2))
    assert first.shape == (HEIGHT, WIDTH, 3) and first.dtype == np.uint8
    assert np.array_equal(first, second)


def test_scenes_made_otherwise_are_not_mixed_in(rendered: Path) -> None:
    before = contents(rendered)
    with pytest.raises(DataError, match="made with classes tank, not humvee"):
        tiny(rendered, classes=("humvee",))
    with pytest.raises(DataError, match="made with held_out False, not True"):
        render_set(rendered, count=1, seed=SEED, classes=("tank",), workers=1, held_out=True)
    assert contents(rendered) == before


def test_backgrounds_that_are_not_there_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"backgrounds .*nowhere cannot be read"):
        tiny(tmp_path / "out", backgrounds=tmp_path / "nowhere")
    with pytest.raises(DataError, match="holds no photograph"):
        tiny(tmp_path / "out", backgrounds=tmp_path)
    assert not (tmp_path / "out").exists()
