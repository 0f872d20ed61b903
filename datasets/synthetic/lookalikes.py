"""Things on tripods and stands that are no weapon but have a launcher's outline, and vehicles that carry none."""

from __future__ import annotations

import numpy as np

from datasets.synthetic import models, vehicles
from datasets.synthetic.geometry import box, merge, rod, rotation, translation, upright
from datasets.synthetic.infantry import tripod, tube
from datasets.synthetic.materials import (
    BLACK,
    LAMP,
    Colour,
    Material,
    between,
    car_paint,
    gunmetal,
    service_paint,
)
from datasets.synthetic.props import Painted
from datasets.synthetic.weapons import painted


def _any_paint(rng: np.random.Generator) -> Material:
    shade = (
        (0.03, 0.03, 0.03),
        (0.55, 0.55, 0.52),
        (0.08, 0.1, 0.05),
        (0.36, 0.29, 0.18),
        (0.5, 0.3, 0.05),
        (0.05, 0.1, 0.25),
    )
    colour = shade[int(rng.integers(len(shade)))]
    return Material(between(rng, colour, colour), float(rng.uniform(0.3, 0.8)), 0.3, seed=int(rng.integers(1 << 30)))


def telescope(rng: np.random.Generator) -> Painted:
    """A big reflector or refractor: a tube as thick and long as a launcher's, on three legs."""
    hub, thick, long = float(rng.uniform(0.6, 1.1)), float(rng.uniform(0.06, 0.14)), float(rng.uniform(0.8, 1.5))
    turn = (
        translation(0, 0, hub + 0.1)
        @ rotation("z", float(rng.uniform(0, 360)))
        @ rotation("y", -float(rng.uniform(-5, 50)))
    )
    body = [
        tube((-long / 2, thick), (long / 2 - 0.1, thick), (long / 2 - 0.09, thick * 1.12), (long / 2, thick * 1.12))
    ]
    body.append(rod((-long * 0.3, thick + 0.04, 0.02), (-long * 0.05, thick + 0.04, 0.02), 0.025))
    ends = [
        tube((long / 2 - 0.002, thick), (long / 2 + 0.004, thick)),
        rod((-long / 2 - 0.1, 0, 0), (-long / 2, 0, 0), 0.03),
    ]
    coat = _any_paint(rng)
    return [(merge(mesh.transformed(turn) for mesh in body), coat), (merge(mesh.transformed(turn) for mesh in ends),
        BLACK),
            (merge(tripod(hub, hub * 0.6, 0.02)), gunmetal(rng))]  # fmt: skip


def pipe_on_stand(rng: np.random.Generator) -> Painted:
    """A steel or plastic pipe clamped on a three-legged pipe stand."""
    hub, thick, long = float(rng.uniform(0.45, 0.95)), float(rng.uniform(0.05, 0.13)), float(rng.uniform(1.2, 3.2))
    shift = float(rng.uniform(-0.3, 0.3))
    turn = (
        translation(0, 0, hub + thick)
        @ rotation("z", float(rng.uniform(0, 360)))
        @ rotation("y", float(rng.normal(0, 6)))
    )
    body = [tube((shift - long / 2, thick), (shift + long / 2, thick))]
    if rng.random() < 0.5:
        body.append(tube((shift + long / 2 - 0.15, thick * 1.25), (shift + long / 2, thick * 1.25)))
    holes = [
        tube((end - 0.003, thick * 0.85), (end + 0.003, thick * 0.85))
        for end in (shift - long / 2 - 0.002, shift + long / 2 + 0.002)
    ]
    return [(merge(mesh.transformed(turn) for mesh in body), _any_paint(rng)),
        (merge(mesh.transformed(turn) for mesh in holes), BLACK),
            (merge(tripod(hub, hub * 0.7, 0.025)), gunmetal(rng))]  # fmt: skip


def searchlight(rng: np.random.Generator) -> Painted:
    hub, wide = float(rng.uniform(0.7, 1.3)), float(rng.uniform(0.15, 0.4))
    turn = (
        translation(0, 0, hub + wide)
        @ rotation("z", float(rng.uniform(0, 360)))
        @ rotation("y", -float(rng.normal(5, 12)))
    )
    drum = tube((-wide, wide * 0.6), (-wide * 0.7, wide * 0.95), (wide * 0.7, wide), (wide * 0.8, wide * 1.06))
    glass = tube((wide * 0.79, wide * 0.96), (wide * 0.82, wide * 0.96))
    yoke = [box((0.05, 0.03, wide * 1.3), (0, side * wide * 1.1, -wide * 0.5)) for side in (-1, 1)]
    return [(merge(mesh.transformed(turn) for mesh in (drum, *yoke)), _any_paint(rng)), (glass.transformed(turn), LAMP),
            (merge([*tripod(hub, hub * 0.55, 0.022), upright([(hub, 0.03), (hub + 0.1, 0.03)])]),
                gunmetal(rng))]  # fmt: skip


def binoculars(rng: np.random.Generator) -> Painted:
    """Big binoculars or a laser designator: a sight box without a tube."""
    hub = float(rng.uniform(0.5, 1.4))
    turn = translation(0, 0, hub + 0.1) @ rotation("z", float(rng.uniform(0, 360)))
    if rng.random() < 0.5:
        body = [rod((-0.25, s * 0.09, 0), (0.25, s * 0.09, 0.0), 0.04, 0.075, 16) for s in (-1, 1)] + [
            box((0.2, 0.2, 0.1), bevel=0.02)
        ]
    else:
        body = [box((0.42, 0.26, 0.24), (0, 0, 0.04), 0.03), rod((0.2, 0.06, 0.06), (0.28, 0.06, 0.06), 0.055),
            rod((0.2, -0.07, 0), (0.25, -0.07, 0), 0.035),
                rod((-0.2, 0, 0.05), (-0.3, 0, 0.05), 0.035)]  # fmt: skip
    return [
        (merge(mesh.transformed(turn) for mesh in body), _any_paint(rng)),
        (merge(tripod(hub, hub * 0.5, 0.018)), gunmetal(rng)),
    ]


def panel_on_tripod(rng: np.random.Generator) -> Painted:
    """A ground radar, a loudspeaker or a dish: something flat or wide on three legs."""
    hub = float(rng.uniform(0.7, 1.4))
    turn = translation(0, 0, hub + 0.25) @ rotation("z", float(rng.uniform(0, 360)))
    kind = rng.random()
    if kind < 0.4:
        body = [box((0.12, 0.7, 0.4), bevel=0.03)]
    elif kind < 0.7:
        body = [tube((-0.2, 0.06), (-0.05, 0.08), (0.25, 0.28), (0.26, 0.28))]
    else:
        body = [tube((-0.12, 0.05), (-0.06, 0.25), (0, 0.42), (0.01, 0.42)), rod((0, 0, -0.3), (0.35, 0, 0), 0.012)]
    return [(merge(mesh.transformed(turn) for mesh in body), _any_paint(rng)),
            (merge([*tripod(hub, hub * 0.5, 0.02), upright([(hub, 0.03), (hub + 0.25, 0.03)])]),
                gunmetal(rng))]  # fmt: skip


def log_on_trestle(rng: np.random.Generator) -> Painted:
    long, thick = float(rng.uniform(1.2, 2.8)), float(rng.uniform(0.07, 0.14))
    trunk = tube((-long / 2, thick * 1.1), (long * 0.1, thick), (long / 2, thick * 0.9), segments=12).transformed(
        translation(0, 0, 0.8)
    )
    legs = [
        rod((x + d, s * 0.3, 0), (x - d, -s * 0.25, 1.0), 0.035)
        for x in (-long * 0.28, long * 0.28)
        for s in (-1, 1)
        for d in (0.04 * s,)
    ]
    bark = Material(
        between(rng, (0.12, 0.08, 0.05), (0.3, 0.22, 0.14)), 0.95, 0.4, seed=int(rng.integers(1 << 30)), tile_metres=0.6
    )
    return [(merge([trunk, *legs]), bark)]


def water_cannon(rng: np.random.Generator) -> Painted:
    """A fire monitor or sprinkler: a tapering barrel on a low tripod with a hose behind."""
    turn = (
        translation(0, 0, 0.65) @ rotation("z", float(rng.uniform(0, 360))) @ rotation("y", -float(rng.uniform(5, 40)))
    )
    body = [tube((-0.4, 0.06), (0.0, 0.06), (0.7, 0.035), (0.72, 0.05), (0.9, 0.05))]
    hose = [rod((-0.35, 0, -0.02), (-0.7, 0.1, -0.5), 0.05), rod((-0.7, 0.1, -0.55), (-2.2, 0.8, -0.6), 0.05)]
    return [(merge(mesh.transformed(turn) for mesh in body), _any_paint(rng)), (merge(mesh.transformed(translation(0,
        0, 0.65)) for mesh in hose), BLACK),
            (merge(tripod(0.6, 0.6, 0.03)), gunmetal(rng))]  # fmt: skip


def drill_rig(rng: np.random.Generator) -> Painted:
    """A core drill: a long motor and rod on a slanting post."""
    slant = rotation("y", float(rng.uniform(-70, -20)))
    body = [
        rod((-0.6, 0, 0), (1.4, 0, 0), 0.05),
        box((0.4, 0.2, 0.24), (0.5, 0.12, 0), 0.03),
        rod((0.0, 0.12, 0), (0.4, 0.12, 0), 0.045),
    ]
    feet = [rod((0, 0, 0.5), (0.7 * np.cos(a), 0.7 * np.sin(a), 0.02), 0.03) for a in (0.5, 2.6, 4.5)]
    return [
        (merge(mesh.transformed(translation(0, 0, 0.6) @ slant) for mesh in body), _any_paint(rng)),
        (merge(feet), gunmetal(rng)),
    ]


STANDS = (telescope, pipe_on_stand, searchlight, binoculars, panel_on_tripod, log_on_trestle, water_cannon, drill_rig)


def vehicle(rng: np.random.Generator, earth: Colour) -> tuple[str, float, Painted]:
    """A vehicle without a weapon: its name, how much room it needs in metres, and its parts."""
    kind = str(
        rng.choice(["truck", "pickup", "car", "excavator", "jeep", "m113"], p=[0.34, 0.2, 0.14, 0.12, 0.08, 0.12])
    )
    coat = car_paint(rng, earth) if rng.random() < 0.5 else service_paint(rng, earth)
    if kind == "truck":
        load = str(rng.choice(["flat", "tarpaulin", "pipes", "crane", "tank"], p=[0.15, 0.25, 0.3, 0.15, 0.15]))
        parts, room = vehicles.truck(rng, load), 4.4
        kind = f"truck_{load}"
    elif kind == "excavator":
        coat = Material(
            between(rng, (0.55, 0.33, 0.03), (0.6, 0.25, 0.05)), 0.5, 0.5, earth, seed=int(rng.integers(1 << 30))
        )
        parts, room = vehicles.excavator(rng), 4.0
    elif kind == "m113":
        coat = service_paint(rng, earth)
        parts, room = models.load("m113"), 3.2
    else:
        parts, room = getattr(vehicles, kind)(rng), 3.2
    return kind, room, list(painted(rng, parts, earth, coat).values())
