"""What a camera, an editor and the internet do to a frame: tone, noise, captions, then real video codecs."""

from __future__ import annotations

import io
import string
from fractions import Fraction

import av
import cv2
import numpy as np

CODECS = ("libx264", "mpeg4", "jpeg")
CODEC_SHARES = (0.6, 0.15, 0.25)
REPEATABLE_X264 = "threads=1:lookahead-threads=1:sync-lookahead=0:mbtree=0:weightp=0:rc-lookahead=0"
"""With x264's lookahead on, equal frames gave other bytes about once in 200 encodings (PyAV 18.1)."""


def film(picture: np.ndarray, rng: np.random.Generator, *, night: bool = False) -> np.ndarray:
    """The whole chain on display values 0..1, in the order a camera and a broadcaster apply it; returns BGR uint8.

    One draw per picture says how much it suffers, so that clean pictures stay as common as ruined ones.
    """
    harm = float(rng.beta(1.3, 1.7))
    image = picture.astype(np.float32) * rng.uniform(0.8, 1.15)
    image = (image - 0.45) * rng.uniform(0.82, 1.2) + 0.45 if not night else image
    image = _graded(image, rng, night)
    if rng.random() < 0.3 + 0.4 * harm:
        image = cv2.GaussianBlur(image, (0, 0), (0.3 + float(rng.uniform(0, 1.2)) * harm) * picture.shape[0] / 288)
    if rng.random() < 0.4 * harm:
        image = _motion(image, rng)
    if rng.random() < 0.4:
        image = image * _vignette(image.shape[:2], float(rng.uniform(0.15, 0.5)))
    image = image + rng.normal(0, 0.004 + rng.uniform(0, 0.035) * harm * (1.8 if night else 1.0), image.shape)
    frame = np.clip(image[..., ::-1] * 255, 0, 255).astype(np.uint8)
    height, width = frame.shape[:2]
    if rng.random() < 0.2 + 0.6 * harm:
        scale = float(rng.uniform(0.95 - 0.6 * harm, 0.95))
        small = cv2.resize(frame, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        frame = cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
    frame = overlays(frame, rng)
    for _ in range(1 + int(rng.random() < 0.3)):
        codec = str(rng.choice(CODECS, p=CODEC_SHARES))
        frame = jpeg(frame, round(80 - 55 * harm)) if codec == "jpeg" else recoded(frame, codec, rng, harm)
    return frame


def _graded(image: np.ndarray, rng: np.random.Generator, night: bool) -> np.ndarray:
    """Saturation and white balance; a few frames black and white, faded, or green through a night sight."""
    grey = image @ np.array([0.3, 0.59, 0.11], np.float32)
    draw = rng.random()
    if night and draw < 0.35:
        return np.clip(grey[..., None] * rng.uniform(1.2, 2.2), 0, 1) * np.array([0.25, 1.0, 0.35], np.float32)
    if draw < 0.05:
        return np.repeat(grey[..., None], 3, axis=2)
    if draw < 0.1:
        warm = np.array([1.08, 1.0, 0.82], np.float32)
        return (0.12 + 0.8 * (0.6 * image + 0.4 * grey[..., None])) * warm
    toned = grey[..., None] + (image - grey[..., None]) * rng.uniform(0.4, 1.3)
    return toned * (1 + rng.normal(0, 0.04, 3)).astype(np.float32)


def _motion(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    length = int(rng.integers(3, 10))
    kernel = np.zeros((length, length), np.float32)
    kernel[length // 2] = 1.0 / length
    turn = cv2.getRotationMatrix2D((length / 2 - 0.5, length / 2 - 0.5), float(rng.choice([0, 0, 90, 30, -30])), 1)
    kernel = cv2.warpAffine(kernel, turn, (length, length))
    return cv2.filter2D(image, -1, kernel / max(float(kernel.sum()), 1e-6))


def _vignette(shape: tuple[int, int], depth: float) -> np.ndarray:
    y, x = np.mgrid[-1 : 1 : shape[0] * 1j, -1 : 1 : shape[1] * 1j]
    return (1 - depth * np.clip((x**2 + y**2) / 2, 0, 1))[..., None].astype(np.float32)


def _colour(rng: np.random.Generator, low: int, high: int) -> tuple[int, ...]:
    return tuple(int(value) for value in rng.integers(low, high, 3))


def overlays(frame: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Caption bar, subtitles in a made-up script, channel logo, camera's own display, black bars. None is large."""
    out = frame.copy()
    height, width = frame.shape[:2]
    unit = height / 288
    if rng.random() < 0.08:
        bar = int(height * rng.uniform(0.05, 0.11))
        out[:bar] = out[-bar:] = 0
    if rng.random() < 0.2:
        top = int(height * rng.uniform(0.8, 0.9))
        panel = out.copy()
        cv2.rectangle(panel, (0, top), (width, top + int(24 * unit)), _colour(rng, 0, 140), -1)
        out = cv2.addWeighted(panel, 0.8, out, 0.2, 0)
        _words(out, rng, int(8 * unit), top + int(17 * unit), 0.45 * unit)
    if rng.random() < 0.2:
        _script(out, rng, int(height * rng.uniform(0.78, 0.92)), unit * rng.uniform(0.7, 1.3))
    if rng.random() < 0.35:
        out = _logo(out, rng, width, height)
    if rng.random() < 0.12:
        _viewfinder(out, rng, unit)
    return out


def _words(out: np.ndarray, rng: np.random.Generator, x: int, y: int, size: float) -> None:
    letters = "".join(rng.choice(list(string.ascii_letters + "   "), int(rng.integers(10, 40))))
    cv2.putText(out, letters, (x, y), cv2.FONT_HERSHEY_SIMPLEX, size, (235, 235, 235), 1, cv2.LINE_AA)


def _script(out: np.ndarray, rng: np.random.Generator, baseline: int, unit: float) -> None:
    """A line of joined strokes and dots with an outline, as subtitles in a cursive script look."""
    width = out.shape[1]
    long = int(width * rng.uniform(0.25, 0.75))
    x, end = (width - long) // 2, (width + long) // 2
    strokes = []
    while x < end:
        word = x + int(rng.uniform(14, 46) * unit)
        knots = np.arange(x, min(word, end), max(2.0, 3.5 * unit))
        if len(knots) > 1:
            rise = rng.choice([0, 0, -3, -8, -11, 4], len(knots)) * unit
            strokes.append(np.stack([knots, baseline + rise], 1).astype(np.int32))
        x = word + int(6 * unit)
    light = (255, 255, 255) if rng.random() < 0.7 else (60, 220, 250)
    for colour, thick in (((0, 0, 0), 3), (light, 1)):
        for stroke in strokes:
            cv2.polylines(out, [stroke], False, colour, thick, cv2.LINE_AA)
    for stroke in strokes:
        px, py = stroke[rng.integers(len(stroke))]
        cv2.circle(out, (int(px), int(py + 6 * unit)), 1, light, -1)


def _logo(out: np.ndarray, rng: np.random.Generator, width: int, height: int) -> np.ndarray:
    side = int(rng.uniform(0.04, 0.1) * width)
    x = int(0.04 * width) if rng.random() < 0.5 else int(0.96 * width - side)
    y = int(0.05 * height) if rng.random() < 0.85 else int(0.9 * height - side)
    logo = out.copy()
    middle = (x + side // 2, y + side // 2)
    kind = rng.random()
    if kind < 0.5:
        cv2.circle(logo, middle, side // 2, _colour(rng, 60, 256), -1, cv2.LINE_AA)
        cv2.circle(logo, middle, side // 3, (255, 255, 255), 1, cv2.LINE_AA)
    elif kind < 0.8:
        cv2.rectangle(logo, (x, y), (x + side, y + side // 2), _colour(rng, 0, 256), -1)
        cv2.putText(logo, "".join(rng.choice(list(string.ascii_uppercase), 3)), (x + 2, y + side // 2 - 3),
                    cv2.FONT_HERSHEY_DUPLEX, side / 75, (255, 255, 255), 1, cv2.LINE_AA)  # fmt: skip
    else:
        for row in range(3):
            cv2.rectangle(
                logo, (x, y + row * side // 5), (x + side, y + (row + 1) * side // 5), _colour(rng, 0, 256), -1
            )
    return cv2.addWeighted(logo, float(rng.uniform(0.5, 0.95)), out, 1 - 0.6, 0) if kind < 0.5 else logo


def _viewfinder(out: np.ndarray, rng: np.random.Generator, unit: float) -> None:
    """A camcorder's clock, or cross hairs."""
    height, width = out.shape[:2]
    if rng.random() < 0.6:
        clock = f"{rng.integers(24):02d}:{rng.integers(60):02d}:{rng.integers(60):02d}"
        cv2.putText(
            out, clock, (int(width * 0.72), int(height * 0.93)), cv2.FONT_HERSHEY_PLAIN, unit, (230, 240, 240), 1
        )
        cv2.circle(out, (int(16 * unit), int(16 * unit)), int(4 * unit), (30, 30, 220), -1)
        return
    shade = (20, 20, 20) if rng.random() < 0.5 else (220, 220, 220)
    cv2.line(out, (width // 2, int(height * 0.35)), (width // 2, int(height * 0.65)), shade, 1)
    cv2.line(out, (int(width * 0.4), height // 2), (int(width * 0.6), height // 2), shade, 1)


def jpeg(frame: np.ndarray, quality: int) -> np.ndarray:
    _, coded = cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return cv2.imdecode(coded, cv2.IMREAD_COLOR)


def recoded(frame: np.ndarray, codec: str, rng: np.random.Generator, harm: float) -> np.ndarray:
    """The frame as the last of a short pan, after `codec` (`libx264` or `mpeg4`).

    `harm` (0..1) sets how coarse the quantiser is and how small the coded size.
    """
    height, width = frame.shape[:2]
    scale = 1.0 if rng.random() < 0.5 else float(rng.uniform(0.95 - 0.4 * harm, 0.95))
    columns, rows = (max(64, 2 * round(side * scale / 2)) for side in (width, height))
    drift = rng.normal(0, 3, 2)
    length = int(rng.integers(2, 6))
    memory = io.BytesIO()
    with av.open(memory, "w", format="matroska") as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = columns, rows, "yuv420p"
        stream.codec_context.thread_count = 1
        if codec == "libx264":
            stream.codec_context.options = {
                "crf": str(round(22 + 15 * harm)),
                "preset": "veryfast",
                "x264-params": REPEATABLE_X264,
            }
        else:
            level = str(round(3 + 15 * harm))
            stream.codec_context.options = {"qmin": level, "qmax": level}
        for number in range(length):
            step = length - 1 - number
            move = np.array([[1, 0, drift[0] * step], [0, 1, drift[1] * step]], np.float32)
            moved = cv2.warpAffine(frame, move, (width, height), borderMode=cv2.BORDER_REPLICATE) if step else frame
            sized = cv2.resize(moved, (columns, rows), interpolation=cv2.INTER_AREA)
            shot = av.VideoFrame.from_ndarray(sized, format="bgr24").reformat(format="yuv420p")
            shot.pts, shot.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(shot))
        container.mux(stream.encode(None))
    memory.seek(0)
    with av.open(memory) as container:
        container.streams.video[0].codec_context.thread_count = 1
        shown = list(container.decode(video=0))[-1].to_ndarray(format="bgr24")
    return cv2.resize(shown, (width, height), interpolation=cv2.INTER_LINEAR)
