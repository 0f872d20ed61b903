"""Things that are no weapon: cover, clutter, and above all what looks like a weapon (tripods, pipes, tubes)."""

from __future__ import annotations

import numpy as np

from datasets.synthetic.geometry import Mesh, box, lathe, merge, rod, rotation, translation
from datasets.synthetic.ground import Ground
from datasets.synthetic.materials import BLACK, Material, between, gunmetal, olive, tan

Painted = list[tuple[Mesh, Material]]


def _paint(rng: np.random.Generator) -> Material:
    return Material(olive(rng) if rng.random() < 0.5 else tan(rng), 0.8, 0.3, seed=int(rng.integers(1 << 30)))


def crates(rng: np.random.Generator) -> Painted:
    stack = []
    for level in range(int(rng.integers(1, 3))):
        for column in range(int(rng.integers(1, 4))):
            turn = translation(column * 0.95, rng.normal(0, 0.06), 0.16 + 0.33 * level) @ rotation(
                "z", float(rng.normal(0, 6))
            )
            stack.append(box((0.9, 0.4, 0.32), bevel=0.012).transformed(turn))
            stack += [box((0.04, 0.43, 0.34), (x, 0, 0)).transformed(turn) for x in (-0.32, 0.32)]
    wood = Material(between(rng, (0.2, 0.13, 0.07), (0.38, 0.28, 0.16)), 0.9, 0.3, seed=int(rng.integers(1 << 30)))
    return [(merge(stack), wood if rng.random() < 0.6 else _paint(rng))]


def pipes(rng: np.random.Generator) -> Painted:
    """Pipes on trestles or on the ground, some as thick and long as a launcher's tube."""
    radius, length = float(rng.uniform(0.04, 0.16)), float(rng.uniform(1.2, 4))
    raised = rng.random() < 0.55
    height = float(rng.uniform(0.5, 1.1)) if raised else radius
    tubes = [
        lathe([(-length / 2, radius), (length / 2, radius)], 18).transformed(translation(0, n * 2.2 * radius, height))
        for n in range(int(rng.integers(1, 4)))
    ]
    grey = between(rng, (0.03, 0.03, 0.03), (0.45, 0.42, 0.4))
    made: Painted = [(merge(tubes), Material(grey, 0.5, 0.3, seed=int(rng.integers(1 << 30))))]
    if raised:
        legs = [
            rod((x, y * 0.3, 0), (x, y * 0.04, height - radius), 0.025)
            for x in (-length * 0.3, length * 0.3)
            for y in (-1, 1)
        ]
        made.append((merge(legs), gunmetal(rng)))
    return made


def instrument(rng: np.random.Generator) -> Painted:
    """A film camera, telescope or surveyor's level on a light tripod."""
    height = float(rng.uniform(0.9, 1.55))
    legs = []
    for angle in (60, 180, 300):
        foot = rotation("z", angle)[:3, :3] @ np.array([height * 0.45, 0, 0])
        legs += [
            rod((0, 0, height), tuple(foot), 0.022, 0.012),
            rod((0, 0, height * 0.6), tuple(foot * 0.4 + (0, 0, height * 0.6)), 0.008),
        ]
    legs.append(rod((-0.3, 0.12, height - 0.1), (0, 0, height), 0.012))
    legs.append(rod((0, 0, height - 0.04), (0, 0, height + 0.08), 0.03))
    turn = translation(0, 0, height + 0.1) @ rotation("z", float(rng.uniform(0, 360)))
    kind = rng.random()
    if kind < 0.5:
        head = [
            box((0.32, 0.14, 0.18), bevel=0.02),
            rod((0.16, 0, 0), (0.32, 0, 0), 0.055, 0.07),
            box((0.1, 0.05, 0.06), (-0.08, 0, 0.12)),
        ]
    elif kind < 0.8:
        head = [
            rod((-0.4, 0, 0), (0.5, 0, 0.12), 0.05, 0.07, 18),
            rod((-0.4, 0, 0), (-0.52, 0, -0.02), 0.025),
        ]
    else:
        head = [box((0.2, 0.18, 0.26), bevel=0.03), rod((0, 0, 0.02), (0.16, 0, 0.02), 0.04)]
    paint = gunmetal(rng) if rng.random() < 0.6 else Material(between(rng, (0.3, 0.3, 0.3), (0.7, 0.5, 0.15)), 0.5)
    return [(merge(legs), gunmetal(rng)), (merge(mesh.transformed(turn) for mesh in head), paint)]


def mortar(rng: np.random.Generator) -> Painted:
    """Not in the taxonomy: a short steep tube on a bipod, the launcher's nearest relative in outline."""
    tube = rod((-0.5, 0, 0.06), (0.35, 0, 1.15), 0.05, segments=16)
    legs = [rod((0.15, 0, 0.85), (0.6, side * 0.35, 0), 0.02) for side in (-1, 1)]
    plate = lathe([(0, 0.28), (0.05, 0.24)], 20).transformed(translation(-0.52, 0, 0) @ rotation("y", -90))
    return [(merge([tube, *legs, plate]), _paint(rng))]


def barrels(rng: np.random.Generator) -> Painted:
    drums = [
        lathe(
            [(0, 0.28), (0.28, 0.28), (0.29, 0.295), (0.31, 0.28), (0.58, 0.28), (0.6, 0.295), (0.88, 0.28)],
            20,
        ).transformed(translation(float(rng.normal(0, 0.5)), 0.62 * n, 0) @ rotation("y", -90))
        for n in range(int(rng.integers(1, 5)))
    ]
    return [
        (
            merge(drums),
            Material(between(rng, (0.04, 0.05, 0.04), (0.4, 0.25, 0.18)), 0.5, 0.5, seed=int(rng.integers(1 << 30))),
        )
    ]


def wheelbarrow(rng: np.random.Generator) -> Painted:
    """Wheel and two long handles: what a gun's trails look like from afar."""
    wheel = lathe([(-0.05, 0.1), (-0.05, 0.2), (0.05, 0.2), (0.05, 0.1)], 18).transformed(
        translation(0.6, 0, 0.2) @ rotation("z", 90)
    )
    tray = box((0.8, 0.6, 0.28), (0, 0, 0.48), 0.06)
    handles = [rod((0.6, side * 0.1, 0.2), (-0.9, side * 0.3, 0.55), 0.022) for side in (-1, 1)]
    legs = [rod((-0.3, side * 0.25, 0.4), (-0.35, side * 0.25, 0), 0.02) for side in (-1, 1)]
    return [
        (wheel, BLACK),
        (merge([tray, *handles, *legs]), Material(between(rng, (0.05, 0.08, 0.06), (0.4, 0.3, 0.2)), 0.6)),
    ]


LOOK_ALIKES = (instrument, pipes, mortar, crates, barrels, wheelbarrow)


def sandbags(rng: np.random.Generator, ground: Ground, radius: float, start: float, sweep: float, rows: int) -> Painted:
    """An arc of sandbags about the origin; `start` and `sweep` in degrees."""
    bag = box((0.5, 0.3, 0.17), bevel=0.06)
    placed = []
    step = np.degrees(0.47 / radius)
    for row in range(rows):
        for angle in np.arange(start + (row % 2) * step / 2, start + sweep - row * step * 0.4, step):
            turn = np.radians(angle)
            x, y = radius * np.cos(turn), radius * np.sin(turn)
            z = float(ground.height(x, y)) + 0.06 + 0.145 * row + rng.normal(0, 0.008)
            spin = rotation("z", float(angle + 90 + rng.normal(0, 5))) @ rotation("x", float(rng.normal(0, 3)))
            placed.append(bag.transformed(translation(x, y, z) @ spin))
    sack = between(rng, (0.2, 0.16, 0.09), (0.45, 0.37, 0.25))
    return [(merge(placed), Material(sack, 0.95, 0.4, seed=int(rng.integers(1 << 30)), tile_metres=0.8))]


def wall(rng: np.random.Generator) -> Painted:
    length, height = float(rng.uniform(3, 14)), float(rng.uniform(0.6, 3))
    pieces = [box((length, 0.3, height), (0, 0, height / 2))]
    if rng.random() < 0.4:
        pieces.append(box((length * 0.4, 0.32, height * 0.5), (length * 0.3, 0, height * 1.2)))
    tint = between(rng, (0.25, 0.2, 0.15), (0.6, 0.55, 0.48))
    return [(merge(pieces), Material(tint, 0.95, 0.5, seed=int(rng.integers(1 << 30)), tile_metres=4.0))]
