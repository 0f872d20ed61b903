"""The packed third-party and CC0 models (see `pack.py`), and which of them the training renders may use."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np

from datasets.synthetic.geometry import Mesh

ASSETS = Path(__file__).parent / "assets"

TOW_TRAINING = ("tow_00", "tow_01", "tow_02", "tow_03", "tow_04", "tow_05")
TOW_DEMO = ("tow_06", "tow_07")
"""Held out of the training renders, so that the demo clip is not a memory test."""
M198 = ("m198_0", "m198_1", "m198_2")
HUMVEES = ("humvee_simple", "humvee_flatbed")
TANKS = ("t54", "m48")


@cache
def load(name: str) -> dict[str, Mesh]:
    """The parts of one asset by material role, standing on z = 0 with X forward."""
    [path] = ASSETS.glob(f"*/{name}.npz")
    parts = {}
    with np.load(path) as stored:
        for role in sorted({key.rsplit(".", 1)[0] for key in stored.files}):
            low, high = stored[f"{role}.box"].astype(float)
            vertices = low + stored[f"{role}.v"] / 65535.0 * (high - low)
            parts[role] = Mesh(vertices, stored[f"{role}.f"].astype(np.int64))
    ground = min(mesh.vertices[:, 2].min() for mesh in parts.values())
    shift = np.array([0, 0, ground])
    return {role: Mesh(mesh.vertices - shift, mesh.faces) for role, mesh in parts.items()}
