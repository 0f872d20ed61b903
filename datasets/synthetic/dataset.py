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

from datasets.made_folder import begin_folder, finish_folder, not_written, write_picture, write_text
from detector.errors import DataError

GENERATOR_VERSION = "3"
WIDTH, HEIGHT = 512, 288
SAMPLES = 6
NEGATIVE_SHARE = 0.2
TOW_SHARE = 0.35
WEIGHTS = {"tank": 0.4}
"""How often each of the other classes is the subject, against 1 for a class that is not listed."""
BACKDROP_SHARE = 0.45
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
    held_out: bool
    other_proportions: bool


def kind_of(
    seed: int,
    index: int,
    classes: Sequence[str],
    *,
    tow_share: float = TOW_SHARE,
    negative_share: float = NEGATIVE_SHARE,
) -> str:
    """What the picture at `index` is about: `negative` (look-alikes only), `tow_launcher`, or another of `classes`.

    A share that has no class to go to falls to the others in proportion.
    """
    shares = {"negative": negative_share}
    others = [name for name in classes if name != "tow_launcher"]
    if "tow_launcher" in classes:
        shares["tow_launcher"] = tow_share
    weights = {name: WEIGHTS.get(name, 1.0) for name in others}
    left = max(0.0, 1 - negative_share - tow_share)
    for name, weight in weights.items():
        shares[name] = left * weight / sum(weights.values())
    draw = float(np.random.default_rng([seed, index, 7]).random()) * sum(shares.values())
    for name, share in shares.items():
        draw -= share
        if draw < 0:
            return name
    return next(reversed(shares))


def render_set(
    out: Path,
    *,
    count: int,
    seed: int,
    classes: Sequence[str],
    workers: int,
    backgrounds: Path | Sequence[Path] | None = None,
    width: int = WIDTH,
    height: int = HEIGHT,
    samples: int = SAMPLES,
    tow_share: float = TOW_SHARE,
    negative_share: float = NEGATIVE_SHARE,
    held_out: bool = False,
    other_proportions: bool = False,
) -> None:
    """Render pictures 0..count-1 into `out`.

    Written are `images/*.jpg`, `labels/*.txt` (lines `class cx cy w h` in 0..1) and `manifest.json`.
    Pictures that are there already are left alone. `backgrounds` are weapon-free photographs, or a folder of them, to
    stand behind some scenes; such pictures inherit the photographs' licences. `tow_share` and `negative_share` are
    shares of the pictures, the other classes divide what is left. `held_out` uses the models, paints and skies of
    `casts.HELD_OUT`, which no other picture shows: a set to measure on, never to train on. `other_proportions` makes
    weapons a little longer, wider or taller than their models.

    Raises ValueError for a class without models, or for shares that make more than the whole; DataError where `out`
    holds other pictures or cannot be written, and where `backgrounds` has no picture.
    """
    from datasets.synthetic.casts import CASTS

    unknown = sorted(set(classes) - set(CASTS))
    if unknown:
        raise ValueError(f"no scenes for {', '.join(unknown)}; known: {', '.join(sorted(CASTS))}")
    if min(tow_share, negative_share) < 0 or tow_share + negative_share > 1:
        raise ValueError(f"shares of {tow_share} TOW launchers and {negative_share} negatives do not fit into one set")
    photos = _photos_of(backgrounds) if isinstance(backgrounds, Path) else tuple(backgrounds or ())
    made = {
        "generator_version": GENERATOR_VERSION,
        "seed": seed,
        "classes": list(classes),
        "negative_share": negative_share,
        "held_out": held_out,
        "other_proportions": other_proportions,
    }
    begin_folder(out, made)
    try:
        (out / "records").mkdir(exist_ok=True)
    except OSError as error:
        raise not_written(out, error) from error
    jobs = [
        Job(
            out,
            index,
            seed,
            kind_of(seed, index, classes, tow_share=tow_share, negative_share=negative_share),
            width,
            height,
            samples,
            photos,
            held_out,
            other_proportions,
        )
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
    records = [json.loads(path.read_text()) for path in sorted((out / "records").glob("*.json"))]
    finish_folder(out, made, records)


def _image_path(out: Path, seed: int, index: int) -> Path:
    return out / "images" / f"synthetic_{seed}_{index:05d}.jpg"


def render_one(job: Job) -> None:
    """Draw scenes until one shows what it should, then write label, record and (last) picture."""
    from datasets.synthetic import degrade, staging
    from datasets.synthetic.footage import film
    from datasets.synthetic.render import Frame, Renderer

    cv2.setNumThreads(1)
    for attempt in range(MAX_TRIES):
        rng = np.random.default_rng([job.seed, job.index, attempt])
        photo = _photo(job, rng)
        drawn = staging.build(
            rng,
            job.kind,
            held_out=job.held_out,
            open_horizon=photo is not None,
            other_proportions=job.other_proportions,
        )
        night = drawn.weather.name == "night"
        renderer = Renderer(drawn)
        noise_seed = int(rng.integers(1 << 30))
        depth, seen = renderer.labels(width=job.width, height=job.height, seed=noise_seed)
        if job.kind != "negative" and job.kind not in {one.label for one in seen}:
            continue
        if any(one.cut_away for one in seen):
            continue
        frame = Frame(
            *renderer.radiance(width=job.width, height=job.height, samples=job.samples, seed=noise_seed), depth, seen
        )
        backdrop = None
        if photo is not None:
            gain = rng.uniform(0.03, 0.2) if night else rng.uniform(0.8, 1.6)
            backdrop = photo[1] * degrade.median_radiance(frame) * gain
        linear = degrade.compose(frame, drawn, backdrop)
        target = float(rng.uniform(0.18, 0.34) if night else rng.uniform(0.36, 0.55))
        picture = film(degrade.expose(linear, target), rng, night=night)
        break
    else:
        raise RuntimeError(f"picture {job.index} of seed {job.seed}: no scene showed a {job.kind} in {MAX_TRIES} tries")
    path = _image_path(job.out, job.seed, job.index)
    lines = [
        f"{seen.label} {(x1 + x2) / 2 / job.width:.5f} {(y1 + y2) / 2 / job.height:.5f} "
        f"{(x2 - x1) / job.width:.5f} {(y2 - y1) / job.height:.5f}\n"
        for seen in frame.seen
        for x1, y1, x2, y2 in [seen.box_px]
    ]
    write_text(job.out / "labels" / f"{path.stem}.txt", "".join(lines))
    record = _record(drawn, path.name, attempt, frame.seen, None if photo is None else photo[0])
    write_text(job.out / "records" / f"{path.stem}.json", json.dumps(record))
    write_picture(path, picture)


def _photos_of(folder: Path) -> tuple[Path, ...]:
    try:
        photos = tuple(sorted(path for path in folder.iterdir() if path.suffix.lower() in PHOTO_SUFFIXES))
    except OSError as error:
        raise DataError(f"The backgrounds {folder} cannot be read: {error.strerror}.") from error
    if not photos:
        raise DataError(
            f"The folder {folder} holds no photograph to stand behind a scene ({', '.join(PHOTO_SUFFIXES)})."
        )
    return photos


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
