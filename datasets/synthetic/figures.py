"""People as jointed mannequins: enough for a silhouette at video resolution, and for hands that reach the weapon."""

from __future__ import annotations

import numpy as np

from datasets.synthetic.geometry import Mesh, box, ellipsoid, merge, rod, rotation, scaling, translation
from datasets.synthetic.materials import BLACK, Colour, Material, between, olive, tan

Point = tuple[float, float, float]
Joints = dict[str, Point]

STANDING: Joints = {
    "pelvis": (0, 0, 0.95), "neck": (0.02, 0, 1.46), "head": (0.05, 0, 1.63),
    "elbow_l": (-0.02, 0.27, 1.16), "hand_l": (0.1, 0.26, 0.92),
    "elbow_r": (-0.02, -0.27, 1.16), "hand_r": (0.1, -0.26, 0.92),
    "knee_l": (0.04, 0.12, 0.5), "foot_l": (0, 0.13, 0.06), "knee_r": (0.04, -0.12, 0.5), "foot_r": (0, -0.13, 0.06),
}  # fmt: skip
POSES: dict[str, Joints] = {
    "stand": STANDING,
    "walk": STANDING | {
        "knee_l": (0.22, 0.1, 0.52), "foot_l": (0.3, 0.1, 0.08),
        "knee_r": (-0.05, -0.1, 0.5), "foot_r": (-0.34, -0.1, 0.12),
        "hand_l": (-0.18, 0.28, 0.96), "hand_r": (0.3, -0.24, 1.0),
    },
    "point": STANDING | {"elbow_r": (0.22, -0.25, 1.38), "hand_r": (0.5, -0.25, 1.48)},
    "carry": STANDING | {
        "elbow_r": (0.02, -0.3, 1.14), "hand_r": (0.24, -0.14, 1.04),
        "elbow_l": (0.14, 0.28, 1.16), "hand_l": (0.36, 0.14, 1.08),
    },
    "arms_up": STANDING | {
        "elbow_r": (0.05, -0.34, 1.6), "hand_r": (0.1, -0.32, 1.88),
        "elbow_l": (0.02, 0.3, 1.18), "hand_l": (0.1, 0.3, 0.95),
    },
    "shoulder": STANDING | {
        "elbow_r": (0.12, -0.36, 1.2), "hand_r": (0.27, -0.2, 1.43),
        "elbow_l": (0.28, 0.12, 1.2), "hand_l": (0.46, -0.14, 1.44),
        "knee_l": (0.2, 0.13, 0.52), "foot_l": (0.24, 0.14, 0.06), "foot_r": (-0.2, -0.15, 0.06),
    },
    "kneel": {
        "pelvis": (0, 0, 0.5), "neck": (0.06, 0, 1.0), "head": (0.11, 0, 1.17),
        "elbow_l": (0.2, 0.24, 0.78), "hand_l": (0.42, 0.14, 0.86),
        "elbow_r": (0.2, -0.24, 0.78), "hand_r": (0.42, -0.12, 0.86),
        "knee_l": (0.38, 0.13, 0.5), "foot_l": (0.36, 0.13, 0.06),
        "knee_r": (0.1, -0.13, 0.08), "foot_r": (-0.32, -0.13, 0.08),
    },
    "kneel_shoulder": {
        "pelvis": (0, 0, 0.5), "neck": (0.04, 0, 1.0), "head": (0.08, 0.02, 1.17),
        "elbow_l": (0.28, 0.1, 0.76), "hand_l": (0.46, -0.14, 0.98),
        "elbow_r": (0.12, -0.36, 0.76), "hand_r": (0.27, -0.2, 0.97),
        "knee_l": (0.38, 0.13, 0.5), "foot_l": (0.36, 0.13, 0.06),
        "knee_r": (0.1, -0.13, 0.08), "foot_r": (-0.32, -0.13, 0.08),
    },
    "sit": {
        "pelvis": (0, 0, 0.16), "neck": (0.03, 0, 0.68), "head": (0.08, 0, 0.85),
        "elbow_l": (0.2, 0.25, 0.5), "hand_l": (0.42, 0.14, 0.6),
        "elbow_r": (0.2, -0.25, 0.5), "hand_r": (0.42, -0.12, 0.6),
        "knee_l": (0.45, 0.2, 0.45), "foot_l": (0.72, 0.18, 0.06),
        "knee_r": (0.45, -0.2, 0.45), "foot_r": (0.72, -0.18, 0.06),
    },
    "prone": {
        "pelvis": (-0.55, 0, 0.14), "neck": (-0.06, 0, 0.28), "head": (0.08, 0, 0.4),
        "elbow_l": (0.16, 0.24, 0.06), "hand_l": (0.36, 0.1, 0.24),
        "elbow_r": (0.1, -0.26, 0.06), "hand_r": (0.3, -0.06, 0.24),
        "knee_l": (-0.98, 0.18, 0.08), "foot_l": (-1.4, 0.26, 0.07),
        "knee_r": (-0.98, -0.18, 0.08), "foot_r": (-1.4, -0.26, 0.07),
    },
}  # fmt: skip


def figure(rng: np.random.Generator, pose: str) -> list[tuple[Mesh, Material]]:
    """One person at the origin facing X, as (mesh, material) pairs."""
    height = float(rng.uniform(0.94, 1.05))
    wobble = 0.015 if pose in ("shoulder", "kneel_shoulder") else 0.035
    joints = {
        name: np.asarray(place) + rng.normal(0, wobble, 3) * (0.3 if "foot" in name else 1)
        for name, place in POSES[pose].items()
    }
    hips, neck = joints["pelvis"], joints["neck"]
    spine = (neck - hips) / np.linalg.norm(neck - hips)
    side = np.array([0.0, 1.0, 0.0])
    cloth: list[Mesh] = []
    trousers: list[Mesh] = []
    skin: list[Mesh] = [rod(neck, joints["head"], 0.055), ellipsoid((0.095, 0.078, 0.115), joints["head"])]
    boots: list[Mesh] = []
    wide = translation(*hips) @ scaling(1, 1.25, 1) @ translation(*-hips)
    cloth.append(rod(hips - spine * 0.05, hips + spine * 0.28, 0.145, 0.14, 14).transformed(wide))
    cloth.append(rod(hips + spine * 0.28, neck - spine * 0.02, 0.14, 0.12, 14).transformed(wide))
    for sign, end in ((1, "l"), (-1, "r")):
        shoulder = neck - spine * 0.05 + side * 0.19 * sign
        elbow, hand = joints[f"elbow_{end}"], joints[f"hand_{end}"]
        cloth += [
            ellipsoid((0.075, 0.08, 0.075), shoulder, 10),
            rod(shoulder, elbow, 0.06, 0.048),
            ellipsoid((0.05, 0.05, 0.05), elbow, 8),
        ]
        cloth.append(rod(elbow, hand, 0.05, 0.036))
        skin.append(ellipsoid((0.055, 0.04, 0.045), hand, 10))
        hip = hips + side * 0.1 * sign
        knee, foot = joints[f"knee_{end}"], joints[f"foot_{end}"]
        trousers += [
            rod(hip, knee, 0.095, 0.07),
            ellipsoid((0.072, 0.072, 0.072), knee, 10),
            rod(knee, foot, 0.07, 0.055),
        ]
        boots += [
            ellipsoid((0.06, 0.055, 0.08), foot + np.array((0, 0, 0.03)), 8),
            ellipsoid((0.13, 0.05, 0.045), foot + np.array((0.06, 0, -0.015)), 10),
        ]
    dressed = _clothes(rng, merge(cloth), merge(trousers))
    dressed += [(merge(boots), Material(between(rng, (0.02, 0.016, 0.012), (0.14, 0.1, 0.06)), 0.8))]
    dressed += [(merge(skin), Material(between(rng, (0.12, 0.07, 0.045), (0.42, 0.26, 0.19)), 0.6, dirt=0.05))]
    dressed += _headwear(rng, joints["head"])
    if rng.random() < 0.5:
        middle = hips + spine * 0.3
        vest = box((0.3, 0.4, 0.36), (0, 0, 0), 0.04).transformed(
            translation(*middle) @ rotation("y", float(np.degrees(np.arctan2(spine[0], spine[2]))))
        )
        dressed.append((vest, Material(olive(rng) if rng.random() < 0.6 else tan(rng), 0.9)))
    stature = scaling(height, height, height)
    return [(mesh.transformed(stature), material) for mesh, material in dressed]


def _clothes(rng: np.random.Generator, top: Mesh, bottom: Mesh) -> list[tuple[Mesh, Material]]:
    def cloth(colour: Colour, camouflage: bool = False) -> Material:
        blobs = (olive(rng), (0.04, 0.035, 0.03)) if camouflage else None
        return Material(
            colour,
            0.95,
            float(rng.uniform(0.05, 0.3)),
            camouflage=blobs,
            seed=int(rng.integers(1 << 30)),
            tile_metres=0.9,
        )

    if rng.random() < 0.65:
        uniform = cloth(olive(rng) if rng.random() < 0.5 else tan(rng), camouflage=rng.random() < 0.55)
        return [(top, uniform), (bottom, uniform)]
    return [(mesh, cloth(between(rng, (0.02, 0.02, 0.03), (0.5, 0.45, 0.42)))) for mesh in (top, bottom)]


def _headwear(rng: np.random.Generator, head: np.ndarray) -> list[tuple[Mesh, Material]]:
    kind = rng.random()
    if kind < 0.55:
        helmet = merge(
            [
                ellipsoid((0.14, 0.125, 0.12), head + np.array((-0.01, 0, 0.055))),
                box((0.1, 0.18, 0.03), head + np.array((0.1, 0, 0.06)), 0.008),
            ]
        )
        return [(helmet, Material(olive(rng) if rng.random() < 0.6 else tan(rng), 0.85, camouflage=None, seed=1))]
    if kind < 0.75:
        return [
            (
                ellipsoid((0.125, 0.115, 0.12), head + np.array((-0.03, 0, 0.03))),
                Material(between(rng, (0.02, 0.02, 0.02), (0.6, 0.55, 0.5)), 0.95),
            )
        ]
    return [(ellipsoid((0.1, 0.085, 0.09), head + np.array((-0.02, 0, 0.045))), BLACK)]
