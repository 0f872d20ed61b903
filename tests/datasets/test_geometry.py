from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from datasets.synthetic import heavy, infantry, models, vehicles
from datasets.synthetic.casts import CASTS, nothing_labelled, tow_launcher
from datasets.synthetic.dataset import kind_of
from datasets.synthetic.geometry import Mesh, aim, box, corner_normals, ellipsoid, lathe, rod, rotation
from datasets.synthetic.tow import launcher

SIX = ("tow_launcher", "tank", "rocket_launcher", "howitzer", "humvee", "machine_gun")


def volume(mesh: Mesh) -> float:
    """Signed: positive only if the faces are wound counter-clockwise seen from outside."""
    a, b, c = (mesh.vertices[mesh.faces[:, n]] for n in range(3))
    return float(np.einsum("ij,ij->i", a, np.cross(b, c)).sum() / 6)


@pytest.mark.parametrize(
    ("mesh", "expected"),
    [
        (box((2, 3, 4)), 24.0),
        (box((2, 3, 4), bevel=0.01), 24.0),
        (lathe([(0, 1), (2, 1)], 64), 2 * np.pi),
        (rod((0, 0, 0), (0, 0, 2), 1, segments=64), 2 * np.pi),
        (ellipsoid((1, 1, 1), segments=64), 4 / 3 * np.pi),
    ],
    ids=["box", "bevelled box", "lathe", "rod", "ellipsoid"],
)
def test_primitives_are_closed_and_face_outwards(mesh: Mesh, expected: float) -> None:
    assert volume(mesh) == pytest.approx(expected, rel=0.02)


def test_a_turn_about_y_lowers_the_nose() -> None:
    assert (rotation("y", 90)[:3, :3] @ (1, 0, 0)).round(6).tolist() == [0, 0, -1]


def test_aim_carries_the_x_axis_onto_the_line() -> None:
    matrix = aim((1, 2, 3), (1, 2, 8))
    assert (matrix @ (5, 0, 0, 1)).round(6).tolist() == [1, 2, 8, 1]
    assert np.linalg.det(matrix[:3, :3]) == pytest.approx(1)


def test_normals_keep_a_boxs_edges_sharp_and_a_tube_smooth() -> None:
    assert np.abs(corner_normals(box((1, 1, 1)))).max(axis=1) == pytest.approx(1)
    side = corner_normals(lathe([(0, 1), (1, 1)], 16))[: 16 * 6]
    radial = np.hypot(side[:, 1], side[:, 2])
    assert radial.min() > 0.99
    assert len(np.unique(side.round(4), axis=0)) == 16


@pytest.mark.parametrize("name", [path.stem for path in sorted(models.ASSETS.glob("*/*.npz"))])
def test_every_packed_model_stands_on_the_ground_with_its_licence(name: str) -> None:
    parts = models.load(name)
    assert min(mesh.bounds()[0][2] for mesh in parts.values()) == pytest.approx(0, abs=1e-6)
    assert all(mesh.faces.max() < len(mesh.vertices) for mesh in parts.values())
    [folder] = {path.parent for path in models.ASSETS.glob(f"*/{name}.npz")}
    assert (folder / "LICENCE.txt").read_text().strip()


def test_the_launchers_of_the_demo_are_in_no_training_scene() -> None:
    assert not set(models.TOW_DEMO) & set(models.TOW_TRAINING)


@pytest.mark.parametrize("seed", range(12))
def test_a_launcher_has_the_size_of_the_real_one(seed: int) -> None:
    parts = launcher(np.random.default_rng(seed), mount="tripod")
    own = [mesh for role, mesh in parts.items() if not role.startswith("kit")]
    low = np.min([mesh.bounds()[0] for mesh in own], axis=0)
    high = np.max([mesh.bounds()[1] for mesh in own], axis=0)
    assert 1.6 < np.linalg.norm((high - low)[:2]) < 3.2
    assert 0.8 < high[2] < 1.6
    assert abs(low[2]) < 0.02


def size_of(parts: dict[str, Mesh]) -> tuple[np.ndarray, np.ndarray]:
    low = np.min([mesh.bounds()[0] for mesh in parts.values()], axis=0)
    high = np.max([mesh.bounds()[1] for mesh in parts.values()], axis=0)
    return low, high - low


@pytest.mark.parametrize(
    ("make", "length", "height"),
    [
        (infantry.kornet, (1.0, 1.4), (0.5, 0.95)),
        (infantry.konkurs, (1.1, 1.5), (0.5, 1.1)),
        (infantry.spg9, (1.9, 2.3), (0.4, 1.0)),
        (infantry.m40, (3.1, 3.6), (0.9, 1.6)),
        (infantry.dshk, (1.4, 2.1), (0.5, 1.5)),
        (vehicles.pickup, (5.0, 5.4), (1.6, 1.9)),
        (vehicles.jeep, (3.2, 3.7), (1.0, 1.6)),
        (lambda rng: vehicles.truck(rng, "tarpaulin"), (7.0, 7.6), (2.6, 3.1)),
        (lambda rng: vehicles.humvee_kit(rng, "four_door"), (4.4, 5.1), (1.75, 3.3)),
        (heavy.m270, (6.5, 8.0), (2.3, 6.0)),
        (heavy.grad, (6.9, 7.8), (2.2, 5.5)),
        (lambda rng: heavy.tank(rng, "western"), (7.5, 10.2), (2.2, 2.9)),
        (lambda rng: heavy.tank(rng, "eastern"), (6.8, 10.2), (1.9, 2.6)),
        (lambda rng: heavy.howitzer(rng, "d30"), (4.5, 7.0), (1.2, 4.6)),
    ],
    ids=[
        "kornet",
        "konkurs",
        "spg9",
        "m40",
        "dshk",
        "pickup",
        "jeep",
        "truck",
        "humvee",
        "m270",
        "grad",
        "m1",
        "t72",
        "d30",
    ],
)
@pytest.mark.parametrize("seed", [1, 2])
def test_models_have_the_published_size_and_stand_on_the_ground(
    make: Callable[[np.random.Generator], dict[str, Mesh]],
    length: tuple[float, float],
    height: tuple[float, float],
    seed: int,
) -> None:
    low, size = size_of(make(np.random.default_rng(seed)))
    assert length[0] < max(size[:2]) < length[1]
    assert height[0] < size[2] < height[1]
    assert abs(low[2]) < 0.06


def test_a_pedestal_is_bolted_to_the_surface_over_which_it_stands() -> None:
    step = {"paint": box((2, 2, 1), (0, 0, 0.5)), "black": box((0.5, 0.5, 1), (0.6, 0, 1.5))}
    assert vehicles.mesh_top(step, -0.5) == pytest.approx(1.0)
    assert vehicles.mesh_top(step, 0.6) == pytest.approx(2.0)


@pytest.mark.parametrize("kind", sorted(CASTS))
@pytest.mark.parametrize("held_out", [False, True], ids=["training", "held out"])
def test_every_class_brings_a_thing_with_its_label(kind: str, held_out: bool) -> None:
    for seed in range(4):
        weapon = CASTS[kind](np.random.default_rng(seed), (0.3, 0.25, 0.2), held_out)
        assert kind in {label for _, label, _ in weapon.groups}


def test_what_is_no_weapon_of_ours_carries_no_label() -> None:
    for seed in range(24):
        weapon = nothing_labelled(np.random.default_rng(seed), (0.3, 0.25, 0.2), False)
        assert {label for _, label, _ in weapon.groups} == {None}


@pytest.mark.parametrize("kind", sorted(set(CASTS) - {"tow_launcher", "machine_gun"}))
def test_held_out_models_are_in_no_training_scene(kind: str) -> None:
    names = [
        {CASTS[kind](np.random.default_rng(seed), (0.3, 0.25, 0.2), held_out).name for seed in range(20)}
        for held_out in (False, True)
    ]
    assert (
        names[0]
        and names[1]
        and not {name.split("_")[-1] for name in names[0]}
        & {name.split("_")[-1] for name in names[1]} - {"carried", "ground"}
    )


def test_held_out_launchers_are_in_no_training_scene() -> None:
    seen = [
        {tow_launcher(np.random.default_rng(seed), (0.3, 0.25, 0.2), held_out).name for seed in range(60)}
        for held_out in (False, True)
    ]
    on_tripod = [{name for name in names if not name.endswith("_tow")} for names in seen]
    assert on_tripod[0] and on_tripod[1] and not on_tripod[0] & on_tripod[1]


def test_the_mix_of_scenes_follows_the_shares_asked_for() -> None:
    kinds = [kind_of(5, index, SIX) for index in range(2000)]
    assert kinds.count("tow_launcher") / 2000 == pytest.approx(0.35, abs=0.04)
    assert kinds.count("negative") / 2000 == pytest.approx(0.2, abs=0.03)
    assert kinds.count("tank") < min(kinds.count(name) for name in set(SIX) - {"tank", "tow_launcher"})
    assert set(kinds) == {*SIX, "negative"}
    lookalikes = [kind_of(5, index, SIX, tow_share=0.1, negative_share=0.8) for index in range(2000)]
    assert lookalikes.count("negative") / 2000 == pytest.approx(0.8, abs=0.03)
    assert {kind_of(5, index, ["tank"]) for index in range(200)} == {"tank", "negative"}
    assert {kind_of(5, index, []) for index in range(20)} == {"negative"}
