"""Sets of rendered, labelled pictures: the same (seed, index) gives the same scene; a broken run goes on."""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import cv2
import numpy as np

GENERATOR_VERSION = "2"
WIDTH, HEIGHT = 512, 288
SAMPLES = 6
NEGATIVE_SHARE = 0.1
TOW_SHARE = 0.6
BACKDROP_SHARE = 0.5
MAX_TRIES = 8
PHOTO_SUFFIXES = (".jpg", ".jpeg", ".png")


@dataclass(frozen=True, slots=True)
class Job:
    out: Path
    index: int
    seed: int
    kind: str
    width: int
    height: int
    samples: int
    photos: tuple[Path, ...]


def kind_of(seed: int, index: int, classes: Sequence[str]) -> str:
    """What the picture at `index` is about. A tenth shows no weapon; TOW launchers fill most of the rest."""
    if not classes:
        return "negative"
    draw = float(np.random.default_rng([seed, index, 7]).random())
    if draw < NEGATIVE_SHARE:
        return "negative"
    share = (draw - NEGATIVE_SHARE) / (1 - NEGATIVE_SHARE)
    others = [name for name in classes if name != "tow_launcher"]
    if "tow_launcher" not in classes:
        return others[int(share * len(others))]
    tow = TOW_SHARE / (1 - NEGATIVE_SHARE)
    if share < tow or not others:
        return "tow_launcher"
    return others[min(int((share - tow) / (1 - tow) * len(others)), len(others) - 1)]


def render_set(
    out: Path,
    *,
    count: int,
    seed: int,
    classes: Sequence[str],
    workers: int,
    backgrounds: Path | None = None,
    width: int = WIDTH,
    height: int = HEIGHT,
    samples: int = SAMPLES,
) -> None:
    """Render pictures 0..count-1 into `out`.

    Written are `images/*.jpg`, `labels/*.txt` (lines `class cx cy w h` in 0..1) and `manifest.json`.
    Pictures that are there already are left alone. `backgrounds` names a folder of weapon-free photographs to stand
    behind half of the scenes; such pictures inherit the photographs' licences.
    """
    from datasets.synthetic.weapons import BUILDERS

    unknown = sorted(set(classes) - (set(BUILDERS) - {"carrier"}))
    if unknown:
        raise ValueError(f"no scenes for {', '.join(unknown)}; known: {', '.join(sorted(set(BUILDERS) - {'carrier'}))}")
    for folder in ("images", "labels", "records"):
        (out / folder).mkdir(parents=True, exist_ok=True)
    photos: tuple[Path, ...] = ()
    if backgrounds is not None:
        photos = tuple(sorted(path for path in backgrounds.iterdir() if path.suffix.lower() in PHOTO_SUFFIXES))
    jobs = [
        Job(out, index, seed, kind_of(seed, index, classes), width, height, samples, photos)
        for index in range(count)
        if not _image_path(out, seed, index).exists()
    ]
    if workers <= 1:
        for job in jobs:
            render_one(job)
    else:
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
            for _ in pool.map(render_one, jobs):
                pass
    _write_manifest(out, seed, classes)


def _image_path(out: Path, seed: int, index: int) -> Path:
    return out / "images" / f"synthetic_{seed}_{index:05d}.jpg"


def render_one(job: Job) -> None:
    """Draw scenes until one shows what it should, then write label, record and (last) picture."""
    from datasets.synthetic import degrade, scene
    from datasets.synthetic.render import Renderer

    cv2.setNumThreads(1)
    for attempt in range(MAX_TRIES):
        rng = np.random.default_rng([job.seed, job.index, attempt])
        photo = _photo(job, rng)
        drawn = scene.build(rng, job.kind, open_horizon=photo is not None)
        frame = Renderer(drawn).frame(
            width=job.width, height=job.height, samples=job.samples, seed=int(rng.integers(1 << 30))
        )
        shown = {seen.label for seen in frame.seen}
        if job.kind != scene.NEGATIVE and job.kind not in shown:
            continue
        if any(seen.cut_away for seen in frame.seen):
            continue
        backdrop = None if photo is None else photo[1] * degrade.median_radiance(frame) * rng.uniform(0.8, 1.6)
        linear = degrade.compose(frame, drawn, backdrop)
        picture = degrade.film(degrade.expose(linear, float(rng.uniform(0.4, 0.6))), rng)
        break
    else:
        raise RuntimeError(f"picture {job.index} of seed {job.seed}: no scene showed a {job.kind} in {MAX_TRIES} tries")
    target = _image_path(job.out, job.seed, job.index)
    lines = [
        f"{seen.label} {(x1 + x2) / 2 / job.width:.5f} {(y1 + y2) / 2 / job.height:.5f} "
        f"{(x2 - x1) / job.width:.5f} {(y2 - y1) / job.height:.5f}\n"
        for seen in frame.seen
        for x1, y1, x2, y2 in [seen.box_px]
    ]
    (job.out / "labels" / f"{target.stem}.txt").write_text("".join(lines))
    record = _record(drawn, target.name, attempt, frame.seen, None if photo is None else photo[0])
    (job.out / "records" / f"{target.stem}.json").write_text(json.dumps(record))
    _, coded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 90])
    partial = target.with_suffix(".part")
    partial.write_bytes(coded.tobytes())
    partial.rename(target)


def _photo(job: Job, rng: np.random.Generator) -> tuple[str, np.ndarray] | None:
    """A random photograph (name, linear RGB of median brightness 1) for half of the scenes."""
    from datasets.synthetic import degrade

    if not job.photos or rng.random() >= BACKDROP_SHARE:
        return None
    path = job.photos[int(rng.integers(len(job.photos)))]
    image = degrade.photograph(path, job.width, job.height, rng)
    return None if image is None else (path.name, image)


def _record(drawn: Any, name: str, attempt: int, seen: Sequence[Any], photo: str | None) -> dict[str, Any]:
    return {
        "file": name,
        **drawn.facts,
        "attempt": attempt,
        "camera": {
            "origin": [round(value, 3) for value in drawn.camera.origin],
            "fov_x_degrees": round(drawn.camera.fov_x_degrees, 2),
            "roll_degrees": round(drawn.camera.roll_degrees, 2),
        },
        "sun": {"elevation": round(drawn.light.elevation, 1), "lit": bool(max(drawn.light.irradiance) > 0)},
        "fog_metres": drawn.fog_metres,
        "backdrop": photo,
        "seen": [{"class": one.label, "box_px": one.box_px, "visible_share": one.visible_share} for one in seen],
    }


def _write_manifest(out: Path, seed: int, classes: Sequence[str]) -> None:
    records = [json.loads(path.read_text()) for path in sorted((out / "records").glob("*.json"))]
    manifest = {
        "generator_version": GENERATOR_VERSION,
        "seed": seed,
        "classes": list(classes),
        "images": records,
    }
    partial = out / "manifest.json.part"
    partial.write_text(json.dumps(manifest, indent=1))
    partial.rename(out / "manifest.json")
