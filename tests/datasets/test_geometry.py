from __future__ import annotations

import numpy as np
import pytest

from datasets.synthetic import models
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


def test_the_mix_of_scenes_favours_launchers_and_keeps_a_tenth_empty() -> None:
    kinds = [kind_of(5, index, SIX) for index in range(2000)]
    assert kinds.count("tow_launcher") / 2000 == pytest.approx(0.6, abs=0.04)
    assert kinds.count("negative") / 2000 == pytest.approx(0.1, abs=0.03)
    assert set(kinds) == {*SIX, "negative"}
    assert {kind_of(5, index, ["tank"]) for index in range(200)} == {"tank", "negative"}
    assert {kind_of(5, index, []) for index in range(20)} == {"negative"}
