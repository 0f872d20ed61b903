"""The ground: a height field that is fine near the camera and coarse far off, and the litter that lies on it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from datasets.synthetic.geometry import Mesh, ellipsoid, merge, rotation, scaling, translation
from datasets.synthetic.materials import noise

GRID = 150
REACH_METRES = 160.0


@dataclass
class Ground:
    """Heights in metres. Places given to `level` are made flat so that wheels and feet stand on something."""

    bumps: float
    hills: float
    berm: tuple[float, float, float, float] | None
    """(distance in X, height, width, angle in degrees) of a bank of earth, or none."""
    seed: int
    flat: list[tuple[float, float, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        rng = np.random.default_rng(self.seed)
        self._small = noise(rng, 256, 6, 6)
        self._large = noise(rng, 256, 3, 4)

    def level(self, x: float, y: float, radius: float) -> None:
        self.flat.append((x, y, radius))

    def _raw(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        height = self.bumps * (_sample(self._small, x, y, 14.0) - 0.5)
        far = np.clip((np.hypot(x, y) - 14) / 50, 0, 1)
        height = height + self.hills * far * _sample(self._large, x, y, 190.0)
        if self.berm is not None:
            distance, top, width, angle = self.berm
            turn = np.radians(angle)
            along = x * np.cos(turn) + y * np.sin(turn) - distance
            across = -x * np.sin(turn) + y * np.cos(turn)
            ragged = 0.75 + 0.5 * _sample(self._small, x, y, 6.0)
            height = height + top * ragged * np.exp(-((along / width) ** 2)) / (1 + (across / 6.0) ** 4)
        return height

    def height(self, x: np.ndarray | float, y: np.ndarray | float) -> np.ndarray:
        px, py = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
        height = self._raw(px, py)
        for cx, cy, radius in self.flat:
            middle = self._raw(np.asarray(cx), np.asarray(cy))
            share = np.clip(1.6 - np.hypot(px - cx, py - cy) / radius, 0, 1)
            height = height * (1 - share) + middle * share
        return height

    def mesh(self, centre: tuple[float, float]) -> Mesh:
        """The surface as triangles, finest about `centre`."""
        line = np.linspace(-1, 1, GRID)
        steps = np.sign(line) * np.abs(line) ** 2.2 * REACH_METRES
        x, y = np.meshgrid(centre[0] + steps, centre[1] + steps, indexing="ij")
        points = np.stack([x, y, self.height(x, y)], axis=-1).reshape(-1, 3)
        index = np.arange(GRID * GRID).reshape(GRID, GRID)
        a, b, c, d = (
            index[:-1, :-1].ravel(),
            index[1:, :-1].ravel(),
            index[:-1, 1:].ravel(),
            index[1:, 1:].ravel(),
        )
        return Mesh(points, np.concatenate([np.stack([a, b, c], 1), np.stack([b, d, c], 1)]))


def _sample(image: np.ndarray, x: np.ndarray, y: np.ndarray, period: float) -> np.ndarray:
    size = image.shape[0]
    u, v = (x / period % 1) * size, (y / period % 1) * size
    i, j = np.floor(u).astype(int) % size, np.floor(v).astype(int) % size
    fu, fv = u - np.floor(u), v - np.floor(v)
    i2, j2 = (i + 1) % size, (j + 1) % size
    return (
        image[i, j] * (1 - fu) * (1 - fv)
        + image[i2, j] * fu * (1 - fv)
        + image[i, j2] * (1 - fu) * fv
        + image[i2, j2] * fu * fv
    )


def rocks(rng: np.random.Generator, ground: Ground, count: int, spread: float, largest: float) -> Mesh:
    shapes = []
    for _ in range(5):
        ball = ellipsoid((1, 1, 1), segments=8)
        shapes.append(Mesh(ball.vertices * rng.uniform(0.65, 1.2, (len(ball.vertices), 1)), ball.faces))
    placed = []
    for _ in range(count):
        angle, distance = rng.uniform(0, 2 * np.pi), spread * rng.random() ** 0.7
        x, y = distance * np.cos(angle), distance * np.sin(angle)
        size = largest * rng.random() ** 3 + 0.02
        shape = scaling(size, size * rng.uniform(0.6, 1), size * rng.uniform(0.4, 0.8))
        move = translation(x, y, float(ground.height(x, y)) + size * 0.1) @ rotation("z", float(rng.uniform(0, 360)))
        placed.append(shapes[rng.integers(5)].transformed(move @ shape))
    return merge(placed)


def grass(rng: np.random.Generator, ground: Ground, tufts: int, spread: float) -> Mesh:
    blades = 7
    angle, distance = rng.uniform(0, 2 * np.pi, tufts), spread * np.sqrt(rng.random(tufts))
    x = np.repeat(distance * np.cos(angle), blades) + rng.normal(0, 0.05, tufts * blades)
    y = np.repeat(distance * np.sin(angle), blades) + rng.normal(0, 0.05, tufts * blades)
    z = ground.height(x, y)
    turn = rng.uniform(0, np.pi, tufts * blades)
    tall = rng.uniform(0.08, 0.4, tufts * blades)
    lean = rng.normal(0, 0.1, (2, tufts * blades))
    across = np.stack([np.cos(turn), np.sin(turn), np.zeros_like(turn)], 1) * 0.014
    root = np.stack([x, y, z - 0.01], 1)
    tip = root + np.stack([lean[0], lean[1], tall], 1)
    points = np.stack([root - across, root + across, tip], 1).reshape(-1, 3)
    return Mesh(points, np.arange(len(points)).reshape(-1, 3))
