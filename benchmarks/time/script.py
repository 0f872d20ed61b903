"""What happens in a clip, drawn from a seed: shots before weapon-free photographs, and weapons for chosen times."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

import numpy as np

from benchmarks.time.camera import SIDE_WIDTH, WALL_HEIGHT, Camera, View, Wall, around, build_wall
from benchmarks.time.pictures import PictureSet

TICKS = 90_000
"""Ticks a second of every time in a script; all the frame rates used here are whole numbers of them."""
VARIABLE_MS = (33, 34, 33, 66, 33, 100, 34, 50)
"""Milliseconds between frames of a phone's recording, repeated…"""
PAUSE_MS = 200
"""…with, now and then, a pause of this length, as a recorder makes that cannot keep up."""
PAUSE_SHARE = 0.01
NEGATIVE_SHOT_SECONDS = (0.7, 6.0)
SHORT_SHOT_SECONDS = 1.0
"""Two appearances at most this long are never cut away from and back."""

Rng = np.random.Generator
Move = Literal["cut", "pan", "zoom", "away and back"]


@dataclass(frozen=True, slots=True)
class ClipSpec:
    """One clip to build. `rate` is frames a second as a fraction, or `variable`.

    `appearances` are the seconds that weapons are in view for, in no order. `weapon_share` sets how much footage
    without weapons is put between them; where it is None, that lasts between the two `gap_seconds` each time.
    `start_seconds` is the first frame's time stamp in the container. `letterbox` shows a 4:3 picture between black
    bars. `grain` is the standard deviation of the noise put on every frame, in grey levels.
    """

    name: str
    width: int
    height: int
    rate: str
    gop_seconds: float
    keyframes_at_cuts: bool
    appearances: tuple[float, ...]
    container: Literal["mp4", "ts"] = "mp4"
    start_seconds: float = 0.0
    letterbox: bool = False
    weapon_share: float | None = None
    gap_seconds: tuple[float, float] = (2.5, 7.0)
    grain: float = 2.0

    @property
    def picture_size(self) -> tuple[int, int]:
        """Width and height of what lies between the bars, px."""
        return (self.height * 4 // 3 // 2 * 2 if self.letterbox else self.width), self.height


@dataclass(frozen=True, slots=True)
class Shot:
    """One take between two cuts, `start` and `end` in ticks. Equal `scene` numbers film the same wall."""

    start: int
    end: int
    scene: int
    wall: Wall
    camera: Camera


def write_script(spec: ClipSpec, pictures: PictureSet, rng: Rng) -> list[Shot]:
    """The shots of a clip, without gaps, from tick 0 on."""
    return _Writer(spec, pictures, rng).shots()


def frame_ticks(spec: ClipSpec, end: int, rng: Rng) -> list[int]:
    """When the frames are shown, from tick 0 to before `end`."""
    if spec.rate != "variable":
        step = TICKS / Fraction(spec.rate)
        if step.denominator != 1:
            raise ValueError(f"{spec.rate} frames a second are no whole number of 1/{TICKS} s")
        return list(range(0, end, int(step)))
    ticks, now = [], 0
    while now < end:
        ticks.append(now)
        pattern = VARIABLE_MS[len(ticks) % len(VARIABLE_MS)]
        now += (PAUSE_MS if rng.random() < PAUSE_SHARE else pattern) * TICKS // 1000
    return ticks


class _Writer:
    def __init__(self, spec: ClipSpec, pictures: PictureSet, rng: Rng) -> None:
        self._spec = spec
        self._pictures = pictures
        self._rng = rng
        width, height = spec.picture_size
        self._aspect = width / height
        self._widest = WALL_HEIGHT * self._aspect
        self._shots: list[Shot] = []
        self._scene = 0

    def shots(self) -> list[Shot]:
        durations = [float(seconds) for seconds in self._rng.permutation(self._spec.appearances)]
        gaps = self._gaps(durations)
        moves: list[Move] = []
        for gap, seconds in zip(gaps, durations, strict=False):
            self._negatives(gap)
            if not moves:
                moves = ["cut", "pan", "zoom", "away and back"]
                self._rng.shuffle(moves)
            suitable = [move for move in moves if seconds > SHORT_SHOT_SECONDS or move != "away and back"] or ["cut"]
            move = suitable[0]
            moves = [each for each in moves if each != move]
            self._weapon(move, seconds)
        self._negatives(gaps[-1])
        return self._shots

    def _gaps(self, durations: Sequence[float]) -> list[float]:
        """Seconds without a weapon before the first appearance, between them, and after the last."""
        count = len(durations) + 1
        if self._spec.weapon_share is None:
            return [float(self._rng.uniform(*self._spec.gap_seconds)) for _ in range(count)]
        total = sum(durations) * (1 / self._spec.weapon_share - 1)
        shares = self._rng.uniform(0.6, 1.4, count)
        return [float(total * share) for share in shares / shares.sum()]

    def _negatives(self, seconds: float) -> None:
        while seconds > 0:
            wanted = float(self._rng.uniform(*NEGATIVE_SHOT_SECONDS))
            length = seconds if seconds - wanted < NEGATIVE_SHOT_SECONDS[0] else wanted
            seconds -= length
            wall = build_wall(*(self._negative() for _ in range(3)))
            start, end = (
                View(
                    at,
                    float(self._rng.uniform(0, wall.width)),
                    float(self._rng.uniform(0, WALL_HEIGHT)),
                    self._widest * float(self._rng.uniform(0.6, 1)),
                )
                for at in (0.0, length)
            )
            far = min(1.0, 160 * length / max(1.0, abs(end.x - start.x)))
            end = View(length, start.x + (end.x - start.x) * far, end.y, end.width)
            self._add(length, wall, self._camera(start, end))

    def _weapon(self, move: Move, seconds: float) -> None:
        subject = self._pictures.weapons[int(self._rng.integers(len(self._pictures.weapons)))]
        wall = build_wall(self._negative(), subject, self._negative())
        if move == "pan":
            self._pan(wall, seconds)
        elif move == "zoom":
            wide, tight = self._framed(wall, 0.0, 1.0), self._framed(wall, seconds, 0.0)
            self._add(seconds, wall, self._camera(wide, tight))
        elif move == "away and back":
            self._still(wall, seconds / 2)
            scene = self._scene
            self._negatives(float(self._rng.uniform(0.5, 1.2)))
            self._still(wall, seconds / 2, scene)
        else:
            self._still(wall, seconds)

    def _still(self, wall: Wall, seconds: float, scene: int | None = None) -> None:
        """Between two cuts, drifting a little."""
        start, end = (self._framed(wall, at, float(self._rng.uniform(0.2, 1))) for at in (0.0, seconds))
        self._add(seconds, wall, self._camera(start, end), scene)

    def _pan(self, wall: Wall, seconds: float) -> None:
        """From the picture on the left over the subject to the one on the right; in view half-way through a swing."""
        before, after = (float(self._rng.uniform(0.6, 2.0)) for _ in range(2))
        swing = float(np.clip(0.4 * seconds, 0.12, 1.2))
        there = self._framed(wall, before + swing, 0.5)
        leave = View(before + seconds, there.x, there.y, there.width)
        left = SIDE_WIDTH / 2
        right = wall.width - SIDE_WIDTH / 2
        views = (
            View(0.0, left - 40, there.y, there.width),
            View(before, left, there.y, there.width),
            there,
            leave,
            View(before + seconds + swing, right, there.y, there.width),
            View(before + seconds + swing + after, right + 40, there.y, there.width),
        )
        self._add(views[-1].seconds, wall, self._camera(*views))

    def _framed(self, wall: Wall, seconds: float, slack: float) -> View:
        """A view with the weapons in it; `slack` from 0 (as close as they allow) to 1 (as wide as the wall allows)."""
        boxes = [each.box for each in wall.objects]
        focus = around(boxes)
        needs = max((focus[2] - focus[0]) * 1.1, (focus[3] - focus[1]) * 1.1 * self._aspect)
        if needs > self._widest:
            focus = max(boxes, key=lambda box: (box[2] - box[0]) * (box[3] - box[1]))
            needs = max((focus[2] - focus[0]) * 1.1, (focus[3] - focus[1]) * 1.1 * self._aspect)
        closest = min(self._widest, max(needs, 0.4 * self._widest))
        width = closest + (self._widest - closest) * slack
        room = max(0.0, width - needs) * 0.35
        x, y = (focus[0] + focus[2]) / 2, (focus[1] + focus[3]) / 2
        return View(
            seconds,
            x + float(self._rng.uniform(-1, 1)) * room / 2,
            y + float(self._rng.uniform(-1, 1)) * room / 2 / self._aspect,
            width,
        )

    def _negative(self):
        return self._pictures.negatives[int(self._rng.integers(len(self._pictures.negatives)))]

    def _camera(self, *views: View) -> Camera:
        phases = self._rng.uniform(0, 2 * np.pi, (2, 3))
        shake = float(self._rng.uniform(0.001, 0.008))
        return Camera(tuple(views), shake, tuple(tuple(float(p) for p in row) for row in phases))

    def _add(self, seconds: float, wall: Wall, camera: Camera, scene: int | None = None) -> None:
        if scene is None:
            self._scene += 1
            scene = self._scene
        start = self._shots[-1].end if self._shots else 0
        self._shots.append(Shot(start, start + round(seconds * TICKS), scene, wall, camera))
