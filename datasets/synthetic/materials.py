"""Paint, cloth, soil: a base colour with dirt, wear or camouflage, baked into a small tileable texture."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

Colour = tuple[float, float, float]
TEXTURE_PX = 256
TEXTURE_METRES = 2.2


@dataclass(frozen=True, slots=True)
class Material:
    """Linear RGB albedo. `dirt` (0..1) mixes in `dirt_colour`; `camouflage` adds blobs of two more colours.

    `pixels` is the texture's side; small textures are quick to bake and do not speckle from afar.
    """

    colour: Colour
    roughness: float = 0.7
    dirt: float = 0.2
    dirt_colour: Colour = (0.25, 0.2, 0.14)
    camouflage: tuple[Colour, Colour] | None = None
    seed: int = 0
    tile_metres: float = TEXTURE_METRES
    pixels: int = TEXTURE_PX


def between(rng: np.random.Generator, low: Colour, high: Colour, gain: tuple[float, float] = (0.8, 1.3)) -> Colour:
    share = rng.random()
    colour = (np.asarray(low) * (1 - share) + np.asarray(high) * share) * rng.uniform(*gain)
    red, green, blue = np.clip(colour, 0.008, 0.85)
    return float(red), float(green), float(blue)


def olive(rng: np.random.Generator) -> Colour:
    return between(rng, (0.05, 0.06, 0.03), (0.12, 0.15, 0.075))


def tan(rng: np.random.Generator) -> Colour:
    return between(rng, (0.30, 0.24, 0.15), (0.42, 0.33, 0.21))


def soil(rng: np.random.Generator) -> Colour:
    low, high = (
        ((0.36, 0.27, 0.17), (0.52, 0.42, 0.29)),
        ((0.20, 0.17, 0.12), (0.34, 0.29, 0.22)),
        ((0.09, 0.11, 0.04), (0.17, 0.18, 0.08)),
        ((0.26, 0.16, 0.10), (0.36, 0.23, 0.15)),
    )[rng.choice(4, p=[0.45, 0.25, 0.18, 0.12])]
    return between(rng, low, high, (0.85, 1.15))


def military_paint(rng: np.random.Generator, soil_colour: Colour) -> Material:
    colour = olive(rng) if rng.random() < 0.6 else tan(rng)
    camouflage = (olive(rng), (0.03, 0.03, 0.028)) if rng.random() < 0.2 else None
    return Material(
        colour,
        roughness=float(rng.uniform(0.4, 0.8)),
        dirt=float(rng.uniform(0.1, 0.7)),
        dirt_colour=soil_colour,
        camouflage=camouflage,
        seed=int(rng.integers(1 << 30)),
    )


def gunmetal(rng: np.random.Generator) -> Material:
    grey = float(rng.uniform(0.012, 0.05))
    return Material(
        (grey, grey, grey * 1.05),
        roughness=float(rng.uniform(0.3, 0.6)),
        dirt=0.15,
        seed=int(rng.integers(99)),
    )


def sacking(rng: np.random.Generator) -> Material:
    return Material(between(rng, (0.15, 0.13, 0.08), (0.45, 0.4, 0.3)), 0.95, 0.4, seed=int(rng.integers(1 << 30)))


def service_paint(rng: np.random.Generator, soil_colour: Colour, *, held_out: bool = False) -> Material:
    """What armies and militias paint their weapons with. Held out: field grey, earth brown and winter white."""
    if held_out:
        families = (((0.12, 0.14, 0.13), (0.24, 0.26, 0.24)), ((0.1, 0.06, 0.035), (0.2, 0.13, 0.08)),
                    ((0.45, 0.46, 0.45), (0.62, 0.62, 0.6)))  # fmt: skip
        shares = (0.45, 0.4, 0.15)
    else:
        families = (((0.05, 0.06, 0.03), (0.12, 0.15, 0.075)), ((0.30, 0.24, 0.15), (0.42, 0.33, 0.21)),
                    ((0.025, 0.04, 0.025), (0.06, 0.085, 0.045)), ((0.18, 0.17, 0.1), (0.28, 0.25, 0.16)))  # fmt: skip
        shares = (0.42, 0.3, 0.16, 0.12)
    low, high = families[rng.choice(len(families), p=shares)]
    blobs = ((0.1, 0.065, 0.035), (0.03, 0.03, 0.028)) if rng.random() < 0.5 else (olive(rng), tan(rng))
    return Material(
        between(rng, low, high),
        roughness=float(rng.uniform(0.4, 0.85)),
        dirt=float(rng.uniform(0.05, 0.7)),
        dirt_colour=soil_colour,
        camouflage=blobs if rng.random() < 0.22 else None,
        seed=int(rng.integers(1 << 30)),
        tile_metres=float(rng.uniform(1.6, 3.2)),
    )


def car_paint(rng: np.random.Generator, soil_colour: Colour) -> Material:
    shades = ((0.6, 0.6, 0.58), (0.4, 0.36, 0.27), (0.05, 0.05, 0.055), (0.3, 0.04, 0.03), (0.05, 0.09, 0.2),
              (0.25, 0.26, 0.27), (0.06, 0.1, 0.05))  # fmt: skip
    shade = shades[rng.choice(len(shades), p=(0.36, 0.2, 0.1, 0.1, 0.08, 0.08, 0.08))]
    return Material(
        between(rng, shade, shade),
        float(rng.uniform(0.25, 0.5)),
        float(rng.uniform(0.05, 0.6)),
        soil_colour,
        seed=int(rng.integers(1 << 30)),
    )


BLACK = Material((0.012, 0.012, 0.013), roughness=0.5, dirt=0.08)
GLASS = Material((0.02, 0.025, 0.03), roughness=0.12, dirt=0.1)
LAMP = Material((0.6, 0.6, 0.55), roughness=0.2, dirt=0.1)
RUBBER = Material((0.02, 0.019, 0.018), roughness=0.85, dirt=0.35)


def noise(rng: np.random.Generator, size: int, cells: int, octaves: int = 5, fall: float = 0.55) -> np.ndarray:
    """Tileable fractal noise in 0..1, `cells` blobs across at the coarsest octave."""
    total = np.zeros((size, size), np.float32)
    gain = 1.0
    for octave in range(octaves):
        count = min(cells << octave, size)
        grid = np.tile(rng.random((count, count), dtype=np.float32), (3, 3))
        big = cv2.resize(grid, (3 * size, 3 * size), interpolation=cv2.INTER_CUBIC)
        total += gain * big[size : 2 * size, size : 2 * size]
        gain *= fall
    low, high = np.percentile(total, (1, 99))
    return np.clip((total - low) / (high - low), 0, 1)


def texture(material: Material) -> np.ndarray:
    """The material as a tileable linear RGB image."""
    rng = np.random.default_rng(material.seed)
    size = material.pixels
    soft = size < TEXTURE_PX
    base = np.broadcast_to(np.asarray(material.colour, np.float32), (size, size, 3)).copy()
    if material.camouflage is not None:
        for colour, level in zip(material.camouflage, (0.52, 0.68), strict=True):
            blobs = noise(rng, size, 4, 3, 0.4) > level
            base[blobs] = colour
    fine = noise(rng, size, 4 if soft else 8, 4 if soft else 5)
    cover = np.clip((fine - (1 - material.dirt)) * (1.8 if soft else 3.5), 0, 1)
    cover = cover[..., None] * min(1.0, 0.35 + material.dirt)
    image = base * (1 - cover) + np.asarray(material.dirt_colour, np.float32) * cover
    return np.clip(image * (0.86 + 0.28 * noise(rng, size, 16 if soft else 32, 3))[..., None], 0.003, 0.95)
