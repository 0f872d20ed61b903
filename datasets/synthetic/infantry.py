"""What a few soldiers carry: shoulder-fired tubes, missile launchers that are no TOW, recoilless guns, machine guns.

They stand where TOW launchers stand and have their outline, so a model learns the difference from them. Dimensions
are the published ones; metres, X forward. Shoulder weapons rest on the shoulder at the origin,
    the others stand on z = 0.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from datasets.synthetic.geometry import Mesh, box, lathe, merge, rod, rotation, translation, upright

Parts = dict[str, Mesh]
Pieces = dict[str, list[Mesh]]


def tube(*profile: tuple[float, float], segments: int = 18) -> Mesh:
    return lathe(profile, segments)


def tripod(
    hub: float, reach: float, radius: float, *, angles: tuple[float, ...] = (60, 180, 300), pad: float = 0.05
) -> list[Mesh]:
    """Legs from a hub `hub` metres up to feet `reach` metres out."""
    made = [upright([(hub - 0.08, radius * 2.2), (hub, radius * 2.4)], 14)]
    for angle in angles:
        turn = rotation("z", angle)
        foot = [rod((0.02, 0, hub - 0.03), (reach, 0, 0.03), radius, radius * 0.8),
                upright([(0, pad), (0.025, pad * 0.8)], 12).transformed(translation(reach, 0, 0))]  # fmt: skip
        made += [mesh.transformed(turn) for mesh in foot]
    return made


def merged(pieces: Pieces, matrix: np.ndarray | None = None) -> Parts:
    parts = {role: merge(meshes) for role, meshes in pieces.items() if meshes}
    return parts if matrix is None else {role: mesh.transformed(matrix) for role, mesh in parts.items()}


def joined(*groups: Parts) -> Parts:
    roles = sorted({role for group in groups for role in group})
    return {role: merge(group[role] for group in groups if role in group) for role in roles}


def _grip(x: float, top: float, long: float = 0.13) -> Mesh:
    return box((0.04, 0.035, long), (x, 0, top - long / 2), 0.008)


def rpg7(rng: np.random.Generator) -> Parts:
    """Tube of 40 mm and 0.95 m, wooden heat guard, bell at the rear; the round's cone in front or not."""
    pieces: Pieces = {
        "steel": [
            tube((-0.5, 0.052), (-0.44, 0.03), (-0.32, 0.024), (0.45, 0.024)),
            _grip(0.12, -0.02), _grip(0.24, -0.02, 0.11), box((0.03, 0.02, 0.1), (0.33, 0, 0.06)),
        ],
        "wood": [tube((-0.26, 0.03), (-0.24, 0.037), (0.02, 0.037), (0.04, 0.03))],
    }  # fmt: skip
    if rng.random() < 0.5:
        pieces["steel"] += [
            box((0.12, 0.04, 0.06), (0.14, 0.06, 0.07), 0.008),
            rod((0.05, 0.06, 0.08), (0, 0.06, 0.08), 0.022),
        ]
    if rng.random() < 0.65:
        fat = float(rng.uniform(0.036, 0.05))
        pieces["paint"] = [
            tube((0.42, 0.02), (0.6, 0.02), (0.66, fat * 0.8), (0.72, fat), (0.78, fat), (0.95, 0.012), (0.98, 0.008))
        ]
    return merged(pieces)


def at4(rng: np.random.Generator) -> Parts:
    """A throw-away tube of 84 mm and 1.02 m with a wider end at the rear."""
    r = 0.046
    return merged({
        "paint": [tube((-0.5, r * 1.1), (-0.46, r * 1.65), (-0.36, r * 1.5), (-0.3, r), (0.42, r), (0.43, r * 1.25),
            (0.52, r * 1.25))],
        "black": [tube((-0.503, r * 0.95), (-0.498, r)), tube((0.518, r), (0.524, r)), box((0.05, 0.03, 0.07), (0.3,
            0.02, 0.08)),
                  box((0.05, 0.03, 0.06), (-0.05, 0.02, 0.08)), box((0.1, 0.04, 0.03), (0.1, 0, -0.06))],
    })  # fmt: skip


def law(rng: np.random.Generator) -> Parts:
    """A telescoped tube of 66 mm: thin at the front, thicker behind."""
    r = 0.038
    return merged({
        "paint": [tube((-0.5, r * 1.25), (0.0, r * 1.25), (0.01, r), (0.46, r))],
        "black": [tube((-0.503, r), (-0.498, r * 1.1)), box((0.03, 0.02, 0.09), (0.38, 0, 0.07)), box((0.04, 0.02,
            0.07), (-0.1, 0, 0.07)),
                  box((0.16, 0.03, 0.03), (-0.15, 0, 0.05))],
    })  # fmt: skip


def carl_gustaf(rng: np.random.Generator) -> Parts:
    """A recoilless gun of 84 mm and 1.06 m: a rifled tube with a flared venturi, two grips, a scope at the left."""
    r = 0.05
    pieces: Pieces = {
        "paint": [tube((-0.58, 0.1), (-0.5, 0.085), (-0.36, r * 0.95), (-0.34, r * 1.25), (-0.27, r * 1.25), (-0.26,
            r), (0.44, r), (0.45, r * 1.2), (0.48, r * 1.2))],
        "black": [_grip(0.16, -r), _grip(0.3, -r), tube((-0.584, 0.085), (-0.578, 0.09)), tube((0.478, r * 0.9),
            (0.484, r)),
                  box((0.26, 0.05, 0.07), (0.1, 0.1, 0.06), 0.012), rod((-0.02, 0.1, 0.06), (-0.1, 0.1, 0.06), 0.03)],
    }  # fmt: skip
    if rng.random() < 0.4:
        pieces["black"] += [rod((0.25, 0, -r), (0.27, side * 0.1, -0.26), 0.008) for side in (-1, 1)]
    return merged(pieces)


def smaw(rng: np.random.Generator) -> Parts:
    """83 mm, 0.76 m (1.37 m with the round's case behind): a thick tube, a sight box at the left, a spotting rifle."""
    r = float(rng.uniform(0.052, 0.06))
    end = -0.34 if rng.random() < 0.35 else -0.9
    body = [tube((-0.36, r * 1.1), (-0.3, r), (0.36, r), (0.37, r * 1.15), (0.42, r * 1.15)),
            rod((-0.3, -0.085, 0), (0.42, -0.085, 0.01), 0.018), box((0.3, 0.05, 0.05), (-0.1, -0.085, 0),
                0.01)]  # fmt: skip
    if end < -0.5:
        body.append(tube((end, r * 1.35), (end + 0.07, r * 1.35), (end + 0.08, r * 1.12), (-0.36, r * 1.12)))
    black = [box((0.24, 0.08, 0.1), (0.0, 0.1, 0.07), 0.012), rod((0.12, 0.1, 0.08), (0.2, 0.1, 0.08), 0.035),
        _grip(0.08, -r), _grip(0.26, -r),
             tube((end - 0.004, r * 0.9), (end, r)), tube((0.418, r * 0.9), (0.424, r))]  # fmt: skip
    return merged({"paint": body, "black": black})


def b300(rng: np.random.Generator) -> Parts:
    """82 mm with a long case behind and a big scope; stands for the unseen kind."""
    r = 0.05
    return merged({
        "paint": [tube((-0.75, r * 1.4), (-0.72, r * 1.4), (-0.7, r * 1.1), (-0.1, r * 1.1), (-0.08, r), (0.56, r),
            (0.6, r * 1.3), (0.62, r * 1.3))],
        "black": [_grip(0.1, -r), _grip(0.32, -r), box((0.3, 0.07, 0.08), (0.18, 0.1, 0.07), 0.015), tube((0.618, r),
            (0.624, r)),
                  tube((-0.755, r), (-0.749, r * 1.2)), rod((-0.1, 0, -r), (-0.12, 0, -0.2), 0.02)],
    })  # fmt: skip


def javelin(rng: np.random.Generator) -> Parts:
    """A tube of 142 mm and 1.2 m with two thick end caps; the command unit's box under its middle at the left."""
    r = 0.071
    return merged({
        "paint": [tube((-0.68, 0.13), (-0.66, 0.15), (-0.6, 0.15), (-0.58, 0.1), (-0.56, r), (0.4, r), (0.41, 0.1),
            (0.43, 0.14), (0.5, 0.14), (0.52, 0.12)),
                  box((0.34, 0.24, 0.2), (0.08, 0.16, 0.03), 0.03)],
        "black": [tube((0.51, 0.11), (0.526, 0.11)), rod((0.24, 0.13, 0.06), (0.31, 0.13, 0.06), 0.055), rod((0.24,
            0.23, 0.0), (0.29, 0.23, 0.0), 0.035),
                  rod((-0.09, 0.18, 0.04), (-0.19, 0.18, 0.04), 0.035, 0.045), _grip(0.12, -0.08), _grip(-0.0, -0.08)],
    })  # fmt: skip


def dragon(rng: np.random.Generator) -> Parts:
    """A smooth tube of 1.15 m with a bell behind, a bipod in front, a sight box at the left."""
    r = 0.068
    return merged({
        "paint": [tube((-0.6, 0.14), (-0.4, 0.145), (-0.34, 0.1), (-0.3, r), (0.5, r), (0.51, r * 1.2), (0.55,
            r * 1.2))],
        "black": [box((0.2, 0.14, 0.2), (0.0, 0.15, 0.04), 0.02), rod((0.1, 0.15, 0.08), (0.2, 0.15, 0.08), 0.04),
            rod((-0.1, 0.15, 0.06), (-0.2, 0.15, 0.06), 0.03),
                  tube((0.548, r), (0.554, r)), tube((-0.604, 0.12), (-0.598, 0.125)),
                  *(rod((0.42, 0, -r), (0.46, side * 0.2, -0.55), 0.01) for side in (-1, 1))],
    })  # fmt: skip


def kornet(rng: np.random.Generator) -> Parts:
    """Container of 1.21 m and 152 mm over a low tripod; the sight's box hangs below at the left."""
    hub, axis = float(rng.uniform(0.24, 0.36)), float(rng.uniform(0.26, 0.32))
    turn = translation(0, 0, hub) @ rotation("z", float(rng.uniform(-30, 30)))
    upper = turn @ translation(0, 0, axis) @ rotation("y", -float(rng.normal(2, 4)))
    r = 0.076
    head = merged({
        "container": [tube((-0.55, r), (-0.54, r * 1.14), (-0.48, r * 1.14), (-0.47, r), (0.5, r), (0.51, r * 1.14),
            (0.64, r * 1.14))],
        "paint": [box((0.5, 0.1, 0.06), (0, 0, -0.1), 0.01)],
        "black": [tube((0.636, r), (0.644, r)), tube((-0.556, r * 0.8), (-0.549, r * 0.9))],
    }, upper)  # fmt: skip
    body = merged({
        "paint": [box((0.24, 0.2, 0.18), (0, 0, 0.09), 0.02), box((0.34, 0.2, 0.26), (0.08, 0.19, 0.08), 0.025),
            box((0.16, 0.05, 0.16), (0, -0.12, 0.1), 0.01)],
        "black": [box((0.02, 0.1, 0.09), (0.255, 0.18, 0.13)), box((0.02, 0.1, 0.07), (0.255, 0.18, 0.02)), rod((-0.1,
            0.2, 0.1), (-0.24, 0.2, 0.12), 0.03),
                  rod((-0.1, -0.12, 0.05), (-0.2, -0.16, 0.05), 0.018)],
    }, turn)  # fmt: skip
    legs = merged({"paint": tripod(hub, float(rng.uniform(0.5, 0.66)), 0.022)})
    return joined(head, body, legs)


def konkurs(rng: np.random.Generator) -> Parts:
    """Slim container of 1.26 m at the right of a tall optical sight, on a tripod with a long front leg."""
    hub = float(rng.uniform(0.22, 0.4))
    turn = translation(0, 0, hub) @ rotation("z", float(rng.uniform(-30, 30)))
    upper = turn @ translation(0, 0, 0.2) @ rotation("y", -float(rng.normal(2, 4)))
    r = float(rng.uniform(0.066, 0.076))
    pieces: Pieces = {
        "container": [tube((-0.66, r * 1.1), (-0.6, r * 1.1), (-0.58, r), (0.34, r), (0.36, r * 1.12), (0.6,
            r * 1.12))],
        "paint": [box((0.5, 0.07, 0.07), (-0.05, 0, -0.1), 0.01)],
        "black": [tube((0.598, r), (0.604, r)), tube((-0.664, r * 0.8), (-0.659, r))],
    }  # fmt: skip
    head = merged(pieces, upper)
    body = merged({
        "paint": [box((0.16, 0.14, 0.16), (0, 0, 0.06), 0.02), box((0.2, 0.15, 0.3), (0.0, 0.17, 0.16), 0.02),
            box((0.24, 0.1, 0.12), (0.02, 0.17, 0.36), 0.02)],
        "black": [rod((0.14, 0.17, 0.36), (0.17, 0.17, 0.36), 0.045), rod((-0.1, 0.17, 0.3), (-0.24, 0.17, 0.28),
            0.026), rod((-0.1, 0, 0.06), (-0.2, -0.06, 0.0), 0.016)],
    }, turn)  # fmt: skip
    legs = merged({"paint": tripod(hub, float(rng.uniform(0.45, 0.6)), 0.018, angles=(0, 130, 230))})
    return joined(head, body, legs)


def milan(rng: np.random.Generator) -> Parts:
    """Container of 1.26 m with a thick gas generator behind, on a firing post whose sight box is at the left."""
    hub = float(rng.uniform(0.2, 0.3))
    turn = translation(0, 0, hub) @ rotation("z", float(rng.uniform(-30, 30)))
    upper = turn @ translation(0, 0, 0.22) @ rotation("y", -float(rng.normal(2, 4)))
    head = merged({
        "container": [tube((-0.66, 0.085), (-0.5, 0.085), (-0.46, 0.066), (0.5, 0.066), (0.52, 0.078), (0.6, 0.078))],
        "paint": [box((0.5, 0.16, 0.1), (-0.06, 0.03, -0.12), 0.02), box((0.34, 0.14, 0.2), (0, 0.17, 0.03), 0.025),
                  *([box((0.34, 0.2, 0.16), (0.02, 0.17, 0.21), 0.02)] if rng.random() < 0.4 else [])],
        "black": [tube((0.598, 0.06), (0.604, 0.06)), rod((0.17, 0.17, 0.05), (0.2, 0.17, 0.05), 0.05), rod((-0.17,
            0.17, 0.05), (-0.28, 0.17, 0.05), 0.03)],
    }, upper)  # fmt: skip
    legs = merged(
        {"paint": [*tripod(hub, 0.5, 0.018, angles=(0, 140, 220)), upright([(hub, 0.06), (hub + 0.12, 0.06)])]}
    )
    return joined(head, legs)


def metis(rng: np.random.Generator) -> Parts:
    """A short container of 0.8 m on a small post with a big lens; stands for the unseen kind."""
    hub = float(rng.uniform(0.3, 0.38))
    upper = translation(0, 0, hub + 0.2) @ rotation("y", -float(rng.normal(2, 4)))
    head = merged({
        "container": [tube((-0.3, 0.07), (-0.26, 0.086), (-0.2, 0.07), (0.42, 0.07), (0.43, 0.09), (0.52, 0.09))],
        "paint": [box((0.3, 0.12, 0.14), (0, 0, -0.12), 0.02), box((0.24, 0.14, 0.16), (0, 0.17, -0.04), 0.03)],
        "black": [rod((0.12, 0.17, -0.02), (0.16, 0.17, -0.02), 0.06), rod((-0.12, 0.17, -0.02), (-0.22, 0.17, -0.02),
            0.03), tube((0.518, 0.08), (0.524, 0.08))],
    }, upper)  # fmt: skip
    return joined(head, merged({"paint": tripod(hub + 0.06, 0.42, 0.018, angles=(0, 120, 240))}))


def spg9(rng: np.random.Generator) -> Parts:
    """A recoilless gun of 73 mm and 2.1 m on a tripod: a thin barrel and a fat breech. In no class of the taxonomy."""
    hub, r = float(rng.uniform(0.3, 0.5)), 0.045
    upper = (
        translation(0, 0, hub + 0.16)
        @ rotation("z", float(rng.uniform(-25, 25)))
        @ rotation("y", -float(rng.normal(2, 4)))
    )
    gun = merged({
        "paint": [tube((-0.9, 0.1), (-0.78, 0.06), (-0.72, 0.075), (-0.4, 0.075), (-0.34, r), (1.15, r), (1.16,
            r * 1.15), (1.2, r * 1.15)),
                  box((0.34, 0.12, 0.08), (-0.1, 0, -0.08), 0.012), box((0.14, 0.06, 0.14), (-0.1, 0.12, 0.06), 0.012)],
        "black": [rod((-0.15, 0.12, 0.12), (-0.28, 0.12, 0.14), 0.025), tube((1.198, r), (1.204, r)), tube((-0.904,
            0.085), (-0.898, 0.09))],
    }, upper)  # fmt: skip
    return joined(
        gun,
        merged(
            {"paint": [*tripod(hub, float(rng.uniform(0.55, 0.8)), 0.022), upright([(hub, 0.05), (hub + 0.1, 0.05)])]}
        ),
    )


def m40(rng: np.random.Generator, *, legs: bool = True) -> Parts:
    """A recoilless rifle of 105 mm and 3.4 m with a spotting rifle above, on legs or (no legs) on a vehicle's post."""
    hub = 0.8 if legs else float(rng.uniform(0.35, 0.6))
    upper = translation(0, 0, hub + 0.15) @ rotation("y", -float(rng.normal(3, 4)))
    gun = merged({
        "paint": [tube((-1.05, 0.13), (-0.98, 0.1), (-0.95, 0.13), (-0.25, 0.13), (-0.15, 0.085), (0.4, 0.072), (2.2,
            0.066), (2.21, 0.075), (2.3, 0.075)),
                  rod((-0.2, 0, 0.16), (1.0, 0, 0.13), 0.022), box((0.5, 0.16, 0.12), (0.1, 0, -0.12), 0.02)],
        "black": [rod((-0.3, 0.2, 0.12), (-0.05, 0.2, 0.12), 0.03), tube((2.298, 0.055), (2.304, 0.06)), tube((-1.055,
            0.1), (-1.049, 0.11)),
                  lathe([(-0.02, 0.14), (0.02, 0.14)], 16).transformed(translation(0.1, 0.18, -0.12) @ rotation("z",
                      90))],
    }, upper)  # fmt: skip
    if legs:
        stand = merged(
            {
                "paint": [
                    *tripod(hub, 1.0, 0.035, angles=(0, 130, 230), pad=0.08),
                    upright([(hub - 0.1, 0.09), (hub + 0.1, 0.08)]),
                ]
            }
        )
    else:
        stand = merged({"paint": [upright([(0, 0.2), (0.05, 0.2), (0.08, 0.09), (hub + 0.05, 0.07)])]})
    return joined(gun, stand)


def dshk(rng: np.random.Generator, *, mount: str = "tripod", held_out: bool = False) -> Parts:
    """A heavy machine gun of 1.6 m with cooling rings, muzzle brake and spade grips; `mount` is tripod, wheels or post.

    Held out: a smooth barrel in a perforated jacket without a brake (as on the KPV).
    """
    hub = (
        float(rng.uniform(0.35, 0.75))
        if mount == "tripod"
        else float(rng.uniform(0.3, 0.5) if mount == "wheels" else rng.uniform(0.35, 0.6))
    )
    upper = (
        translation(0, 0, hub + 0.1)
        @ rotation("z", float(rng.uniform(-25, 25)))
        @ rotation("y", -float(rng.normal(5, 8)))
    )
    if held_out:
        barrel = [tube((0.2, 0.045), (0.9, 0.045), (0.91, 0.022), (1.25, 0.022), (1.26, 0.035), (1.33, 0.035))]
    else:
        rings = [
            point
            for x in np.linspace(0.32, 0.82, 12)
            for point in ((x, 0.022), (x + 0.008, 0.034), (x + 0.026, 0.034), (x + 0.032, 0.022))
        ]
        barrel = [
            tube((0.15, 0.03), *rings, (1.12, 0.018), segments=12),
            tube((1.1, 0.03), (1.14, 0.042), (1.22, 0.042), (1.25, 0.03)),
        ]
    pieces: Pieces = {
        "steel": [
            *barrel, rod((0.2, 0, -0.05), (0.85, 0, -0.045), 0.016), box((0.62, 0.09, 0.13), (-0.1, 0, 0), 0.012),
                box((0.2, 0.12, 0.06), (0.05, 0, 0.08), 0.01),
            rod((-0.42, 0.07, -0.09), (-0.42, 0.07, 0.09), 0.016), rod((-0.42, -0.07, -0.09), (-0.42, -0.07, 0.09),
                0.016), box((0.02, 0.2, 0.03), (-0.42, 0, 0), 0.005),
            box((0.02, 0.06, 0.08), (0.78, 0, 0.07)),
        ],
        "paint": [box((0.3, 0.14, 0.24), (0.02, 0.2, -0.04), 0.015)],
    }  # fmt: skip
    if rng.random() < 0.3:
        pieces["paint"] += [box((0.012, 0.42, 0.5), (0.24, side * 0.26, 0.1)) for side in (-1, 1)]
    gun = merged(pieces, upper)
    if mount == "tripod":
        legs = [*tripod(hub, float(rng.uniform(0.6, 0.9)), 0.024), upright([(hub, 0.04), (hub + 0.08, 0.05)])]
        return joined(gun, merged({"paint": legs}))
    if mount == "wheels":
        wheels = [
            lathe([(-0.03, 0.27), (-0.02, 0.3), (0.02, 0.3), (0.03, 0.27)], 20).transformed(
                translation(0.1, side * 0.32, 0.3) @ rotation("z", 90)
            )
            for side in (-1, 1)
        ]
        frame = [
            rod((0.1, -0.3, 0.3), (0.1, 0.3, 0.3), 0.025),
            rod((0.1, 0, 0.3), (-1.1, 0, 0.05), 0.03),
            rod((0, 0, 0.28), (0, 0, hub + 0.08), 0.04),
        ]
        return joined(gun, merged({"paint": frame, "rubber": wheels}))
    return joined(gun, merged({"steel": [upright([(0, 0.12), (0.03, 0.12), (0.05, 0.045), (hub + 0.06, 0.04)])]}))


def pkm(rng: np.random.Generator) -> Parts:
    """A belt-fed gun of 1.2 m with a skeleton stock, on a low tripod."""
    hub = float(rng.uniform(0.25, 0.4))
    upper = translation(0, 0, hub + 0.07) @ rotation("y", -float(rng.normal(2, 3)))
    gun = merged({
        "steel": [tube((0.1, 0.016), (0.66, 0.014), (0.67, 0.02), (0.75, 0.022)), rod((0.1, 0, -0.03), (0.45, 0,
            -0.03), 0.012), box((0.42, 0.05, 0.1), (-0.08, 0, 0), 0.01),
                  box((0.03, 0.03, 0.12), (-0.24, 0, -0.09)), box((0.02, 0.02, 0.06), (0.62, 0, 0.04))],
        "wood": [box((0.22, 0.035, 0.03), (-0.4, 0, 0.01), 0.008), box((0.2, 0.035, 0.025), (-0.4, 0, -0.09), 0.008),
            box((0.03, 0.035, 0.14), (-0.49, 0, -0.04), 0.008)],
        "paint": [box((0.18, 0.09, 0.16), (0.0, 0.09, -0.1), 0.012)],
    }, upper)  # fmt: skip
    return joined(
        gun, merged({"steel": [*tripod(hub, 0.42, 0.013, pad=0.03), upright([(hub, 0.03), (hub + 0.05, 0.03)])]})
    )


Maker = Callable[[np.random.Generator], Parts]
SHOULDER_ROCKETS: dict[str, Maker] = {
    "rpg7_primitives": rpg7,
    "at4": at4,
    "law": law,
    "carl_gustaf": carl_gustaf,
    "smaw": smaw,
}
SHOULDER_ROCKETS_HELD_OUT: dict[str, Maker] = {"b300": b300}
SHOULDER_MISSILES: dict[str, Maker] = {"javelin": javelin, "dragon": dragon}
TRIPOD_MISSILES: dict[str, Maker] = {"kornet": kornet, "konkurs": konkurs, "milan": milan}
TRIPOD_MISSILES_HELD_OUT: dict[str, Maker] = {"metis": metis}
RECOILLESS: dict[str, Maker] = {"spg9": spg9, "m40": m40}
