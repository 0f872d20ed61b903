"""The script of the demo clip: which scene is on the screen when, and how the camera moves over it."""

from __future__ import annotations

from dataclasses import dataclass

DEMO_SEED = 14800
"""No training set is rendered with this seed, and its launchers (`models.TOW_DEMO`) are in none."""

CADENCES: dict[str, tuple[int, ...]] = {
    "film": (42, 42, 41),
    "tv": (40,),
    "half": (80,),
    "phone": (33, 34, 33, 66, 33, 100, 34, 50),
    "web": (66, 67, 67),
    "slow": (100, 100, 133),
}
"""Milliseconds between frames, repeated through the shot: the clip's frame rate is truly variable."""


@dataclass(frozen=True, slots=True)
class View:
    """A placed camera: degrees round the weapon from its front, metres away and up, share of the width it fills."""

    bearing: float
    distance: float
    height: float
    share: float


@dataclass(frozen=True, slots=True)
class Shot:
    """One take between two cuts. `scene` seeds the scene together with `DEMO_SEED`; no `view` keeps the drawn camera.

    `zoom` is the share of the still's width that is shown at the first and at the last frame, `pan` the way the
    window travels in shares of what zoom leaves free.
    """

    start_ms: int
    end_ms: int
    kind: str
    scene: int
    cadence: str
    zoom: tuple[float, float]
    pan: tuple[float, float] = (0.0, 0.0)
    view: View | None = None
    models: tuple[str, ...] | None = None


def _tow(
    start: int, end: int, bearing: float, cadence: str, zoom: tuple[float, float], pan: tuple[float, float]
) -> Shot:
    return Shot(start, end, "tow_launcher", 113, cadence, zoom, pan, View(bearing, 6.0, 1.4, 0.42), ("tow_07",))


SHOTS: tuple[Shot, ...] = (
    Shot(0, 13_000, "negative", 22, "web", (0.95, 0.8), (0.5, 0.0)),
    Shot(13_000, 24_000, "negative", 11, "tv", (0.8, 0.8), (-0.8, 0.1)),
    Shot(24_000, 35_000, "negative", 12, "half", (0.95, 0.88), (0.3, 0.0)),
    Shot(35_000, 43_000, "humvee", 205, "film", (0.92, 0.8), (0.2, 0.0), View(55, 11, 1.6, 0.45)),
    Shot(43_000, 55_000, "negative", 19, "web", (0.78, 0.9), (0.6, -0.2)),
    Shot(55_000, 67_000, "negative", 1, "phone", (0.9, 0.82), (-0.3, 0.0)),
    Shot(67_000, 80_000, "negative", 23, "slow", (0.85, 0.85), (0.8, 0.0)),
    Shot(80_000, 89_000, "tank", 305, "tv", (0.95, 0.85), (-0.2, 0.1), View(275, 16, 1.8, 0.55)),
    Shot(89_000, 101_000, "negative", 0, "web", (0.8, 0.9), (0.4, 0.0)),
    Shot(101_000, 113_000, "negative", 5, "half", (0.92, 0.85), (-0.5, 0.0)),
    Shot(113_000, 124_000, "negative", 6, "phone", (0.95, 0.9), (0.4, 0.2)),
    Shot(124_000, 136_000, "negative", 20, "film", (0.84, 0.92), (-0.6, 0.0)),
    Shot(136_000, 148_000, "negative", 31, "web", (0.9, 0.8), (0.5, 0.0)),
    _tow(148_000, 151_600, 300, "tv", (0.95, 0.88), (0.2, 0.0)),
    _tow(151_600, 155_000, 60, "phone", (0.9, 0.85), (-0.2, 0.0)),
    _tow(155_000, 158_200, 260, "film", (0.85, 0.92), (0.1, 0.1)),
    _tow(158_200, 161_000, 340, "tv", (0.95, 0.88), (0.0, -0.1)),
    Shot(161_000, 170_000, "negative", 29, "slow", (0.95, 0.88), (0.4, 0.0)),
    Shot(170_000, 180_000, "negative", 3, "web", (0.8, 0.9), (-0.6, 0.0)),
)
