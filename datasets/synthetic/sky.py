"""The sky as a function of direction: drawn behind the scene, and blurred as its ambient light."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from datasets.synthetic.materials import Colour, noise


@dataclass(frozen=True, slots=True)
class Sky:
    """Radiances in linear RGB. `cover` (0..1) is the share of cloud."""

    zenith: Colour
    horizon: Colour
    ground: Colour
    cover: float
    cloud: Colour
    seed: int

    def overcast(self) -> Sky:
        """The same sky with its blue gone: without a sun, a blue one would tint the whole ground."""
        zenith, horizon = (
            tuple(0.25 * np.asarray(colour) + 0.75 * float(np.mean(colour))) for colour in (self.zenith, self.horizon)
        )
        return replace(self, zenith=zenith, horizon=horizon, cover=max(self.cover, 0.7))

    def tinted(self, colour: Colour) -> Sky:
        """The same sky behind dust of that colour."""
        zenith, horizon = (
            tuple(
                float(v)
                for v in 0.35 * np.asarray(own)
                + 0.65 * np.asarray(colour) * float(np.mean(own)) / float(np.mean(colour))
            )
            for own in (self.zenith, self.horizon)
        )
        return replace(self, zenith=zenith, horizon=horizon, cover=self.cover * 0.3)

    def at_night(self, gain: float) -> Sky:
        """The same sky with `gain` times its light, turned blue."""
        blue = np.array([0.55, 0.75, 1.2]) * gain
        changed = {
            name: tuple(float(v) for v in float(np.mean(getattr(self, name))) * blue)
            for name in ("zenith", "horizon", "ground", "cloud")
        }
        return replace(self, **changed)

    def radiance(self, directions: np.ndarray) -> np.ndarray:
        """Colour seen in each unit direction (..., 3)."""
        up = np.clip(directions[..., 2], 0, 1)
        share = (1 - (1 - up) ** 3.0)[..., None]
        colour = np.asarray(self.horizon) * (1 - share) + np.asarray(self.zenith) * share
        clouds = noise(np.random.default_rng(self.seed), 512, 3, 6)
        reach = np.maximum(up, 0.03) + 0.12
        u = (directions[..., 0] / reach * 60 + 256).astype(np.float32) % 512
        v = (directions[..., 1] / reach * 60 + 256).astype(np.float32) % 512
        density = cv2.remap(clouds, u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
        opacity = (np.clip((density - (1 - self.cover)) * 3, 0, 1) * np.clip(up * 9, 0, 1))[..., None]
        shade = (0.75 + 0.35 * density)[..., None]
        colour = colour * (1 - opacity) + np.asarray(self.cloud) * shade * opacity
        below = np.clip(-directions[..., 2] * 12, 0, 1)[..., None]
        return colour * (1 - below) + np.asarray(self.ground) * below

    def dome(self, height: int = 16) -> np.ndarray:
        """Equirectangular image of the whole sphere (top row is up), smooth enough to sample as a light."""
        polar = (np.arange(height) + 0.5) / height * np.pi
        around = (np.arange(2 * height) + 0.5) / (2 * height) * 2 * np.pi
        theta, phi = np.meshgrid(polar, around, indexing="ij")
        directions = np.stack([np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)], -1)
        return cv2.GaussianBlur(self.radiance(directions).astype(np.float32), (0, 0), 1.0)


def random_sky(rng: np.random.Generator, ground: Colour) -> Sky:
    kind = rng.random()
    if kind < 0.5:
        zenith, horizon, cover = (0.16, 0.32, 0.72), (0.62, 0.72, 0.85), rng.uniform(0, 0.45)
    elif kind < 0.75:
        zenith, horizon, cover = (0.5, 0.53, 0.58), (0.66, 0.67, 0.68), rng.uniform(0.5, 1.0)
    elif kind < 0.92:
        zenith, horizon, cover = (0.42, 0.45, 0.5), (0.72, 0.66, 0.54), rng.uniform(0, 0.4)
    else:
        zenith, horizon, cover = (0.2, 0.26, 0.46), (0.9, 0.6, 0.36), rng.uniform(0.1, 0.6)
    return _varied(rng, zenith, horizon, float(cover), ground)


def unseen_sky(rng: np.random.Generator, ground: Colour) -> Sky:
    """Skies that `random_sky` never draws: a lilac dusk and a steel-grey front."""
    if rng.random() < 0.5:
        return _varied(rng, (0.3, 0.24, 0.5), (0.85, 0.55, 0.6), float(rng.uniform(0, 0.4)), ground)
    return _varied(rng, (0.3, 0.36, 0.42), (0.45, 0.52, 0.58), float(rng.uniform(0.3, 0.9)), ground)


def _varied(rng: np.random.Generator, zenith: Colour, horizon: Colour, cover: float, ground: Colour) -> Sky:
    gain = rng.uniform(0.75, 1.25)
    tint = rng.uniform(0.92, 1.08, 3)
    return Sky(
        tuple(np.asarray(zenith) * gain * tint),
        tuple(np.asarray(horizon) * gain * tint),
        tuple(np.asarray(ground) * 0.8),
        float(cover),
        tuple(np.asarray((0.9, 0.9, 0.92)) * gain * rng.uniform(0.6, 1.05)),
        int(rng.integers(1 << 30)),
    )
