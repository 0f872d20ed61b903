"""Weapons from packed models as groups of painted parts, with where their crew stands."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from datasets.synthetic import models
from datasets.synthetic.figures import figure
from datasets.synthetic.geometry import Mesh, box, rod, rotation, scaling, translation
from datasets.synthetic.materials import (
    BLACK,
    GLASS,
    LAMP,
    RUBBER,
    Colour,
    Material,
    between,
    gunmetal,
    military_paint,
    olive,
    sacking,
)
from datasets.synthetic.props import Painted

Crew = tuple[float, float, float, tuple[str, ...], float]
"""(x, y, facing in degrees, poses, chance), relative to the weapon."""
Group = tuple[str, str | None, Painted]


@dataclass(frozen=True, slots=True)
class Weapon:
    name: str
    groups: tuple[Group, ...]
    footprint: float
    crew: tuple[Crew, ...] = ()


def painted(
    rng: np.random.Generator, parts: dict[str, Mesh], earth: Colour, paint: Material | None = None
) -> dict[str, tuple[Mesh, Material]]:
    """Give each role its material: one paint for the whole weapon, its own for containers and running gear."""
    coat = paint or military_paint(rng, earth)
    fixed = {"black": BLACK, "rubber": RUBBER, "steel": gunmetal(rng), "pane": GLASS, "lamp": LAMP}
    dressed = {}
    for role, mesh in parts.items():
        kind = role.rsplit("_", 1)[-1]
        if kind == "wood":
            material = Material(between(rng, (0.12, 0.06, 0.03), (0.3, 0.18, 0.09)), 0.6)
        elif kind == "cloth":
            material = sacking(rng)
        elif kind == "container" and rng.random() < 0.5:
            material = military_paint(rng, earth)
        else:
            material = fixed.get(kind, coat)
        dressed[role] = (mesh, material)
    return dressed


def split(dressed: dict[str, tuple[Mesh, Material]], prefix: str) -> tuple[Painted, Painted]:
    return (
        [pair for role, pair in dressed.items() if not role.startswith(prefix)],
        [pair for role, pair in dressed.items() if role.startswith(prefix)],
    )


def moved(parts: Painted, matrix: np.ndarray) -> Painted:
    return [(mesh.transformed(matrix), material) for mesh, material in parts]


def stretched(weapon: Weapon, length: float, width: float, height: float) -> Weapon:
    """`weapon` with its parts, and who is on it, stretched by these factors; the crew about it is not."""
    stretch = scaling(length, width, height)
    groups = tuple((name, label, moved(parts, stretch)) for name, label, parts in weapon.groups)
    return replace(weapon, groups=groups, footprint=weapon.footprint * max(length, width))


TOW_CREW: tuple[Crew, ...] = (
    (-0.75, 0.32, 0, ("kneel", "kneel", "sit"), 0.6),
    (-1.2, -0.8, 20, ("stand", "kneel", "walk", "point"), 0.35),
    (0.3, 1.5, -60, ("stand", "kneel", "walk"), 0.2),
)


def tow_launcher(rng: np.random.Generator, earth: Colour, tow_models: Sequence[str] | None) -> Weapon:
    """A packed launcher on its tripod: one of `tow_models`, or of those made for training."""
    name = str(rng.choice(list(tow_models or models.TOW_TRAINING)))
    parts = models.load(name)
    if rng.random() < 0.3:
        parts = {role: mesh.transformed(scaling(1, -1, 1)) for role, mesh in parts.items()}
    weapon, kit = split(painted(rng, parts, earth), "kit")
    if rng.random() < 0.12:
        weapon.append(_cloth_wrap(rng, weapon))
    groups: tuple[Group, ...] = (("tow", "tow_launcher", weapon),)
    return Weapon(name, groups + ((("tow_kit", None, kit),) if kit else ()), 1.4, TOW_CREW)


def _cloth_wrap(rng: np.random.Generator, launcher_parts: Painted) -> tuple[Mesh, Material]:
    """Sacking round the tube, whose axis is found from its two ends: the farthest points well above the ground."""
    cloth = sacking(rng)
    points = np.concatenate([mesh.vertices for mesh, _ in launcher_parts])
    points = points[points[:, 2] > 0.5 * points[:, 2].max()]
    farthest = points[np.hypot(points[:, 0], points[:, 1]).argmax(), :2]
    along = points[:, :2] @ (farthest / np.linalg.norm(farthest))
    near, far = (points[np.abs(along - end) < 0.03].mean(axis=0) for end in (along.min(), along.max()))
    return rod(far + 0.12 * (near - far), far + 0.3 * (near - far), 0.135, 0.14, 14), cloth


def roof_gunner(rng: np.random.Generator, turn: np.ndarray) -> Painted:
    """A gunner seen from the waist up, standing in the hatch behind the weapon."""
    return moved(figure(rng, "stand"), turn @ translation(-0.62, 0.12, -0.85))


def roof_height() -> float:
    """The roof's plane; the exhaust stack and aerials at the sides stand higher."""
    body = models.load("humvee_simple")["paint"].vertices
    roof = body[(np.abs(body[:, 0] + 0.2) < 0.95) & (np.abs(body[:, 1]) < 0.6)]
    return float(roof[:, 2].max())


def humvee(rng: np.random.Generator, earth: Colour, tow_models: Sequence[str] | None) -> Weapon:
    name = str(rng.choice(models.HUMVEES, p=[0.7, 0.3]))
    groups: list[Group] = [("humvee", "humvee", list(painted(rng, models.load(name), earth).values()))]
    if name == "humvee_simple" and rng.random() < 0.3:
        turn = translation(-0.25, 0, roof_height() + 0.02) @ rotation("z", float(rng.normal(0, 40)))
        gun = {role: mesh for role, mesh in models.load("m2").items() if not role.startswith("legs")}
        post = (rod((0, 0, 0), (0, 0, 0.42), 0.04), gunmetal(rng))
        groups.append(("roof_gun", "machine_gun", moved([*painted(rng, gun, earth).values(), post], turn)))
        if rng.random() < 0.6:
            groups.append(("roof_gunner", None, roof_gunner(rng, turn)))
    elif name == "humvee_simple" and rng.random() < 0.3:
        load = (box((0.7, 1.1, 0.35), (-1.0, 0, roof_height() + 0.1), 0.05), Material(olive(rng), 0.9, 0.4))
        groups[0][2].append(load)
    return Weapon(name, tuple(groups), 3.0, ((0.5, 1.9, 90, ("stand", "walk"), 0.3),))


def tank(rng: np.random.Generator, earth: Colour, tow_models: Sequence[str] | None) -> Weapon:
    name = str(rng.choice(models.TANKS))
    stretch = scaling(float(rng.uniform(0.95, 1.08)), 1, float(rng.uniform(0.94, 1.06)))
    parts = {role: mesh.transformed(stretch) for role, mesh in models.load(name).items()}
    body = list(painted(rng, parts, earth).values())
    return Weapon(name, (("tank", "tank", body),), 4.2, ((0.5, 2.8, 90, ("stand", "walk"), 0.3),))


def howitzer(rng: np.random.Generator, earth: Colour, tow_models: Sequence[str] | None) -> Weapon:
    name = str(rng.choice([*models.M198, "howitzer105"], p=[0.25, 0.25, 0.25, 0.25]))
    parts = models.load(name)
    if name == "howitzer105":
        parts = {role: mesh.transformed(scaling(1.15, 1.15, 1.15)) for role, mesh in parts.items()}
    crew: tuple[Crew, ...] = tuple(
        (x, y, 0, ("stand", "kneel", "walk", "point"), 0.35) for x, y in ((-1.2, 1.6), (-1.5, -1.5), (0.6, 2.2))
    )
    return Weapon(name, (("gun", "howitzer", list(painted(rng, parts, earth).values())),), 3.4, crew)


def rocket_launcher(rng: np.random.Generator, earth: Colour, tow_models: Sequence[str] | None) -> Weapon:
    """An RPG-7 or a plain single-shot tube, on a man's shoulder (most), or lying on the ground."""
    if rng.random() < 0.65:
        name, tube = "rpg7", list(painted(rng, models.load("rpg7"), earth).values())
        low = tube[0][0].bounds()[0][2]
        tube = moved(tube, translation(0.05, 0, -low - 0.16))
    else:
        name = "single_shot_tube"
        radius, length = float(rng.uniform(0.042, 0.06)), float(rng.uniform(0.7, 1.05))
        ends = [rod((x, 0, 0), (x + 0.09, 0, 0), radius * 1.35, segments=16) for x in (-length / 2, length / 2 - 0.09)]
        sight = box((0.07, 0.03, 0.08), (0.1, 0.02, radius + 0.03))
        coat = military_paint(rng, earth)
        tube = [
            (rod((-length / 2, 0, 0), (length / 2, 0, 0), radius, segments=16), coat),
            (ends[0], BLACK),
            (ends[1], BLACK),
            (sight, BLACK),
        ]
    posture = rng.random()
    if posture < 0.85:
        pose, shoulder = ("shoulder", 1.47) if rng.random() < 0.65 else ("kneel_shoulder", 1.01)
        place = translation(0.22, -0.17, shoulder) @ rotation("y", float(rng.normal(-4, 7)))
        man: Group = ("gunner", None, figure(rng, pose))
        return Weapon(name, (("launcher", "rocket_launcher", moved(tube, place)), man), 1.0)
    lying = translation(0, 0, 0.09) @ rotation("z", float(rng.uniform(0, 360)))
    return Weapon(
        f"{name}_on_ground",
        (("launcher", "rocket_launcher", moved(tube, lying)),),
        1.0,
        ((-0.6, 0.6, 0, ("kneel", "sit"), 0.5),),
    )


def machine_gun(rng: np.random.Generator, earth: Colour, tow_models: Sequence[str] | None) -> Weapon:
    if rng.random() < 0.6:
        gun = list(painted(rng, models.load("m2"), earth).values())
        return Weapon(
            "m2",
            (("gun", "machine_gun", gun),),
            1.3,
            ((-0.95, 0, 0, ("sit", "kneel"), 0.6), (-0.6, 0.9, 0, ("kneel",), 0.3)),
        )
    gun = list(painted(rng, models.load("m60"), earth).values())
    return Weapon(
        "m60",
        (("gun", "machine_gun", gun),),
        1.3,
        ((-0.72, 0.02, 0, ("prone",), 0.7), (-0.5, 0.8, 0, ("prone", "kneel"), 0.25)),
    )


def carrier(rng: np.random.Generator, earth: Colour, tow_models: Sequence[str] | None) -> Weapon:
    """An M113: a tracked vehicle without a gun, hence not a tank."""
    return Weapon("m113", (("carrier", None, list(painted(rng, models.load("m113"), earth).values())),), 3.2)


Builder = Callable[[np.random.Generator, Colour, Sequence[str] | None], Weapon]
BUILDERS: dict[str, Builder] = {
    "tow_launcher": tow_launcher,
    "tank": tank,
    "howitzer": howitzer,
    "humvee": humvee,
    "rocket_launcher": rocket_launcher,
    "machine_gun": machine_gun,
    "carrier": carrier,
}
