"""Wheeled and tracked carriers from primitives: pickups, jeeps, trucks, Humvees, cars, an excavator.

Metres, X forward, wheels on z = 0. Each maker returns parts by role; `MOUNTS` says where a weapon can be bolted on.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from datasets.synthetic.geometry import box, extrude, frustum, lathe, rod, rotation, translation
from datasets.synthetic.infantry import Parts, Pieces, merged, tube

Mount = tuple[float, float]
"""(x, z) of the floor that a pedestal or gunner stands on, on the vehicle's middle line."""
MOUNTS: dict[str, Mount] = {"pickup": (-1.25, 0.78), "jeep": (-0.75, 0.62), "truck": (-1.6, 1.28), "m113": (-0.4, 1.83)}


def wheels(places: Sequence[tuple[float, float]], radius: float, width: float) -> Pieces:
    """Tyres and rims at (x, y) places and at their mirror images."""
    tyre = lathe(
        [(-width / 2, radius * 0.84), (-width * 0.38, radius), (width * 0.38, radius), (width / 2, radius * 0.84)], 22
    )
    rim = lathe(
        [
            (-width * 0.52, radius * 0.3),
            (-width * 0.51, radius * 0.55),
            (width * 0.51, radius * 0.55),
            (width * 0.52, radius * 0.3),
        ],
        14,
    )
    turned = [translation(x, side * y, radius) @ rotation("z", 90) for x, y in places for side in (-1, 1)]
    return {
        "rubber": [tyre.transformed(turn) for turn in turned],
        "rim_paint": [rim.transformed(turn) for turn in turned],
    }


def tracks(
    rear: float, front: float, y: float, width: float, height: float, rollers: int, *, rise: float = 0.12
) -> Pieces:
    """Two belts with `rollers` road wheels each, the ends drawn up by `rise`."""
    r = height / 2
    end = np.radians(np.linspace(-90, 90, 6))
    profile = [(front - r + r * np.cos(a), r + rise + r * np.sin(a)) for a in end]
    profile += [(rear + r - r * np.cos(a), r + rise + r * np.sin(a)) for a in end[::-1]]
    profile += [(rear + r * 1.3, 0.0), (front - r * 1.3, 0.0)]
    belts = [extrude(profile, width, side * y) for side in (-1, 1)]
    road = height * 0.36
    disc = lathe(
        [(-width * 0.53, road * 0.6), (-width * 0.52, road), (width * 0.52, road), (width * 0.53, road * 0.6)], 16
    )
    discs = [
        disc.transformed(translation(x, side * y, road + 0.06) @ rotation("z", 90))
        for x in np.linspace(rear + r * 1.4, front - r * 1.4, rollers)
        for side in (-1, 1)
    ]
    return {"rubber": belts, "wheel_paint": discs}


def combined(*groups: Pieces) -> Parts:
    total: Pieces = {}
    for group in groups:
        for role, meshes in group.items():
            total.setdefault(role, []).extend(meshes)
    return merged(total)


def pickup(rng: np.random.Generator) -> Parts:
    """5.2 m long, 1.8 m wide, 1.75 m high; single or double cab."""
    double = rng.random() < 0.5
    cab = -0.55 if double else 0.0
    body = [
        extrude([(-2.5, 0.5), (2.5, 0.42), (2.55, 0.8), (2.45, 0.98), (1.15, 1.06), (-2.55, 1.02)], 1.76),
        frustum((cab - 0.02, 1.2, 0.86), (cab + 0.08, 0.55, 0.7), 1.02, 1.74),
        box((0.14, 1.74, 0.2), (2.52, 0, 0.52), 0.03), box((0.12, 1.74, 0.16), (-2.58, 0, 0.55), 0.02),
    ]  # fmt: skip
    bed_front = cab - 0.1
    length = bed_front + 2.55
    middle = (bed_front - 2.55) / 2
    body += [box((length, 0.06, 0.3), (middle, side * 0.85, 1.08), 0.01) for side in (-1, 1)]
    body += [box((0.06, 1.7, 0.3), (-2.53, 0, 1.08), 0.01), box((0.05, 1.7, 0.3), (bed_front, 0, 1.08), 0.01)]
    glass = [frustum((cab + 0.02, 1.21, 0.8), (cab + 0.09, 0.58, 0.66), 1.1, 1.66)]
    panes = [(cab + 0.15, 0.5)] if not double else [(cab + 0.12, 0.02), (0.1, 0.55)]
    glass += [frustum((a, b + 0.22, 0.866), (a + 0.04, b - 0.04, 0.73), 1.1, 1.64) for a, b in panes]
    pieces: Pieces = {
        "paint": body,
        "pane": glass,
        "black": [box((0.04, 1.2, 0.16), (2.54, 0, 0.78), 0.01), box((length - 0.1, 1.6, 0.04), (middle, 0, 0.99))],
        "lamp": [box((0.05, 0.26, 0.14), (2.5, side * 0.7, 0.82), 0.02) for side in (-1, 1)],
    }
    if rng.random() < 0.4:
        pieces["steel"] = [
            rod((bed_front - 0.05, side * 0.7, 1.1), (bed_front - 0.05, side * 0.7, 1.72), 0.03) for side in (-1, 1)
        ]
        pieces["steel"].append(rod((bed_front - 0.05, -0.7, 1.72), (bed_front - 0.05, 0.7, 1.72), 0.03))
    return combined(pieces, wheels([(1.55, 0.78), (-1.5, 0.78)], 0.38, 0.25))


def jeep(rng: np.random.Generator) -> Parts:
    """M151 and its like: 3.4 m long, 1.6 m wide, open, windscreen up or folded."""
    body = [
        extrude([(-1.65, 0.45), (0.55, 0.45), (0.55, 1.0), (0.0, 0.72), (-0.45, 0.72), (-0.6, 1.0), (-1.65, 1.0)],
            0.05, 0.74),
        extrude([(-1.65, 0.45), (0.55, 0.45), (0.55, 1.0), (0.0, 0.72), (-0.45, 0.72), (-0.6, 1.0), (-1.65, 1.0)],
            0.05, -0.74),
        extrude([(0.5, 0.45), (1.7, 0.5), (1.7, 0.98), (0.5, 1.05)], 1.12), box((1.05, 1.54, 0.06), (1.18, 0, 0.86),
            0.02),
        box((2.2, 1.46, 0.08), (-0.55, 0, 0.56)), box((0.05, 1.48, 0.5), (-1.64, 0, 0.74)), box((0.1, 1.5, 0.14),
            (1.78, 0, 0.5), 0.02),
    ]  # fmt: skip
    seats = [box((0.45, 0.45, 0.12), (-0.1, side * 0.36, 0.72), 0.03) for side in (-1, 1)]
    seats += [box((0.1, 0.45, 0.45), (-0.34, side * 0.36, 0.95), 0.03) for side in (-1, 1)]
    pieces: Pieces = {
        "paint": body,
        "black": [*seats, *(box((0.02, 0.03, 0.34), (1.715, y, 0.76)) for y in np.linspace(-0.3, 0.3, 7))],
        "lamp": [
            lathe([(0, 0.09), (0.03, 0.08)], 12).transformed(translation(1.7, side * 0.46, 0.78)) for side in (-1, 1)
        ],
    }
    if rng.random() < 0.6:
        pieces["paint"] += [rod((0.55, side * 0.68, 1.0), (0.45, side * 0.68, 1.5), 0.025) for side in (-1, 1)]
        pieces["paint"] += [
            rod((0.45, -0.68, 1.5), (0.45, 0.68, 1.5), 0.025),
            rod((0.55, -0.68, 1.03), (0.55, 0.68, 1.03), 0.025),
        ]
        pieces["pane"] = [frustum((0.535, 0.55, 0.64), (0.445, 0.455, 0.64), 1.05, 1.47)]
    return combined(pieces, wheels([(1.08, 0.68), (-1.08, 0.68)], 0.36, 0.18))


def truck(rng: np.random.Generator, load: str, *, cab_over: bool | None = None) -> Parts:
    """A 6x6 truck, 7.4 x 2.5 x 2.8 m. `load`: `flat`, `tarpaulin`, `pipes`, `crane`, `tank` or `none` (bare frame)."""
    pieces: Pieces = {
        "paint": [],
        "pane": [],
        "black": [box((7.0, 0.9, 0.2), (-0.1, 0, 0.98))],
        "lamp": [],
        "cloth": [],
        "steel": [],
    }
    over = bool(rng.random() < 0.45) if cab_over is None else cab_over
    front = 3.55
    if over:
        back = 1.65
        pieces["paint"].append(
            extrude([(back, 1.0), (front, 0.85), (front + 0.04, 1.5), (front - 0.12, 2.6), (back, 2.65)], 2.4)
        )
        pieces["pane"] += [frustum((front - 0.14, front + 0.02, 1.08), (front - 0.2, front - 0.09, 1.05), 1.75, 2.45)]
        pieces["pane"] += [box((0.8, 2.43, 0.6), (front - 0.75, 0, 2.1), 0.02)]
        pieces["black"].append(box((0.05, 1.5, 0.35), (front + 0.02, 0, 1.2)))
    else:
        back = 0.55
        pieces["paint"] += [
            extrude([(1.9, 0.95), (front, 0.95), (front, 1.6), (1.9, 1.78)], 1.5),
            extrude([(back, 1.0), (2.0, 1.0), (2.0, 1.75), (1.75, 2.55), (back, 2.6)], 2.2),
        ]
        pieces["paint"] += [box((1.15, 0.5, 0.1), (2.75, side * 0.98, 1.32), 0.03) for side in (-1, 1)]
        pieces["pane"] += [
            frustum((1.8, 2.02, 1.0), (1.7, 1.79, 0.96), 1.85, 2.42),
            box((0.75, 2.23, 0.5), (1.2, 0, 2.1), 0.02),
        ]
        pieces["black"].append(box((0.04, 1.1, 0.45), (front + 0.01, 0, 1.3)))
    pieces["paint"].append(box((0.14, 2.4, 0.24), (front + 0.12, 0, 0.78), 0.03))
    pieces["lamp"] += [
        lathe([(0, 0.11), (0.03, 0.1)], 12).transformed(translation(front + 0.02, side * 0.95, 1.15))
        for side in (-1, 1)
    ]
    pieces["black"] += [
        lathe([(-0.5, 0.28), (0.5, 0.28)], 14).transformed(translation(0.2, side * 0.85, 0.95)) for side in (-1, 1)
    ]
    rear, bed = -3.6, back - 0.15
    length, middle = bed - rear, (bed + rear) / 2
    if load != "none":
        pieces["paint"].append(box((length, 2.4, 0.14), (middle, 0, 1.2)))
    if load in ("flat", "tarpaulin", "pipes"):
        pieces["paint"] += [box((length, 0.06, 0.55), (middle, side * 1.18, 1.5)) for side in (-1, 1)]
        pieces["paint"].append(box((0.06, 2.4, 0.55), (rear, 0, 1.5)))
    if load == "tarpaulin":
        pieces["cloth"].append(
            extrude([(rear, 1.75), (bed, 1.75), (bed, 2.85), (bed - 0.1, 3.0), (rear + 0.1, 3.0), (rear, 2.85)], 2.42)
        )
    elif load == "pipes":
        r = float(rng.uniform(0.06, 0.2))
        places = [
            (n * 2.1 * r, row * 1.85 * r)
            for row in range(3)
            for n in np.arange(-int(1 / (2.1 * r)), int(1 / (2.1 * r)) + 1)
        ]
        pieces["steel"] += [
            tube((rear - 0.2, r), (bed - 0.1, r), segments=10).transformed(translation(0, y, 1.3 + r + z))
            for y, z in places
        ]
    elif load == "crane":
        raised = float(rng.uniform(2.6, 5))
        pieces["paint"] += [
            box((1.1, 1.6, 1.1), (-0.9, 0, 1.8), 0.05),
            rod((-0.9, 0, 2.4), (3.6, 0, raised), 0.22, 0.14, 8),
        ]
        pieces["black"].append(rod((3.5, 0, raised), (3.5, 0, raised - 1.0), 0.02))
    elif load == "tank":
        pieces["paint"].append(
            lathe([(rear, 0.8), (rear + 0.1, 0.95), (bed - 0.15, 0.95), (bed, 0.8)], 20).transformed(
                translation(0, 0, 2.1)
            )
        )
    return combined(pieces, wheels([(2.6, 1.0), (-1.6, 1.0), (-2.9, 1.0)], 0.6, 0.42))


def humvee_kit(rng: np.random.Generator, form: str) -> Parts:
    """A HMMWV of 4.6 x 2.16 x 1.83 m. `form`: `two_door`, `four_door`, `soft_top`, `armoured`, `slant_back`."""
    side = 1.04
    pieces: Pieces = {
        "paint": [
            extrude([(0.85, 0.55), (2.12, 0.62), (2.2, 0.75), (2.2, 1.0), (2.0, 1.12), (0.85, 1.28)], 2 * side - 0.06),
            extrude([(-2.25, 0.55), (0.9, 0.5), (0.9, 1.24), (-2.25, 1.22)], 2 * side),
            box((0.12, 2.0, 0.2), (2.32, 0, 0.62), 0.02), box((0.1, 2.0, 0.22), (-2.3, 0, 0.6), 0.02),
        ],
        "pane": [], "cloth": [],
        "black": [*(box((0.03, 0.05, 0.26), (2.205, y, 0.88)) for y in np.linspace(-0.36, 0.36, 7)),
                  *(box((1.0, 2 * side + 0.01, 0.02), (x, 0, 0.92)) for x in (1.65, -1.65)),
                  *(box((0.05, 0.2, 0.16), (0.75, s * (side + 0.16), 1.42), 0.02) for s in (-1, 1))],
        "lamp": [lathe([(0, 0.1), (0.03, 0.09)], 14).transformed(translation(2.2, s * 0.68, 0.9)) for s in (-1, 1)],
        "steel": [rod((2.4, -0.7, 0.55), (2.4, 0.7, 0.55), 0.04)],
    }  # fmt: skip
    rear = {"two_door": -0.25, "four_door": -1.2, "soft_top": -2.2, "armoured": -1.25, "slant_back": -0.75}[form]
    skin = "cloth" if form == "soft_top" and rng.random() < 0.7 else "paint"
    top = 1.83
    pieces[skin].append(frustum((rear, 0.86, side - 0.02), (rear + 0.04, 0.62, side - 0.16), 1.2, top))
    pieces["pane"] += [frustum((0.6, 0.875, 0.86), (0.58, 0.655, 0.78), 1.3, 1.75)]
    panes = [(-0.2, 0.45), (-0.95, -0.35)] if rear < -0.8 else [(-0.15, 0.45)]
    high = 1.66 if form != "armoured" else 1.6
    pieces["pane"] += [frustum((a, b, side - 0.015), (a + 0.04, b - 0.1, side - 0.12), 1.3, high) for a, b in panes]
    if form == "slant_back":
        pieces["paint"].append(extrude([(rear + 0.05, 1.2), (rear + 0.05, top), (-2.2, 1.28), (-2.2, 1.2)], 1.72))
    elif form == "armoured":
        pieces["paint"] += [box((0.9, 2 * side + 0.1, 0.55), (x, 0, 1.0), 0.02) for x in (0.25, -0.7)]
        pieces["paint"].append(extrude([(-1.2, 1.2), (-1.2, 1.7), (-2.2, 1.4), (-2.2, 1.2)], 1.8))
        pieces["paint"].append(
            lathe([(0, 0.5), (0.06, 0.5)], 18).transformed(translation(-0.3, 0, top - 0.01) @ rotation("y", -90))
        )
    elif form in ("two_door", "four_door"):
        pieces["paint"] += [box((rear + 2.2, 0.06, 0.16), ((rear - 2.2) / 2, s * (side - 0.06), 1.26)) for s in (-1, 1)]
    if rng.random() < 0.5:
        pieces["steel"].append(rod((-2.1, 0.9, 1.2), (-2.3, 0.95, 3.2), 0.012))
    if rng.random() < 0.3:
        pieces["cloth"].append(box((0.35, 1.3, 0.35), (-2.35, 0, 1.15), 0.1))
    return combined(pieces, wheels([(1.63, 0.92), (-1.63, 0.92)], 0.46, 0.32))


def moved_pieces(pieces: Pieces, matrix: np.ndarray) -> Pieces:
    return {role: [mesh.transformed(matrix) for mesh in meshes] for role, meshes in pieces.items()}


def excavator(rng: np.random.Generator) -> Parts:
    """Tracks, cab, boom, stick and bucket: a civil machine with a tank's running gear and an arm."""
    upper: Pieces = {
        "paint": [box((2.6, 2.4, 0.9), (-0.7, 0, 1.5), 0.06), rod((0.6, 0.1, 1.7), (2.8, 0.1, 3.6), 0.22, 0.18, 6),
            rod((2.8, 0.1, 3.6), (5.0, 0.1, 2.2), 0.18, 0.13, 6),
                  frustum((0.1, 1.2, 0.45), (0.2, 1.0, 0.42), 1.4, 2.7).transformed(translation(0, 0.75, 0))],
        "pane": [frustum((0.2, 1.22, 0.4), (0.3, 1.02, 0.38), 1.8, 2.6).transformed(translation(0, 0.75, 0))],
        "steel": [extrude([(4.7, 2.3), (5.2, 2.2), (5.3, 1.6), (4.7, 1.4), (4.5, 1.8)], 1.0, 0.1), rod((0.7, 0.1, 1.5),
            (2.2, 0.1, 2.9), 0.08)],
    }  # fmt: skip
    return combined(
        tracks(-1.9, 1.9, 1.1, 0.55, 0.8, 6),
        {"black": [box((1.2, 1.6, 0.5), (0, 0, 0.8))]},
        moved_pieces(upper, rotation("z", float(rng.uniform(-60, 60)))),
    )


def car(rng: np.random.Generator) -> Parts:
    """A van or saloon of 4.5 m."""
    tall = float(rng.choice([1.45, 1.95]))
    pieces: Pieces = {
        "paint": [extrude([(-2.2, 0.4), (2.2, 0.35), (2.25, 0.75), (1.2, 0.95), (-2.25, 0.95)], 1.72),
            frustum((-2.0 if tall > 1.6 else -1.6, 1.25, 0.84), (-1.8 if tall > 1.6 else -1.0, 0.5, 0.68), 0.94, tall)],
        "pane": [frustum((-1.9 if tall > 1.6 else -1.5, 1.2, 0.845), (-1.75 if tall > 1.6 else -1.0, 0.53, 0.69), 1.0,
            tall - 0.1)],
        "lamp": [box((0.06, 0.3, 0.12), (2.2, s * 0.65, 0.7), 0.02) for s in (-1, 1)],
    }  # fmt: skip
    return combined(pieces, wheels([(1.35, 0.76), (-1.35, 0.76)], 0.32, 0.2))


def mesh_top(parts: Parts, x: float, y: float = 0.0) -> float:
    """How high the parts reach over the point (x, y): the highest triangle that a plumb line there meets."""
    heights = []
    for mesh in parts.values():
        a, b, c = (mesh.vertices[mesh.faces[:, corner]] for corner in range(3))
        area = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (c[:, 0] - a[:, 0]) * (b[:, 1] - a[:, 1])
        flat = np.where(np.abs(area) > 1e-9, area, np.inf)
        u = ((x - a[:, 0]) * (c[:, 1] - a[:, 1]) - (c[:, 0] - a[:, 0]) * (y - a[:, 1])) / flat
        v = ((b[:, 0] - a[:, 0]) * (y - a[:, 1]) - (x - a[:, 0]) * (b[:, 1] - a[:, 1])) / flat
        met = np.isfinite(flat) & (u >= 0) & (v >= 0) & (u + v <= 1)
        heights.append(float((a + u[:, None] * (b - a) + v[:, None] * (c - a))[met, 2].max(initial=0.0)))
    return max(heights)
