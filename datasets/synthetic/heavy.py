"""Rocket trucks, tanks and howitzers from primitives, with published dimensions. Metres, X forward, on z = 0."""

from __future__ import annotations

import numpy as np

from datasets.synthetic.geometry import box, extrude, frustum, lathe, rod, rotation, translation
from datasets.synthetic.infantry import Parts, Pieces, tube
from datasets.synthetic.vehicles import combined, moved_pieces, tracks, truck, wheels


def tube_block(rows: int, columns: int, pitch: float, radius: float, length: float) -> Pieces:
    """Tubes along X from 0 to `length`, the block's lower edge on z = 0, with two clamping frames."""
    wide, high = columns * pitch, rows * pitch
    barrels, mouths = [], []
    for row in range(rows):
        for column in range(columns):
            move = translation(0, (column + 0.5) * pitch - wide / 2, (row + 0.5) * pitch)
            barrels.append(tube((0, radius), (length, radius), segments=10).transformed(move))
            mouths.append(
                tube((length - 0.002, radius * 0.86), (length + 0.004, radius * 0.86), segments=10).transformed(move)
            )
            mouths.append(tube((-0.004, radius * 0.8), (0.002, radius * 0.8), segments=8).transformed(move))
    frames = [
        box((0.08, wide + 0.06, 0.05), (x, 0, z))
        for x in (length * 0.2, length * 0.55, length * 0.85)
        for z in (-0.02, high + 0.02)
    ]
    frames += [
        box((0.08, 0.05, high), (x, s * (wide / 2 + 0.01), high / 2))
        for x in (length * 0.2, length * 0.55, length * 0.85)
        for s in (-1, 1)
    ]
    return {"paint": barrels + frames, "black": mouths}


def grad(rng: np.random.Generator) -> Parts:
    """BM-21: forty tubes of 3 m in four rows on a 6x6 truck; raised, turned, or flat for the road."""
    raised = float(rng.choice([0, rng.uniform(15, 50)], p=[0.35, 0.65]))
    turned = float(rng.normal(0, 12) if raised < 5 else rng.choice([0, rng.uniform(-70, 70)]))
    rows, columns = (4, 10) if rng.random() < 0.75 else (3, 6)
    pitch = 0.152 if columns == 10 else 0.24
    rack = moved_pieces(tube_block(rows, columns, pitch, pitch * 0.42, 3.0), translation(-0.6, 0, 0.25))
    place = translation(-2.3, 0, 1.75) @ rotation("z", turned) @ rotation("y", -raised)
    base: Pieces = {
        "paint": [box((1.3, 1.5, 0.3), (-2.2, 0, 1.25), 0.03), lathe([(0, 0.6), (0.25, 0.55)],
            18).transformed(translation(-2.2, 0, 1.35) @ rotation("y", -90)),
                  box((0.9, 0.12, 0.5), (-2.2, 0.6, 1.7)), box((0.9, 0.12, 0.5), (-2.2, -0.6, 1.7))],
    }  # fmt: skip
    return combined(
        {role: [mesh] for role, mesh in truck(rng, "none", cab_over=rng.random() < 0.25).items()},
        moved_pieces(rack, place),
        base,
    )


def m270(rng: np.random.Generator) -> Parts:
    """M270: a tracked chassis of 6.9 x 3 m, an armoured cab in front, a box of two pods of six behind."""
    hull: Pieces = {
        "paint": [
            extrude([(-3.4, 0.6), (3.0, 0.5), (3.45, 0.95), (3.3, 1.2), (-3.45, 1.2)], 2.2), box((6.4, 2.95, 0.16),
                (-0.1, 0, 1.15), 0.02),
            extrude([(1.0, 1.2), (3.35, 1.2), (3.1, 1.75), (2.75, 2.45), (1.0, 2.5)], 2.7),
        ],
        "pane": [frustum((2.85, 3.07, 1.1), (2.6, 2.83, 1.05), 1.8, 2.32), box((0.5, 2.72, 0.35), (2.15, 0, 2.1))],
        "black": [box((0.3, 2.0, 0.12), (3.2, 0, 1.4))],
        "lamp": [box((0.05, 0.2, 0.12), (3.35, side * 1.1, 1.1)) for side in (-1, 1)],
    }  # fmt: skip
    raised = float(rng.choice([0, rng.uniform(10, 55)]))
    place = (
        translation(-2.5, 0, 1.5) @ rotation("z", float(rng.choice([0, rng.uniform(-90, 90)]))) @ rotation("y", -raised)
    )
    return combined(hull, tracks(-3.3, 3.2, 1.2, 0.53, 0.75, 6), moved_pieces(_pods(2, 4.0), place))


def _pods(count: int, length: float) -> Pieces:
    wide = 1.05 * count + 0.15
    pieces: Pieces = {
        "paint": [
            box((length, wide, 0.1), (length / 2 - 0.8, 0, 1.0), 0.02),
            box((0.3, wide, 0.3), (0, 0, -0.05), 0.02),
        ],
        "container": [],
        "black": [],
    }
    pieces["paint"] += [box((length, 0.08, 0.95), (length / 2 - 0.8, s * wide / 2, 0.5), 0.02) for s in (-1, 1)]
    for pod in range(count):
        y = (pod - (count - 1) / 2) * 1.05
        pieces["container"].append(box((length - 0.1, 1.0, 0.85), (length / 2 - 0.8, y, 0.5), 0.01))
        for x in (length - 0.85, -0.78):
            pieces["black"] += [
                lathe([(0, 0.14), (0.012, 0.14)], 14).transformed(translation(x, y + column * 0.32, 0.32 + row * 0.38))
                for row in (0, 1)
                for column in (-1, 0, 1)
            ]
    return pieces


def himars(rng: np.random.Generator) -> Parts:
    """A cab-over 6x6 with a single pod; stands for the unseen kind."""
    raised = float(rng.choice([0, rng.uniform(15, 55)]))
    place = (
        translation(-2.7, 0, 1.6) @ rotation("z", float(rng.choice([0, rng.uniform(-60, 60)]))) @ rotation("y", -raised)
    )
    base: Pieces = {"paint": [box((1.6, 1.6, 0.4), (-2.3, 0, 1.3), 0.03)]}
    return combined(
        {role: [mesh] for role, mesh in truck(rng, "none", cab_over=True).items()},
        base,
        moved_pieces(_pods(1, 3.9), place),
    )


def tank(rng: np.random.Generator, form: str) -> Parts:
    """`western`: flat-sided turret, hull 7.9 m, 9.8 m with gun (M1A1). `eastern`: round turret, 6.9 and 9.5 m."""
    turned = float(rng.choice([0, rng.normal(0, 40)]))
    raised = float(rng.normal(1, 3))
    if form == "western":
        hull: Pieces = {
            "paint": [
                extrude([(-3.9, 0.6), (3.3, 0.5), (3.95, 0.95), (3.75, 1.15), (1.9, 1.42), (-3.9, 1.42)], 2.3),
                    box((7.5, 3.6, 0.14), (-0.1, 0, 1.3), 0.03),
                *(box((6.6 * share, 0.08, 0.55), (-0.2 + 3.3 * (1 - share), s * 1.78, 1.02),
                    0.02) for share in (float(rng.choice([1.0, 0.6])),) for s in (-1, 1)),
            ],
            "black": [box((0.06, 2.2, 0.4), (-3.9, 0, 1.05)), *(box((0.05, 0.3, 0.12), (3.78, s * 1.2,
                1.2)) for s in (-1, 1))],
        }  # fmt: skip
        under = tracks(-3.85, 3.8, 1.48, 0.63, 0.85, 7)
        turret: Pieces = {
            "paint": [frustum((-2.6, 2.1, 1.6), (-2.4, 1.3, 1.35), 0.05, 0.9), frustum((0.6, 2.3, 1.25), (0.8, 1.9,
                1.1), 0.12, 0.75), box((0.7, 2.9, 0.5), (-2.8, 0, 0.5), 0.04),
                      box((0.6, 0.6, 0.22), (-0.4, -0.75, 0.98), 0.03), box((0.35, 0.35, 0.3), (0.7, -0.8, 1.0), 0.03),
                          lathe([(0, 0.3), (0.1, 0.3)], 16).transformed(translation(-0.4, 0.6, 0.88) @ rotation("y",
                          -90))],
            "black": [], "steel": [],
        }  # fmt: skip
        gun = [
            tube(
                (1.9, 0.2),
                (2.4, 0.16),
                (2.45, 0.1),
                (3.9, 0.1),
                (3.95, 0.13),
                (4.5, 0.13),
                (4.55, 0.085),
                (5.9, 0.08),
                (5.95, 0.09),
                (6.0, 0.09),
            )
        ]
        seat, pivot = translation(0.0, 0, 1.42), translation(0, 0, 0.48)
        gun[0] = gun[0].transformed(pivot @ translation(1.9, 0, 0) @ rotation("y", -raised) @ translation(-1.9, 0, 0))
    else:
        hull = {
            "paint": [extrude([(-3.4, 0.55), (2.6, 0.5), (3.4, 0.9), (2.4, 1.3), (-3.4, 1.25)], 2.2), box((6.5, 3.4,
                0.12), (-0.1, 0, 1.18), 0.03),
                      *(box((5.6, 0.05, 0.4), (0, s * 1.7, 0.98)) for s in (-1, 1)),
                      *(lathe([(-0.45, 0.3), (0.45, 0.3)], 14).transformed(translation(-3.6, s * 0.6,
                          1.3) @ rotation("z", 90)) for s in (-1, 1))],
            "black": [],
        }  # fmt: skip
        under = tracks(-3.3, 3.25, 1.4, 0.58, 0.8, 6)
        turret = {
            "paint": [lathe([(0, 1.35), (0.25, 1.35), (0.5, 1.1), (0.72, 0.6), (0.78, 0.3)],
                20).transformed(rotation("y", -90)),
                      *(box((0.28, 0.3, 0.16), (1.15 * np.cos(a), 1.15 * np.sin(a), 0.42),
                          0.02).transformed(rotation("z", 0)) for a in np.linspace(-1.2, 1.2, 9)),
                      lathe([(0.7, 0.32), (0.85, 0.3)], 16).transformed(translation(-0.2, -0.5, 0) @ rotation("y",
                          -90))],
            "black": [lathe([(0, 0.16), (0.2, 0.18)], 14).transformed(translation(1.0, -0.65, 0.55))],
        }  # fmt: skip
        gun = [
            tube(
                (1.0, 0.22),
                (1.3, 0.14),
                (1.35, 0.095),
                (3.2, 0.09),
                (3.22, 0.13),
                (3.8, 0.13),
                (3.82, 0.085),
                (5.9, 0.075),
                (5.95, 0.085),
                (6.05, 0.085),
            )
        ]
        seat, pivot = translation(0.1, 0, 1.24), translation(0, 0, 0.35)
        gun[0] = gun[0].transformed(pivot @ translation(1.0, 0, 0) @ rotation("y", -raised) @ translation(-1.0, 0, 0))
    turret["paint"] = [*turret["paint"], *gun]
    if rng.random() < 0.5:
        turret.setdefault("cloth", []).append(
            box((0.4, 1.4, 0.34), (-1.45 if form == "eastern" else -3.1, 0, 0.34), 0.1)
        )
    return combined(hull, under, moved_pieces(turret, seat @ rotation("z", turned)))


def howitzer(rng: np.random.Generator, form: str) -> Parts:
    """`m777`: 155 mm, low, two trails behind and two legs in front. `d30`: 122 mm, three trails, recoil box on top.
    `field`: a shielded gun with split trails; stands for the unseen kind."""
    raised = float(abs(rng.normal(12, 14)))
    if form == "m777":
        long = float(rng.uniform(5.4, 6.2))
        gun: Pieces = {
            "paint": [tube((-1.2, 0.16), (0.2, 0.15), (0.25, 0.12), (long - 1.6, 0.095)), box((2.6, 0.3, 0.2), (0.6, 0,
                -0.2), 0.03), tube((-0.6, 0.08), (1.9, 0.08)).transformed(translation(0, 0.18, 0.16)),
                      tube((-0.6, 0.08), (1.9, 0.08)).transformed(translation(0, -0.18, 0.16)), tube((long - 1.65,
                          0.16), (long - 1.5, 0.16), (long - 1.45, 0.11), (long - 1.35, 0.11), (long - 1.3, 0.17),
                          (long - 1.1, 0.17))],
            "black": [box((0.4, 0.35, 0.4), (-1.3, 0, 0), 0.03)],
        }  # fmt: skip
        frame: Pieces = {
            "paint": [box((1.3, 0.9, 0.22), (0, 0, 0.45), 0.03), *(box((0.9, 0.1, 0.55), (-0.2, s * 0.28, 0.75),
                0.02) for s in (-1, 1)),
                      *(rod((-0.4, s * 0.35, 0.4), (-3.6, s * 1.3, 0.12), 0.1, 0.09) for s in (-1, 1)), *(box((0.1,
                          0.5, 0.5), (-3.65, s * 1.32, 0.15), 0.02) for s in (-1, 1)),
                      *(rod((0.5, s * 0.35, 0.4), (2.3, s * 1.0, 0.08), 0.08) for s in (-1, 1))],
        }  # fmt: skip
        place = translation(0, 0, 0.95) @ rotation("y", -raised)
        return combined(frame, moved_pieces(gun, place), wheels([(-0.6, 0.95)], 0.5, 0.26))
    if form == "d30":
        gun = {
            "paint": [tube((-0.9, 0.15), (0.3, 0.13), (0.35, 0.1), (3.2, 0.08), (3.22, 0.12), (3.3, 0.1), (3.36, 0.14),
                (3.42, 0.1), (3.5, 0.14), (3.56, 0.1), (3.66, 0.14), (3.7, 0.09)),
                      box((1.9, 0.26, 0.24), (0.4, 0, 0.24), 0.03), box((0.05, 0.7, 0.8), (0.45, 0.5, 0.1), 0.01),
                          box((0.05, 0.7, 0.8), (0.45, -0.5, 0.1), 0.01)],
            "black": [box((0.35, 0.3, 0.3), (-1.0, 0, 0), 0.02)],
        }  # fmt: skip
        turned = float(rng.uniform(-60, 60))
        trails: Pieces = {"paint": [lathe([(0.1, 0.5), (0.3, 0.4), (0.7, 0.2)], 16).transformed(rotation("y", -90))]}
        for angle in (60, 180, 300):
            spin = rotation("z", angle)
            trails["paint"] += [
                box((2.3, 0.16, 0.18), (1.35, 0, 0.22), 0.02).transformed(spin),
                box((0.1, 0.5, 0.3), (2.45, 0, 0.14), 0.02).transformed(spin),
            ]
        place = translation(0, 0, 0.95) @ rotation("z", turned) @ rotation("y", -raised)
        wheel = moved_pieces(wheels([(-0.35, 0.75)], 0.42, 0.22), translation(0, 0, 0.25) @ rotation("z", turned))
        return combined(trails, moved_pieces(gun, place), wheel)
    gun = {
        "paint": [tube((-0.8, 0.13), (0.2, 0.12), (0.25, 0.09), (3.0, 0.07), (3.02, 0.11), (3.3, 0.11)), tube((-0.5,
            0.09), (1.2, 0.09)).transformed(translation(0, 0, -0.2))],
        "black": [box((0.3, 0.3, 0.3), (-0.9, 0, 0), 0.02)],
    }  # fmt: skip
    frame = {
        "paint": [frustum((0.3, 0.36, 0.95), (0.1, 0.16, 0.8), 0.5, 1.6), rod((0.1, -0.8, 0.45), (0.1, 0.8, 0.45),
            0.06),
                  *(rod((0, s * 0.25, 0.5), (-3.0, s * float(rng.uniform(0.3, 1.1)), 0.1), 0.08) for s in (-1, 1))],
    }  # fmt: skip
    return combined(
        frame,
        moved_pieces(gun, translation(0, 0, 0.95) @ rotation("y", -min(raised, 25))),
        wheels([(0.1, 0.85)], 0.48, 0.16),
    )
