"""From radiance to display values: backdrop, haze, smoke, snow in the air, exposure."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from datasets.synthetic.materials import noise
from datasets.synthetic.render import Frame, directions
from datasets.synthetic.scene import Scene


def compose(frame: Frame, scene: Scene, backdrop: np.ndarray | None = None) -> np.ndarray:
    """Linear RGB with the sky (or a linear `backdrop` picture of the same size) behind, and haze by depth."""
    height, width = frame.cover.shape
    behind = scene.sky.radiance(directions(scene.camera, width, height)) if backdrop is None else backdrop
    picture = frame.radiance
    if scene.fog_metres is not None:
        upper = behind[: max(1, height // 2)]
        haze = np.asarray(scene.sky.horizon) if backdrop is None else upper.reshape(-1, 3).mean(axis=0)
        depth = cv2.medianBlur(np.minimum(frame.depth_metres, 2000).astype(np.float32), 3)
        share = (1 - np.exp(-depth / scene.fog_metres))[..., None] * frame.cover[..., None]
        picture = picture * (1 - share) + haze * share
    picture = picture + behind * (1 - frame.cover[..., None])
    if scene.weather.smoke > 0:
        picture = _smoke(picture, frame, scene)
    if scene.weather.flakes > 0:
        picture = _snowfall(picture, scene)
    return picture


def _smoke(picture: np.ndarray, frame: Frame, scene: Scene) -> np.ndarray:
    """A ragged cloud about the subject: thin before it, thick behind it."""
    height, width = frame.cover.shape
    rng = np.random.default_rng(scene.weather.seed)
    size = 256
    cloud = noise(rng, size, 2, 6, 0.6)
    x, y = rng.integers(size, size=2)
    cloud = cv2.resize(np.roll(cloud, (x, y), (0, 1)), (width, height), interpolation=cv2.INTER_CUBIC)
    rise = np.linspace(float(rng.uniform(0.6, 1.3)), float(rng.uniform(0.2, 1.2)), height)[:, None]
    far = float(np.linalg.norm(np.asarray(scene.camera.target) - scene.camera.origin))
    depth = np.where(np.isfinite(frame.depth_metres), frame.depth_metres, 1e4)
    behind = np.clip((depth - 0.6 * far) / (0.8 * far), 0, 1)
    opacity = scene.weather.smoke * np.clip(cloud * 1.7 - 0.45, 0, 1) * rise * (0.3 + 0.7 * behind)
    lit = float(np.mean(scene.sky.horizon)) * scene.weather.smoke_shade
    share = np.clip(opacity, 0, 0.97)[..., None]
    return picture * (1 - share) + lit * share


def _snowfall(picture: np.ndarray, scene: Scene) -> np.ndarray:
    height, width = picture.shape[:2]
    rng = np.random.default_rng(scene.weather.seed)
    veil = np.zeros((height, width), np.float32)
    slant = float(rng.normal(0, 2))
    for x, y, size in zip(*rng.uniform((0, 0, 0.5), (width, height, 2.2), (scene.weather.flakes, 3)).T, strict=True):
        start = (round(x), round(y))
        end = (round(x + slant), round(y + 3 * size * height / 288))
        cv2.line(veil, start, end, float(rng.uniform(0.3, 0.9)), max(1, round(size * height / 288)), cv2.LINE_AA)
    veil = cv2.GaussianBlur(veil, (0, 0), 0.8)[..., None]
    return picture * (1 - veil) + float(np.median(picture)) * 2.2 * veil


def expose(linear: np.ndarray, target: float = 0.34) -> np.ndarray:
    """Display values 0..1: the median brightness is brought to `target`, highlights roll off softly."""
    luminance = linear @ np.array([0.2126, 0.7152, 0.0722])
    gain = target**2.2 / max(float(np.median(luminance)), 1e-4)
    bright = linear * gain * 1.2
    return np.clip(bright * (1 + bright * 0.12) / (1 + bright * 0.62), 0, 1) ** (1 / 2.2)


def photograph(path: Path, width: int, height: int, rng: np.random.Generator) -> np.ndarray | None:
    """A photograph cropped to the frame, in linear light with median brightness 1; None if it cannot be read."""
    image = cv2.imread(str(path))
    if image is None:
        return None
    rows, columns = image.shape[:2]
    scale = max(width / columns, height / rows * 0.9) * float(rng.uniform(1.0, 1.3))
    image = cv2.resize(
        image,
        (max(width, round(columns * scale)), max(height, round(rows * scale))),
        interpolation=cv2.INTER_AREA,
    )
    x = int(rng.integers(image.shape[1] - width + 1))
    y = int((image.shape[0] - height) * rng.uniform(0, 0.6))
    crop = image[y : y + height, x : x + width, ::-1].astype(np.float32) / 255
    if rng.random() < 0.5:
        crop = crop[:, ::-1]
    linear = crop**2.2
    return linear / max(float(np.median(linear)), 0.02)


def median_radiance(frame: Frame) -> float:
    """Median brightness of what was rendered, sky left out."""
    solid = frame.cover > 0.5
    return float(np.median(frame.radiance[solid].mean(axis=1))) if solid.any() else 0.3
