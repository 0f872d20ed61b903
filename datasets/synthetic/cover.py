"""What hides, frames and surrounds: nets, foliage, houses, flags, rifles, ammunition."""

from __future__ import annotations

import numpy as np

from datasets.synthetic.geometry import Mesh, box, merge, rod, rotation, translation
from datasets.synthetic.infantry import tube
from datasets.synthetic.materials import BLACK, Colour, Material, between, gunmetal, olive, tan
from datasets.synthetic.props import Painted


def leaves(rng: np.random.Generator, points: np.ndarray, size: float, flatness: float = 0.0) -> Mesh:
    """One triangle of about `size` metres at each point, turned at random; `flatness` 1 lays them level."""
    count = len(points)
    first, second = rng.normal(size=(2, count, 3))
    first[:, 2] *= 1 - flatness
    second[:, 2] *= 1 - flatness
    first /= np.linalg.norm(first, axis=1, keepdims=True)
    second /= np.linalg.norm(second, axis=1, keepdims=True)
    long = size * rng.uniform(0.5, 1.4, (count, 1))
    corners = np.stack([points - first * long / 2, points + first * long / 2, points + second * long], 1)
    return Mesh(corners.reshape(-1, 3), np.arange(3 * count).reshape(-1, 3))


def net(rng: np.random.Generator, low: np.ndarray, high: np.ndarray) -> Painted:
    """Camouflage netting over part of the box from `low` to `high`: rags on a sagging sheet, two colours."""
    along = int(rng.random() < 0.5)
    start, end = low.copy(), high.copy()
    share = float(rng.uniform(0.35, 0.75))
    if rng.random() < 0.5:
        end[along] = low[along] + share * (high - low)[along]
    else:
        start[along] = high[along] - share * (high - low)[along]
    area = float(np.prod(np.maximum(end - start, 0.3)[:2]))
    count = int(np.clip(area * rng.uniform(120, 260), 150, 2600))
    u, v = rng.uniform(-0.1, 1.1, (2, count))
    drop = np.clip(np.abs(v - 0.5) * 2, 0, 1.2) ** 2.5
    points = np.stack(
        [
            start[0] + u * (end - start)[0],
            start[1] + v * (end - start)[1],
            high[2] * (1.02 - drop * rng.uniform(0.4, 1.0)),
        ],
        1,
    )
    points[:, 2] += 0.05 * np.sin(points[:, 0] * 5) * np.cos(points[:, 1] * 4)
    kept = points[np.sin(points[:, 0] * 6.1 + 1) * np.sin(points[:, 1] * 5.3) > -0.55]
    size = float(np.clip(0.05 + 0.02 * np.linalg.norm(high - low), 0.08, 0.22))
    half = len(kept) // 2
    greens = (
        Material(olive(rng), 0.95, 0.2),
        Material(tan(rng) if rng.random() < 0.5 else between(rng, (0.08, 0.06, 0.03), (0.2, 0.15, 0.09)), 0.95, 0.2),
    )
    return [
        (leaves(rng, part, size), coat)
        for part, coat in zip((kept[:half], kept[half:]), greens, strict=True)
        if len(part)
    ]


def bush(rng: np.random.Generator) -> Painted:
    tall, wide = float(rng.uniform(0.35, 1.3)), float(rng.uniform(0.4, 1.2))
    count = int(rng.integers(150, 500))
    ball = rng.normal(size=(count, 3)) * (wide * 0.35, wide * 0.35, tall * 0.3) + (0, 0, tall * 0.5)
    ball[:, 2] = np.abs(ball[:, 2])
    stems = [rod((0, 0, -0.1), (*(rng.normal(0, 0.25, 2) * wide), tall * 0.8), 0.012, segments=5) for _ in range(5)]
    green = Material(between(rng, (0.04, 0.07, 0.02), (0.2, 0.2, 0.09)), 0.9, 0.2)
    return [
        (leaves(rng, ball, float(rng.uniform(0.06, 0.14))), green),
        (merge(stems), Material((0.12, 0.09, 0.06), 0.9)),
    ]


def tree(rng: np.random.Generator) -> Painted:
    tall = float(rng.uniform(3, 9))
    crown = rng.normal(size=(int(rng.integers(500, 1300)), 3)) * (tall * 0.16, tall * 0.16, tall * 0.14) + (
        0,
        0,
        tall * 0.72,
    )
    trunk = [rod((0, 0, -0.2), (0.1, 0, tall * 0.75), tall * 0.025, tall * 0.01, 8)]
    trunk += [
        rod((0.05, 0, tall * 0.45), (*rng.normal(0, tall * 0.12, 2), tall * 0.75), tall * 0.01, segments=6)
        for _ in range(4)
    ]
    green = Material(between(rng, (0.03, 0.06, 0.02), (0.14, 0.16, 0.06)), 0.9, 0.2)
    return [
        (leaves(rng, crown, float(rng.uniform(0.25, 0.5))), green),
        (merge(trunk), Material(between(rng, (0.08, 0.06, 0.04), (0.25, 0.2, 0.15)), 0.95)),
    ]


def house(rng: np.random.Generator) -> Painted:
    """A plain block of one to three storeys with window holes; some lost a corner."""
    wide, deep, storeys = float(rng.uniform(6, 16)), float(rng.uniform(5, 9)), int(rng.integers(1, 4))
    high = 3.1 * storeys
    walls = [box((deep, wide, high), (0, 0, high / 2))]
    holes = []
    for floor in range(storeys):
        for y in np.arange(-wide / 2 + 1.4, wide / 2 - 0.8, float(rng.uniform(1.9, 3.0))):
            tall = 2.0 if floor == 0 and rng.random() < 0.25 else 1.2
            if rng.random() < 0.88:
                holes.append(box((deep + 0.04, 0.95, tall), (0, y, 3.1 * floor + (1.0 if tall > 1.5 else 1.7))))
    if rng.random() < 0.5:
        walls.append(box((deep + 0.5, wide + 0.5, 0.25), (0, 0, high + 0.1)))
    plaster = Material(
        between(rng, (0.28, 0.24, 0.2), (0.65, 0.58, 0.48)),
        0.95,
        float(rng.uniform(0.2, 0.6)),
        seed=int(rng.integers(1 << 30)),
        tile_metres=6.0,
    )
    return [(merge(walls), plaster), *([(merge(holes), BLACK)] if holes else [])]


def flag(rng: np.random.Generator) -> Painted:
    """A pole with a waving flag of stripes; no real one."""
    pole, drop, long = float(rng.uniform(2.2, 4.2)), float(rng.uniform(0.6, 1.1)), float(rng.uniform(0.9, 1.7))
    stripes = int(rng.integers(1, 4))
    columns = 10
    x = np.linspace(0, long, columns)
    wave = 0.12 * np.sin(x / long * float(rng.uniform(4, 9)) + float(rng.uniform(0, 6))) * x / long
    made: Painted = [(rod((0, 0, -0.1), (0, 0, pole), 0.022), gunmetal(rng))]
    for stripe in range(stripes):
        levels = [pole - drop * (stripe + end) / stripes for end in (0, 1)]
        points = np.concatenate(
            [np.stack([x, wave, np.full(columns, level) - 0.15 * (x / long) ** 2], 1) for level in levels]
        )
        here = np.arange(columns - 1)
        faces = np.concatenate(
            [np.stack([here, here + columns, here + 1], 1), np.stack([here + 1, here + columns, here + columns + 1], 1)]
        )
        shade = (
            (0.02, 0.02, 0.02),
            (0.6, 0.6, 0.6),
            (0.45, 0.03, 0.03),
            (0.03, 0.25, 0.06),
            (0.65, 0.5, 0.04),
            (0.03, 0.07, 0.35),
        )[int(rng.integers(6))]
        made.append((Mesh(points, faces), Material(shade, 0.9, 0.1)))
    return made


def rifle(rng: np.random.Generator) -> Painted:
    """An assault rifle with the right hand's grip at the origin, muzzle along X. In no class of the taxonomy."""
    steel = [rod((0.05, 0, 0.05), (0.55, 0, 0.05), 0.011, segments=8), box((0.34, 0.045, 0.07), (-0.02, 0, 0.05),
        0.008), box((0.06, 0.025, 0.2), (0.1, 0, -0.07), 0.006).transformed(rotation("y", 15)),
             box((0.02, 0.02, 0.06), (0.5, 0, 0.08)), box((0.035, 0.03, 0.1), (-0.06, 0, -0.03))]  # fmt: skip
    wood = [box((0.26, 0.035, 0.09), (-0.3, 0, 0.02), 0.01), box((0.2, 0.045, 0.045), (0.25, 0, 0.05), 0.01)]
    stock = Material(between(rng, (0.15, 0.07, 0.03), (0.28, 0.15, 0.07)), 0.6) if rng.random() < 0.5 else BLACK
    return [(merge(steel), gunmetal(rng)), (merge(wood), stock)]


def stick(rng: np.random.Generator) -> Painted:
    long = float(rng.uniform(0.9, 1.9))
    return [
        (
            rod((-long / 2, 0, 0), (long / 2, 0, 0.02), 0.016),
            Material(between(rng, (0.15, 0.1, 0.06), (0.4, 0.3, 0.2)), 0.9),
        )
    ]


def missile_container(rng: np.random.Generator, paint: Material) -> Painted:
    """A TOW round's case lying on the ground: 1.3 m, ribs, no launcher."""
    ribs = [
        point
        for x in np.linspace(-0.4, 0.4, 4)
        for point in ((x - 0.012, 0.105), (x - 0.01, 0.118), (x + 0.01, 0.118), (x + 0.012, 0.105))
    ]
    case = tube((-0.64, 0.1), (-0.62, 0.112), *ribs, (0.62, 0.112), (0.64, 0.1), segments=18)
    return [(case.transformed(translation(0, 0, 0.115) @ rotation("x", float(rng.uniform(0, 90)))), paint)]


def lamp_post(rng: np.random.Generator) -> Painted:
    high = float(rng.uniform(4, 8))
    return [
        (
            merge([rod((0, 0, -0.2), (0, 0, high), 0.07, 0.05), rod((0, 0, high), (1.0, 0, high + 0.2), 0.035)]),
            gunmetal(rng),
        )
    ]


def earth_of(colour: Colour, *, snow: bool, street: bool, rng: np.random.Generator) -> Colour:
    """The ground's colour under snow or asphalt, or as it was."""
    if snow:
        return between(rng, (0.62, 0.64, 0.68), (0.74, 0.76, 0.8), (0.95, 1.05))
    if street:
        return between(rng, (0.12, 0.12, 0.12), (0.34, 0.32, 0.29), (0.9, 1.1))
    return colour
