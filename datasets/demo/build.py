"""Builds `demo.mp4` and `truth.json`: rendered stills, a hand-held camera over them, H.264 at a variable rate."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from itertools import cycle
from multiprocessing import get_context
from pathlib import Path

import av
import cv2
import numpy as np

from datasets.demo.shots import CADENCES, DEMO_SEED, SHOTS, Shot, View
from datasets.synthetic import degrade, scene
from datasets.synthetic.render import Renderer

WIDTH, HEIGHT = 640, 360
STILL_WIDTH, STILL_HEIGHT = 1280, 720
SAMPLES = 10
EXPOSURE = 0.53
GRAIN = 1.6
SHAKE_PX = 5.0
MARGIN_PX = 12
TIME_BASE = Fraction(1, 90_000)
CRF = "27"
CLIP, TRUTH = "demo.mp4", "truth.json"

Box = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Still:
    """A rendered take (BGR uint8) and the box of its weapon, if it has one, in its own pixels."""

    image: np.ndarray
    box: Box | None

    def __repr__(self) -> str:
        return f"Still({self.image.shape[1]}x{self.image.shape[0]}, box={self.box})"


def build_demo(out: Path, *, stills: Path | None = None, workers: int = 1) -> None:
    """Write the clip and its truth into the folder `out`. The same code gives the same frames.

    Rendering takes minutes; `stills` names a folder where finished takes are kept and looked for.
    """
    out.mkdir(parents=True, exist_ok=True)
    if workers > 1:
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
            takes = list(pool.map(still, SHOTS, [stills] * len(SHOTS)))
    else:
        takes = [still(shot, stills) for shot in SHOTS]
    clip = out / CLIP
    partial = out / f"{CLIP}.part"
    _encode(partial, takes)
    partial.replace(clip)
    truth = _truth(clip)
    (out / TRUTH).write_text(json.dumps(truth, indent=1) + "\n")


def still(shot: Shot, cache: Path | None = None) -> Still:
    """Render one take, or read it back from `cache`."""
    bearing = "drawn" if shot.view is None else f"{shot.view.bearing:.0f}"
    path = None if cache is None else cache / f"{shot.kind}_{shot.scene}_{bearing}.npz"
    if path is not None and path.exists():
        with np.load(path) as kept:
            box = tuple(int(value) for value in kept["box"])
            return Still(kept["image"], box if len(box) == 4 else None)
    drawn = scene.build(np.random.default_rng([DEMO_SEED, shot.scene]), shot.kind, tow_models=shot.models)
    if shot.view is not None:
        drawn.camera = placed(drawn, shot.view)
    frame = Renderer(drawn).frame(width=STILL_WIDTH, height=STILL_HEIGHT, samples=SAMPLES, seed=shot.scene)
    labels = [seen.label for seen in frame.seen]
    wanted = [] if shot.kind == scene.NEGATIVE else [shot.kind]
    if labels != wanted:
        raise RuntimeError(f"scene {shot.scene} shows {labels or 'nothing'}, the script says {wanted or 'nothing'}")
    picture = degrade.expose(degrade.compose(frame, drawn), EXPOSURE)
    image = np.clip(picture[..., ::-1] * 255, 0, 255).astype(np.uint8)
    take = Still(image, frame.seen[0].box_px if frame.seen else None)
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(path, image=image, box=np.array(take.box or (), dtype=int))
    return take


def placed(drawn: scene.Scene, view: View) -> scene.Camera:
    """The camera of a `View`: it looks at the weapon, a little above the middle of the picture."""
    subject = next(thing for thing in drawn.things if thing.label is not None)
    low, high = subject.bounds()
    middle = (low + high) / 2
    size = float(np.linalg.norm((high - low)[:2])) * 0.85
    fov = float(np.degrees(2 * np.arctan(size / (2 * view.share * view.distance))))
    around = np.radians(view.bearing + float(drawn.facts["heading"]))
    place = (
        float(middle[0] + view.distance * np.cos(around)),
        float(middle[1] + view.distance * np.sin(around)),
    )
    return scene.aimed(drawn.ground, place, view.height, middle, fov, 0.0, np.array([0.0, 0.1]))


def frame_times_ms(shot: Shot) -> list[int]:
    """When the frames of a shot are shown: the first exactly on the cut."""
    times, now = [], shot.start_ms
    for step in cycle(CADENCES[shot.cadence]):
        if now >= shot.end_ms:
            return times
        times.append(now)
        now += step
    raise AssertionError("a cycle does not end")


def filmed(shot: Shot, take: Still) -> Iterator[tuple[int, np.ndarray]]:
    """(milliseconds, BGR frame) of one shot, with zoom, pan, shake and grain."""
    rng = np.random.default_rng([DEMO_SEED, shot.start_ms])
    phases = rng.uniform(0, 2 * np.pi, (2, 3))
    grains = [rng.normal(0, GRAIN, (HEIGHT, WIDTH, 1)).astype(np.float32) for _ in range(8)]
    tint = (1 + rng.normal(0, 0.015, 3)).astype(np.float32)
    times = frame_times_ms(shot)
    for number, now in enumerate(times):
        share = (now - shot.start_ms) / (shot.end_ms - shot.start_ms)
        eased = share * share * (3 - 2 * share)
        x, y, width = _window(shot, take.box, eased, now / 1000, phases)
        scale = STILL_WIDTH / width
        move = np.array([[scale, 0, -x * scale], [0, scale, -y * scale]], np.float32)
        large = cv2.warpAffine(take.image, move, (STILL_WIDTH, STILL_HEIGHT), flags=cv2.INTER_LINEAR)
        small = cv2.resize(large, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA).astype(np.float32)
        yield now, np.clip(small * tint + grains[number % len(grains)], 0, 255).astype(np.uint8)


def _window(
    shot: Shot, box: Box | None, share: float, seconds: float, phases: np.ndarray
) -> tuple[float, float, float]:
    """Left, top and width of the part of the still that is shown; a weapon stays wholly inside it."""
    width = STILL_WIDTH * (shot.zoom[0] + (shot.zoom[1] - shot.zoom[0]) * share)
    height = width * HEIGHT / WIDTH
    free = np.array([STILL_WIDTH - width, STILL_HEIGHT - height])
    shake = SHAKE_PX * np.sin(seconds * np.array([1.3, 2.9, 4.7]) + phases) @ np.array([0.6, 0.3, 0.15])
    corner = free * (0.5 + np.asarray(shot.pan) * (share - 0.5)) + shake
    corner = np.clip(corner, 0, free)
    if box is not None:
        lowest = np.array([box[2] + MARGIN_PX - width, box[3] + MARGIN_PX - height])
        highest = np.array([box[0] - MARGIN_PX, box[1] - MARGIN_PX], dtype=float)
        if (lowest > highest).any():
            raise ValueError(f"the {shot.kind} at {shot.start_ms} ms does not fit into a zoom of {shot.zoom}")
        corner = np.clip(np.clip(corner, lowest, highest), 0, free)
    return float(corner[0]), float(corner[1]), width


def _encode(target: Path, takes: list[Still]) -> None:
    cv2.setNumThreads(1)
    end = SHOTS[-1].end_ms
    with av.open(str(target), "w", format="mp4", options={"movflags": "+faststart"}) as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.time_base = stream.codec_context.time_base = TIME_BASE
        stream.codec_context.thread_count = 1
        stream.codec_context.options = {"crf": CRF, "preset": "medium", "g": "250"}
        pending: tuple[int, np.ndarray] | None = None
        for shot, take in zip(SHOTS, takes, strict=True):
            for following in filmed(shot, take):
                if pending is not None:
                    container.mux(stream.encode(_frame(*pending, following[0])))
                pending = following
        if pending is not None:
            container.mux(stream.encode(_frame(*pending, end)))
        container.mux(stream.encode(None))


def _frame(now_ms: int, image: np.ndarray, next_ms: int) -> av.VideoFrame:
    frame = av.VideoFrame.from_ndarray(image, format="bgr24")
    frame.time_base = TIME_BASE
    frame.pts = now_ms * 90
    frame.duration = (next_ms - now_ms) * 90
    return frame


def _truth(clip: Path) -> dict[str, object]:
    """What the script put into the clip, in seconds. A run of shots with the same weapon is one appearance."""
    with av.open(str(clip)) as container:
        duration_s = round(container.duration / av.time_base, 3)
    appearances: list[dict[str, object]] = []
    previous = ""
    for shot in SHOTS:
        times = frame_times_ms(shot)
        if shot.kind != scene.NEGATIVE:
            if shot.kind != previous:
                appearances.append({"class": shot.kind, "first_seen_s": times[0] / 1000})
            appearances[-1]["last_seen_s"] = times[-1] / 1000
        previous = shot.kind
    return {
        "clip": clip.name,
        "sha256": hashlib.sha256(clip.read_bytes()).hexdigest(),
        "duration_s": duration_s,
        "frames": sum(len(frame_times_ms(shot)) for shot in SHOTS),
        "width": WIDTH,
        "height": HEIGHT,
        "cuts_s": [shot.start_ms / 1000 for shot in SHOTS[1:]],
        "appearances": appearances,
    }
