"""Turn source models (glb, obj) into the compact assets under `assets/`. Needs trimesh; run once per new model.

    python -m datasets.synthetic.pack FOLDER_OF_MODELS

A packed asset is an npz: for each group `<name>.v` (uint16 grid over `<name>.box`) and `<name>.f` (triangles).
A group is named after its material role (`paint`, `black`, `steel`, `rubber`, `wood`), perhaps with a prefix: `kit_`
and `legs_` mark what can be left out.
"""

from __future__ import annotations

import shutil
import sys
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np

from datasets.synthetic.geometry import Mesh, box, lathe, merge, rotation, translation

ASSETS = Path(__file__).parent / "assets"
GRID = 65535

Y_UP_X_FORWARD = np.array([[1, 0, 0, 0], [0, 0, -1, 0], [0, 1, 0, 0], [0, 0, 0, 1]], dtype=float)
Y_UP_Z_FORWARD = np.array([[0, 0, 1, 0], [1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1]], dtype=float)
Y_UP_Z_BACKWARD = np.array([[0, 0, -1, 0], [-1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1]], dtype=float)

Groups = dict[str, Mesh]


def read_scene(path: Path, axes: np.ndarray) -> list[tuple[str, str, Mesh]]:
    """Every placed part of a model file as (part name, material name, mesh in our axes)."""
    import trimesh

    scene = trimesh.load(path, process=False)
    if not isinstance(scene, trimesh.Scene):
        scene = trimesh.Scene(scene)
    parts = []
    for node in scene.graph.nodes_geometry:
        matrix, geometry = scene.graph[node]
        shape = scene.geometry[geometry]
        material = getattr(getattr(shape.visual, "material", None), "name", None) or "paint"
        mesh = Mesh(np.asarray(shape.vertices, dtype=float), np.asarray(shape.faces))
        parts.append((geometry, material, mesh.transformed(axes @ matrix)))
    return parts


def grouped(parts: list[tuple[str, str, Mesh]], role: Callable[[str, str, Mesh], str | None]) -> Groups:
    groups: dict[str, list[Mesh]] = defaultdict(list)
    for name, material, mesh in parts:
        key = role(name, material, mesh)
        if key is not None:
            groups[key].append(mesh)
    return {key: merge(meshes) for key, meshes in groups.items()}


def save(target: Path, groups: Groups) -> None:
    arrays = {}
    for name, mesh in groups.items():
        low, high = mesh.bounds()
        cells = np.round((mesh.vertices - low) / np.maximum(high - low, 1e-9) * GRID).astype(np.uint16)
        unique, where = np.unique(cells, axis=0, return_inverse=True)
        faces = where.reshape(-1)[mesh.faces]
        whole = (faces[:, 0] != faces[:, 1]) & (faces[:, 1] != faces[:, 2]) & (faces[:, 0] != faces[:, 2])
        arrays[f"{name}.v"] = unique
        arrays[f"{name}.f"] = faces[whole].astype(np.uint16 if len(unique) <= GRID else np.uint32)
        arrays[f"{name}.box"] = np.stack([low, high]).astype(np.float32)
    target.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(target, **arrays)


def tow_role(name: str, material: str, mesh: Mesh) -> str | None:
    low, high = mesh.bounds()
    beside = high[2] < 0.42 and low[2] < 0.3 and name.startswith("box")
    if beside or name.startswith("cab"):
        return f"kit_{'black' if material == 'black' else 'paint'}"
    return material


HOWITZER105_PARTS = (
    *("Tire", "Rim", "Hub", "Axle", "Carriage", "Breech", "Recoil", "Barrel", "Muzzle", "Shield", "Trail", "Spade"),
    *("Seat", "Gunner", "Aiming", "Sight", "Elev"),
)
"""The gun without the emplacement, shells and bushes that its model stands in."""


def howitzer105_role(name: str, material: str, mesh: Mesh) -> str | None:
    stem = name.removeprefix("Mesh_")
    if not stem.startswith(HOWITZER105_PARTS):
        return None
    return "rubber" if stem.startswith("Tire") else "paint"


def tank_role(name: str, material: str, mesh: Mesh) -> str | None:
    stem = name.removeprefix("Mesh_")
    if "Star" in stem or "Marking" in stem:
        return None
    if "Track" in stem or "Tire" in stem:
        return "rubber"
    if any(word in stem for word in ("Exhaust", "Grille", "Muzzle", "Lens", "Vision", "Periscope")):
        return "black"
    return "paint"


def gun_role(name: str, material: str, mesh: Mesh) -> str | None:
    high = mesh.bounds()[1]
    stem = name.removeprefix("Mesh_")
    if "Ammo" in stem and "Can" in stem:
        return "paint"
    ground = stem.startswith(
        (
            "TripodHub",
            "PintleLeft",
            "FrontLeg",
            "RearLeg",
            "T&E",
            "Foot",
            "PintleBolt",
            "Elevating",
            "Adjustment",
        )
    )
    if (ground and high[2] < 0.405) or "Bipod" in stem:
        return "legs_steel"
    return "steel"


def rpg_role(name: str, material: str, mesh: Mesh) -> str | None:
    if "Shield" in name or "Scale" in name:
        return "wood"
    return "paint" if "Rocket" in name else "steel"


WHEEL_X, WHEEL_Y, WHEEL_Z = 1.65, 0.92, 0.0


def humvee(chassis: Path) -> Groups:
    """The chassis as it comes; its 13,000-triangle tyres are replaced by turned ones of the same size."""
    body = merge(mesh for _, _, mesh in read_scene(chassis, np.eye(4)))
    tyre = lathe([(-0.15, 0.26), (-0.15, 0.41), (-0.11, 0.46), (0.11, 0.46), (0.15, 0.41), (0.15, 0.26)], 28)
    rim = lathe([(-0.12, 0.10), (-0.10, 0.24), (0.10, 0.24), (0.12, 0.10)], 20)
    places = [translation(x, y, WHEEL_Z) @ rotation("z", 90) for x in (-WHEEL_X, WHEEL_X) for y in (-WHEEL_Y, WHEEL_Y)]
    return {
        "paint": body,
        "rubber": merge(tyre.transformed(place) for place in places),
        "wheel_paint": merge(rim.transformed(place) for place in places),
    }


def carrier(folder: Path) -> Groups:
    """M113 hull with plain road wheels and a track band, as a vehicle that is none of the weapons."""
    hull = merge(mesh for _, _, mesh in read_scene(folder / "M113_Chassis.obj", np.eye(4)))
    wheel = lathe([(-0.08, 0.1), (-0.08, 0.3), (0.08, 0.3), (0.08, 0.1)], 20)
    low, high = hull.bounds()
    stations = np.linspace(low[0] + 0.75, high[0] - 0.75, 5)
    wheels = [
        wheel.transformed(translation(x, side * 1.08, -0.25) @ rotation("z", 90)) for x in stations for side in (-1, 1)
    ]
    length = high[0] - low[0] - 0.5
    band = [
        box((length * share, 0.38, 0.05), ((low[0] + high[0]) / 2, side * 1.08, z))
        for side in (-1, 1)
        for z, share in ((-0.56, 0.78), (0.16, 0.96))
    ]
    return {"paint": hull, "rubber": merge(wheels + band)}


def pack(source: Path) -> None:
    """Build every asset from the models folder and copy each licence beside it."""

    def one(
        folder: str, file: str, target: str, axes: np.ndarray, role: Callable[[str, str, Mesh], str | None]
    ) -> None:
        save(ASSETS / folder / f"{target}.npz", grouped(read_scene(source / folder / file, axes), role))

    for path in sorted((source / "tow_m220_procedural").glob("*.glb")):
        one("tow_m220_procedural", path.name, path.stem, Y_UP_X_FORWARD, tow_role)
    for path in sorted((source / "m198_procedural").glob("*.glb")):
        one("m198_procedural", path.name, path.stem, Y_UP_X_FORWARD, lambda n, material, m: material)
    one(
        "titj_howitzer_105mm",
        "kiln-105mm-howitzer-emplacement.glb",
        "howitzer105",
        Y_UP_Z_FORWARD,
        howitzer105_role,
    )
    one("titj_t54", "kiln-t-54-main-battle.glb", "t54", Y_UP_Z_BACKWARD, tank_role)
    one("titj_m48_patton", "kiln-m48-patton-main-battle.glb", "m48", Y_UP_Z_BACKWARD, tank_role)
    one("titj_m2_browning", "kiln-m2-browning-2.glb", "m2", Y_UP_Z_FORWARD, gun_role)
    one("titj_m60", "kiln-m60-pig-general-purpose.glb", "m60", Y_UP_Z_FORWARD, gun_role)
    one("titj_rpg7", "kiln-rpg-7.glb", "rpg7", Y_UP_Z_FORWARD, rpg_role)
    one("titj_sandbags_berm", "sandbag-wall.glb", "sandbag_wall", Y_UP_Z_FORWARD, lambda n, m, s: "paint")
    for kind in ("simple", "flatbed"):
        save(
            ASSETS / "chrono_hmmwv" / f"humvee_{kind}.npz",
            humvee(source / "chrono_hmmwv" / f"hmmwv_chassis_{kind}.obj"),
        )
    save(ASSETS / "chrono_m113" / "m113.npz", carrier(source / "chrono_m113"))
    for folder in sorted(path for path in ASSETS.iterdir() if path.is_dir()):
        shutil.copyfile(source / folder.name / "LICENCE.txt", folder / "LICENCE.txt")


if __name__ == "__main__":
    pack(Path(sys.argv[1]))
