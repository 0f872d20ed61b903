"""From radiance to a frame that looks filmed, sent and re-encoded: backdrop, haze, tone, noise, JPEG."""

from __future__ import annotations

import string
from pathlib import Path

import cv2
import numpy as np

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
    return picture + behind * (1 - frame.cover[..., None])


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


def film(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The whole chain on display values 0..1, in the order a camera and a broadcaster apply it; returns BGR uint8."""
    image = picture.astype(np.float32)
    image = image * rng.uniform(0.75, 1.25)
    image = (image - 0.45) * rng.uniform(0.8, 1.18) + 0.45
    grey = image.mean(axis=2, keepdims=True)
    image = grey + (image - grey) * rng.uniform(0.4, 1.25)
    image = image * (1 + rng.normal(0, 0.03, 3)).astype(np.float32)
    if rng.random() < 0.4:
        image = cv2.GaussianBlur(image, (0, 0), float(rng.uniform(0.4, 1.2)))
    if rng.random() < 0.25:
        image = _motion(image, rng)
    if rng.random() < 0.4:
        image = image * _vignette(image.shape[:2], float(rng.uniform(0.15, 0.5)))
    image = image + rng.normal(0, rng.uniform(0.004, 0.035), image.shape)
    frame = np.clip(image[..., ::-1] * 255, 0, 255).astype(np.uint8)
    height, width = frame.shape[:2]
    if rng.random() < 0.5:
        scale = float(rng.uniform(0.5, 0.9))
        small = cv2.resize(frame, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        frame = cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
    frame = overlays(frame, rng)
    for _ in range(int(rng.integers(1, 3))):
        frame = jpeg(frame, int(rng.integers(25, 80)))
    return frame


def _motion(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    length = int(rng.integers(3, 8))
    kernel = np.zeros((length, length), np.float32)
    kernel[length // 2] = 1.0 / length
    turn = cv2.getRotationMatrix2D((length / 2 - 0.5, length / 2 - 0.5), float(rng.choice([0, 0, 90, 30, -30])), 1)
    kernel = cv2.warpAffine(kernel, turn, (length, length))
    return cv2.filter2D(image, -1, kernel / max(float(kernel.sum()), 1e-6))


def _vignette(shape: tuple[int, int], depth: float) -> np.ndarray:
    y, x = np.mgrid[-1 : 1 : shape[0] * 1j, -1 : 1 : shape[1] * 1j]
    return (1 - depth * np.clip((x**2 + y**2) / 2, 0, 1))[..., None].astype(np.float32)


def overlays(frame: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A caption bar in a quarter of the frames, a station logo in three of ten. Neither is large."""
    height, width = frame.shape[:2]
    out = frame.copy()
    unit = height / 288
    if rng.random() < 0.25:
        top = int(height * rng.uniform(0.82, 0.9))
        bar = out.copy()
        cv2.rectangle(bar, (0, top), (width, top + int(24 * unit)), tuple(int(v) for v in rng.integers(0, 140, 3)), -1)
        out = cv2.addWeighted(bar, 0.8, out, 0.2, 0)
        letters = rng.choice(list(string.ascii_letters + "   "), int(rng.integers(10, 40)))
        cv2.putText(
            out,
            "".join(letters),
            (int(8 * unit), top + int(17 * unit)),
            cv2.FONT_HERSHEY_SIMPLEX,
            0.45 * unit,
            (235, 235, 235),
            1,
            cv2.LINE_AA,
        )
    if rng.random() < 0.3:
        side = int(rng.uniform(0.04, 0.08) * width)
        x = int(0.04 * width) if rng.random() < 0.5 else int(0.96 * width - side)
        y = int(0.05 * height)
        logo = out.copy()
        colour = tuple(int(v) for v in rng.integers(60, 256, 3))
        cv2.circle(logo, (x + side // 2, y + side // 2), side // 2, colour, -1, cv2.LINE_AA)
        cv2.circle(logo, (x + side // 2, y + side // 2), side // 3, (255, 255, 255), 1, cv2.LINE_AA)
        out = cv2.addWeighted(logo, 0.6, out, 0.4, 0)
    return out


def jpeg(frame: np.ndarray, quality: int) -> np.ndarray:
    _, coded = cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return cv2.imdecode(coded, cv2.IMREAD_COLOR)
