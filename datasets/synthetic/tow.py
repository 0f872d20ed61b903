"""A TOW launcher (M220 pattern) from primitives, with dimensions drawn from the ranges in the data sheet.

Models of the real thing under a free licence do not exist, and one mesh would be learnt by heart.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from datasets.synthetic.geometry import Mesh, box, lathe, merge, rod, rotation, translation

Parts = dict[str, Mesh]


def launcher(
    rng: np.random.Generator, *, mount: str, column: tuple[float, float] = (0.3, 0.75), held_out: bool = False
) -> Parts:
    """Parts by role. `mount` is `tripod` (feet on z = 0) or `pedestal` (foot of the column on z = 0, its height in
    metres drawn from `column`). `held_out` gives forms of sight and tube that training pictures never show.

    Roles: `paint`, `black`, `container` (the missile's own case), `kit_paint`, `kit_black` (guidance set and cable
    on the ground: not part of the labelled launcher).
    """
    hub = float(rng.uniform(0.38, 0.62)) if mount == "tripod" else float(rng.uniform(*column))
    parts: dict[str, list[Mesh]] = {"paint": [], "black": [], "container": [], "cloth": []}
    _upper(rng, parts, hub, held_out)
    if mount == "tripod":
        _tripod(rng, parts["paint"], hub)
        if rng.random() < 0.7:
            _guidance_set(rng, parts, hub)
    else:
        parts["paint"] += [
            lathe([(0, 0.17), (0.06, 0.17), (0.1, 0.1), (hub, 0.085)]).transformed(rotation("y", -90)),
            lathe([(0, 0.46), (0.05, 0.46)], 24).transformed(rotation("y", -90)),
        ]
    return {role: merge(meshes) for role, meshes in parts.items() if meshes}


def _upper(rng: np.random.Generator, parts: dict[str, list[Mesh]], hub: float, held_out: bool) -> None:
    """Traversing unit, tube, sights: everything that turns on the hub."""
    elevation, traverse = float(rng.normal(3, 5)), float(rng.uniform(-35, 35))
    axis = float(rng.uniform(0.36, 0.44))
    turned = translation(0, 0, hub) @ rotation("z", traverse)
    tilted = turned @ translation(0, 0, axis) @ rotation("y", -elevation)
    paint, black = parts["paint"], parts["black"]

    yoke = [
        lathe([(0, 0.13), (0.08, 0.15), (0.16, 0.12), (0.22, 0.1)]).transformed(rotation("y", -90)),
        box((0.3, 0.26, 0.16), (0, 0, 0.2), 0.02),
        box((0.16, 0.05, 0.3), (0, 0.125, 0.3), 0.012),
        box((0.16, 0.05, 0.3), (0, -0.125, 0.3), 0.012),
        rod((-0.1, 0.13, 0.2), (-0.26, 0.16, 0.14), 0.022),
        rod((-0.1, -0.13, 0.2), (-0.26, -0.16, 0.14), 0.022),
    ]
    paint += [mesh.transformed(turned) for mesh in yoke]
    black += [rod((-0.26, side * 0.16, 0.08), (-0.26, side * 0.16, 0.2), 0.026).transformed(turned) for side in (-1, 1)]

    flare = float(rng.uniform(0.12, 0.126) if held_out else rng.uniform(0.106, 0.12))
    front = float(rng.uniform(0.98, 1.04) if held_out else rng.uniform(0.84, 0.98))
    back = front - 1.67
    step = front - float(rng.uniform(0.72, 0.78) if held_out else rng.uniform(0.58, 0.72))
    tube = [
        lathe(
            [(back, 0.088), (back + 0.03, 0.095), (back + 0.06, 0.086), (step - 0.14, 0.086), (step, flare),
             (front - 0.05, flare), (front - 0.04, flare + 0.012), (front, flare + 0.012)],
            28,
        ),
        box((0.22, 0.25, 0.2), (0, 0, 0), 0.03),
    ]  # fmt: skip
    paint += [mesh.transformed(tilted) for mesh in tube]
    black.append(lathe([(front - 0.002, flare - 0.004), (front + 0.004, flare - 0.006)], 24).transformed(tilted))

    bands = [(step + 0.1, flare), (front - 0.18, flare), (back + 0.3, 0.086), (step - 0.22, 0.086)]
    for place, radius in bands[: int(rng.integers(0, 5))]:
        paint.append(lathe([(place, radius + 0.007), (place + 0.03, radius + 0.007)], 24).transformed(tilted))
    paint += [
        box((0.09, 0.05, 0.05), (0.02, 0, 0.13), 0.008).transformed(tilted),
        rod((-0.06, 0.1, 0.12), (0.09, 0.1, 0.14), 0.012, segments=8).transformed(tilted),
    ]
    if rng.random() < 0.2:
        near, long = float(rng.uniform(back + 0.1, front - 0.5)), float(rng.uniform(0.15, 0.4))
        profile = [(near + long * n / 5, flare + 0.012 + float(rng.uniform(0, 0.02))) for n in range(6)]
        parts["cloth"].append(lathe(profile, 16).transformed(tilted))
    if rng.random() < 0.7:
        end = back - float(rng.uniform(0.35, 0.55))
        ribs = [(end, 0.1), (end + 0.03, 0.108)]
        for rib in np.linspace(end + 0.12, back - 0.08, 3):
            ribs += [(rib - 0.012, 0.108), (rib - 0.01, 0.119), (rib + 0.01, 0.119), (rib + 0.012, 0.108)]
        parts["container"].append(lathe([*ribs, (back + 0.04, 0.108)], 24).transformed(tilted))
        black.append(lathe([(end - 0.006, 0.09), (end + 0.001, 0.092)], 20).transformed(tilted))
    else:
        black.append(lathe([(back - 0.004, 0.078), (back + 0.002, 0.08)], 20).transformed(tilted))
    _sights(rng, parts, tilted, held_out)


def _sights(rng: np.random.Generator, parts: dict[str, list[Mesh]], tilted: np.ndarray, held_out: bool) -> None:
    paint, black = parts["paint"], parts["black"]
    kind = rng.random()
    if held_out:
        boxes = [box((0.36, 0.2, 0.3), (0.06, 0.27, 0.06), 0.03), box((0.14, 0.16, 0.16), (-0.16, 0.27, 0.02), 0.02)]
        lenses = [lathe([(0, 0.1), (0.12, 0.105), (0.13, 0.09)], 20).transformed(translation(0.22, 0.27, 0.08))]
        eyepiece = rod((-0.2, 0.3, 0.04), (-0.34, 0.3, 0.04), 0.05)
        boxes.append(rod((-0.1, 0.27, 0.24), (0.2, 0.27, 0.24), 0.05, segments=14))
    elif kind < 0.3:
        boxes = [box((0.5, 0.3, 0.34), (0.02, 0.28, 0.02), 0.025)]
        lenses = [lathe([(0, r), (0.05, r), (0.06, r * 0.9)], 18).transformed(translation(0.27, y, z))
                  for r, y, z in ((0.075, 0.22, 0.07), (0.05, 0.36, -0.05))]  # fmt: skip
        eyepiece = rod((-0.23, 0.3, 0.02), (-0.4, 0.3, 0.0), 0.04, 0.055)
    else:
        boxes = [box((0.4, 0.17, 0.17), (0, 0.245, 0.02), 0.018), box((0.12, 0.12, 0.1), (0, 0.13, 0), 0.01)]
        lenses = [rod((0.2, 0.245, 0.02), (0.33, 0.245, 0.02), 0.055, 0.065)]
        eyepiece = rod((-0.2, 0.25, 0.02), (-0.38, 0.25, -0.03), 0.032, 0.05)
        if rng.random() < 0.6:
            boxes.append(box((0.46, 0.2, 0.2), (0.03, 0.245, 0.22), 0.02))
            lenses.append(rod((0.26, 0.245, 0.23), (0.36, 0.245, 0.23), 0.075, 0.085))
    paint += [mesh.transformed(tilted) for mesh in boxes]
    black += [mesh.transformed(tilted) for mesh in [*lenses, eyepiece]]


def _tripod(rng: np.random.Generator, paint: list[Mesh], hub: float) -> None:
    foot = float(rng.uniform(0.72, 0.98))
    radius = float(rng.uniform(0.044, 0.056))
    paint.append(
        lathe([(0, 0.1), (0.05, 0.15), (0.14, 0.15), (0.17, 0.1)]).transformed(
            translation(0, 0, hub - 0.16) @ rotation("y", -90)
        )
    )
    for angle in (60, 180, 300):
        turn = rotation("z", angle + float(rng.normal(0, 3)))
        reach = foot * float(rng.uniform(0.94, 1.06))
        leg = [
            rod((0.1, 0, hub - 0.06), (reach, 0, 0.05), radius, radius * 0.85, 14),
            lathe([(0, 0.105), (0.035, 0.1), (0.05, 0.05)], 18).transformed(
                translation(reach, 0, 0) @ rotation("y", -90)
            ),
            rod((0.06, 0, hub - 0.26), (reach * 0.5, 0, hub * 0.5), 0.018),
        ]
        paint += [mesh.transformed(turn) for mesh in leg]
    paint.append(rod((0, 0, hub - 0.05), (0, 0, hub - 0.3), 0.05))


def _guidance_set(rng: np.random.Generator, parts: dict[str, list[Mesh]], hub: float) -> None:
    x, y = float(rng.uniform(-0.8, -0.35)), float(rng.choice([-1, 1]) * rng.uniform(0.35, 0.6))
    turn = translation(x, y, 0.13) @ rotation("z", float(rng.uniform(0, 180)))
    parts["kit_paint"] = [box((0.44, 0.28, 0.26), (0, 0, 0), 0.02).transformed(turn)]
    bend = ((x * 0.6, y * 0.6, 0.08), (x * 0.2, y * 0.25, hub * 0.4), (-0.1, 0, hub + 0.1))
    path = ((x, y, 0.26), *bend)
    parts["kit_black"] = [rod(a, b, 0.014, segments=6) for a, b in pairwise(path)]
