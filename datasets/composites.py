"""Real weapons cut out of photographs and pasted into real scenes without any: exact boxes, real texture.

The same builder makes training pictures (objects and scenes of the train split) and the composite test set (both of
the test split), so that neither side ever sees the other's. The pictures inherit the photographs' licences and must
not be passed on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
import yaml
from numpy.typing import NDArray

from datasets.made_folder import begin_folder, finish_folder, write_picture, write_text
from datasets.synthetic.footage import film
from detector.errors import DataError
from detector.training.corrections import with_committed_corrections
from detector.training.labels import LabelledBox, read_labels
from detector.training.photographs import WEAPONS, complete_rows, read_photograph, rendered_files
from detector.training.predictions import NEGATIVES_COMPLETE_FOR

LEFT_OUT = Path(__file__).with_name("corrections") / "cut_outs.yaml"
"""Cut-outs that were looked at and are not what their label says."""

LONG_SIDE_PX = 512
SMALLEST_CUT_OUT_PX = 40
"""A cut-out with a shorter long side would only be enlarged noise."""
LEAST_MASK_SHARE, MOST_MASK_SHARE = 0.18, 0.92
"""Shares of the box that a believable outline fills: less is a failed segmentation, more is the box itself."""
LEAST_BOX_IOU = 0.75
"""Overlap of the outline's own box with the label."""
LEAST_PART_SHARE = 0.6
"""Share of a labelled part, such as a gun on a roof, that must lie on the cut-out for its label to come along."""
GRABCUT_ROUNDS = 4
FAINTEST_ALPHA = 0.5
MAX_TRIES = 20


Box = tuple[str, float, float, float, float]
"""Class, left, top, right, bottom."""


@dataclass(frozen=True, slots=True)
class CutOut:
    """An object without its surroundings: `picture` uint8 (h, w, 3) BGR, `alpha` float32 (h, w) in 0..1.

    `parts` are what else is labelled on it, such as the machine gun on a tank: (class, left, top, right, bottom) as
    shares of its sides.
    """

    label: str
    source: str
    picture: NDArray[np.uint8]
    alpha: NDArray[np.float32]
    parts: tuple[Box, ...] = ()


@dataclass(frozen=True, slots=True)
class Labelled:
    """A picture with its boxes, (class, left, top, right, bottom) in pixels, and the classes not to cut out of it."""

    path: Path
    boxes: tuple[Box, ...]
    not_pasted: frozenset[str] = frozenset()


def build_composites(
    data: Path,
    out: Path,
    *,
    split: str,
    classes: Sequence[str],
    count: int,
    seed: int,
    renders: Sequence[Path] = (),
    workers: int = 1,
) -> dict[str, int]:
    """Write `count` composites of `split` into `out`/images, labels and manifest.json; returns boxes per class.

    `renders` are folders of `ordnance dataset render` whose objects are pasted too. Every class is drawn equally often.
    Boxes of photographs are the corrected ones, and cut-outs that LEFT_OUT lists are not pasted.
    The same arguments give the same pictures, however many processes (`workers`) share the work. Raises DataError for a
    class without a usable cut-out, a split without weapon-free photographs, a folder that holds other pictures, or more
    of these than `count`, or cannot be written.
    """
    made = {"split": split, "seed": seed, "classes": list(classes), "objects_of": [each.name for each in renders]}
    begin_folder(out, made)
    if (out / "images" / _file(seed, count)).exists():
        raise DataError(f"{out} holds more than {count} of these pictures; remove it, or choose another --out.")
    photographs = _photographs(data, split)
    scenes = [each.path for each in photographs if not each.boxes]
    if not scenes:
        raise DataError(f"The split '{split}' of {data} has no weapon-free photograph to paste into.")
    rendered = [each for folder in renders for each in _rendered(folder)]
    stock = {name: _CutOuts(name, [*photographs, *rendered]) for name in classes}
    write = partial(_write_composites, scenes=scenes, stock=stock, out=out, seed=seed)
    if workers == 1:
        records = write(range(count))
    else:
        shares = [range(first, count, workers) for first in range(workers)]
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
            records = [each for share in pool.map(write, shares) for each in share]
        records.sort(key=lambda each: str(each["file"]))
    finish_folder(out, made, records)
    labels = [label for record in records for label in record["classes"]]
    return {name: labels.count(name) for name in sorted({*classes, *labels})}


def _write_composites(
    indices: range, *, scenes: Sequence[Path], stock: dict[str, _CutOuts], out: Path, seed: int
) -> list[dict[str, object]]:
    records = []
    for index in indices:
        rng = np.random.default_rng([seed, index])
        file = _file(seed, index)
        picture, boxes, sources = _compose(rng, scenes, stock)
        height, width = picture.shape[:2]
        lines = [
            f"{label} {(x1 + x2) / 2 / width:.5f} {(y1 + y2) / 2 / height:.5f} "
            f"{(x2 - x1) / width:.5f} {(y2 - y1) / height:.5f}\n"
            for label, x1, y1, x2, y2 in boxes
        ]
        write_text((out / "labels" / file).with_suffix(".txt"), "".join(lines))
        write_picture(out / "images" / file, picture)
        records.append({"file": file, **sources, "classes": [box[0] for box in boxes]})
    return records


def _file(seed: int, index: int) -> str:
    return f"composite_{seed}_{index:05d}.jpg"


class _CutOuts:
    """The cut-outs of one class, made when they are first drawn."""

    def __init__(self, label: str, pictures: Sequence[Labelled]) -> None:
        self._label = label
        self._places = [
            (each, box)
            for each in pictures
            for box in each.boxes
            if box[0] == label
            and max(box[3] - box[1], box[4] - box[2]) >= SMALLEST_CUT_OUT_PX
            and label not in each.not_pasted
        ]
        self._made: dict[int, CutOut | None] = {}

    def draw(self, rng: np.random.Generator) -> CutOut:
        places = list(range(len(self._places)))
        while places:
            number = places.pop(int(rng.integers(len(places))))
            if number not in self._made:
                picture, box = self._places[number]
                others = [each for each in picture.boxes if each is not box]
                self._made[number] = cut_out(picture.path, box, others)
            if (made := self._made[number]) is not None:
                return made
        raise DataError(f"No picture of this split shows a {self._label} that can be cut out; leave the class out.")


def cut_out(path: Path, labelled: Box, others: Sequence[Box] = ()) -> CutOut | None:
    """The object labelled on the picture at `path`, with those of `others` that lie on it (all boxes in pixels).

    None where its outline cannot be told.

    GrabCut (Rother, Kolmogorov and Blake 2004) from the box, its largest part alone; an outline is believed when it
    fills a plausible share of the box and reaches to its edges.
    """
    picture = cv2.imread(str(path))
    if picture is None:
        raise DataError(f"The picture {path} is missing or damaged.")
    height, width = picture.shape[:2]
    label, *sides = labelled
    x1, y1 = max(0, round(sides[0])), max(0, round(sides[1]))
    x2, y2 = min(width, round(sides[2])), min(height, round(sides[3]))
    if x1 <= 1 or y1 <= 1 or x2 >= width - 1 or y2 >= height - 1 or x2 - x1 < 8 or y2 - y1 < 8:
        return None
    margin = max(8, round(0.25 * max(x2 - x1, y2 - y1)))
    left, top = max(0, x1 - margin), max(0, y1 - margin)
    part = np.ascontiguousarray(picture[top : y2 + margin, left : x2 + margin])
    mask = np.zeros(part.shape[:2], np.uint8)
    cv2.setRNGSeed(1)
    try:
        cv2.grabCut(
            part,
            mask,
            (x1 - left, y1 - top, x2 - x1, y2 - y1),
            np.zeros((1, 65)),
            np.zeros((1, 65)),
            GRABCUT_ROUNDS,
            cv2.GC_INIT_WITH_RECT,
        )
    except cv2.error:
        return None
    inside = np.isin(mask, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.uint8)
    inside = cv2.morphologyEx(inside, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    count, parts, stats, _ = cv2.connectedComponentsWithStats(inside)
    if count < 2:
        return None
    largest = 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))
    bx, by, bw, bh, area = (int(value) for value in stats[largest])
    share = area / ((x2 - x1) * (y2 - y1))
    if not LEAST_MASK_SHARE <= share <= MOST_MASK_SHARE:
        return None
    if bw * bh / ((x2 - x1) * (y2 - y1)) < LEAST_BOX_IOU:
        return None
    outline = (parts[by : by + bh, bx : bx + bw] == largest).astype(np.float32)
    on_it = tuple(each for box in others if (each := _on_it(box, outline, left + bx, top + by)) is not None)
    return CutOut(label, path.name, part[by : by + bh, bx : bx + bw].copy(), outline, on_it)


def _on_it(box: Box, outline: NDArray[np.float32], left: int, top: int) -> Box | None:
    """`box` in shares of the outline's sides, where most of what the outline can show of it is shown."""
    height, width = outline.shape
    name, *sides = box
    x1, y1 = max(0, round(sides[0]) - left), max(0, round(sides[1]) - top)
    x2, y2 = min(width, round(sides[2]) - left), min(height, round(sides[3]) - top)
    area = (sides[2] - sides[0]) * (sides[3] - sides[1])
    if x2 <= x1 or y2 <= y1 or (x2 - x1) * (y2 - y1) < LEAST_PART_SHARE * area:
        return None
    if outline[y1:y2, x1:x2].mean() < LEAST_MASK_SHARE:
        return None
    return name, x1 / width, y1 / height, x2 / width, y2 / height


def _compose(
    rng: np.random.Generator, scenes: Sequence[Path], stock: dict[str, _CutOuts]
) -> tuple[NDArray[np.uint8], list[Box], dict[str, object]]:
    scene = scenes[int(rng.integers(len(scenes)))]
    picture = cv2.imread(str(scene))
    if picture is None:
        raise DataError(f"The picture {scene} is missing or damaged.")
    shrink = LONG_SIDE_PX / max(picture.shape[:2])
    picture = cv2.resize(picture, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
    if rng.random() < 0.5:
        picture = np.ascontiguousarray(picture[:, ::-1])
    boxes: list[Box] = []
    used: list[str] = []
    names = list(stock)
    for _ in range(int(rng.choice([1, 2, 3], p=[0.6, 0.3, 0.1]))):
        label = names[int(rng.integers(len(names)))]
        what = stock[label].draw(rng)
        if pasted := _paste(rng, picture, what, boxes):
            boxes.extend(pasted)
            used.append(what.source)
    return film(picture[:, :, ::-1].astype(np.float32) / 255, rng), boxes, {"scene": scene.name, "objects": used}


def _paste(
    rng: np.random.Generator,
    picture: NDArray[np.uint8],
    what: CutOut,
    taken: Sequence[Box],
) -> list[Box]:
    """Put `what` somewhere on `picture`, in place; its box and those of its parts, none where there is no room."""
    height, width = picture.shape[:2]
    for _ in range(MAX_TRIES):
        long_side = width * float(np.exp(rng.uniform(np.log(0.14), np.log(0.8))))
        scale = min(long_side / max(what.alpha.shape), 2.0)
        w, h = round(what.alpha.shape[1] * scale), round(what.alpha.shape[0] * scale)
        if w >= width * 0.95 or h >= height * 0.85 or min(w, h) < 8:
            continue
        x = int(rng.integers(0, width - w))
        y = int(np.clip(rng.normal(0.68, 0.14) * height - h / 2, 0, height - h - 1))
        if any(x < bx2 and x + w > bx1 and y < by2 and y + h > by1 for _, bx1, by1, bx2, by2 in taken):
            continue
        way = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        thing = cv2.resize(what.picture, (w, h), interpolation=way).astype(np.float32)
        alpha = cv2.resize(what.alpha, (w, h), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
        mirrored = rng.random() < 0.5
        if mirrored:
            thing, alpha = thing[:, ::-1], alpha[:, ::-1]
        alpha = cv2.GaussianBlur(np.ascontiguousarray(alpha), (0, 0), float(rng.uniform(0.5, 1.2)))
        under = picture[y : y + h, x : x + w].astype(np.float32)
        thing = _in_the_light_of(rng, thing, alpha, under)
        rows, columns = np.nonzero(alpha > FAINTEST_ALPHA)
        if not len(rows):
            continue
        picture[y : y + h, x : x + w] = np.clip(
            under * (1 - alpha[..., None]) + thing * alpha[..., None], 0, 255
        ).astype(np.uint8)
        box = (x + columns.min(), y + rows.min(), x + columns.max() + 1, y + rows.max() + 1)
        parts = [
            (name, x + w * (1 - x2 if mirrored else x1), y + h * y1, x + w * (1 - x1 if mirrored else x2), y + h * y2)
            for name, x1, y1, x2, y2 in what.parts
        ]
        return [(what.label, float(box[0]), float(box[1]), float(box[2]), float(box[3])), *parts]
    return []


def _in_the_light_of(
    rng: np.random.Generator, thing: NDArray[np.float32], alpha: NDArray[np.float32], under: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Move brightness and contrast of the object part of the way to those of the place where it is pasted."""
    inside = alpha > FAINTEST_ALPHA
    if not inside.any():
        return thing
    strength = float(rng.uniform(0.0, 0.45))
    own, there = thing[inside].mean(axis=0), under[inside].mean(axis=0)
    return (thing - own) * float(rng.uniform(0.85, 1.1)) + own + strength * (there - own)


def _photographs(data: Path, split: str) -> list[Labelled]:
    rows = complete_rows(data, split, WEAPONS, NEGATIVES_COMPLETE_FOR)
    photographs = [read_photograph(row, data) for row in rows]
    not_pasted: dict[str, set[str]] = {}
    for entry in yaml.safe_load(LEFT_OUT.read_text(encoding="utf-8")):
        not_pasted.setdefault(entry["picture"], set()).add(entry["class"])
    return [
        _labelled(each.picture, each.boxes, frozenset(not_pasted.get(each.sha256, ())))
        for each in with_committed_corrections(photographs)
    ]


def _rendered(folder: Path) -> Iterator[Labelled]:
    for picture, label in rendered_files(folder):
        yield _labelled(picture, read_labels(label))


def _labelled(picture: Path, labelled: Sequence[LabelledBox], not_pasted: frozenset[str] = frozenset()) -> Labelled:
    if not labelled:
        return Labelled(picture, ())
    full = cv2.imread(str(picture))
    if full is None:
        raise DataError(f"The picture {picture} is missing or damaged.")
    height, width = full.shape[:2]
    boxes = []
    for box in labelled:
        cx, cy, w, h = box.cx * width, box.cy * height, box.width * width, box.height * height
        boxes.append((box.class_name, cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2))
    return Labelled(picture, tuple(boxes), not_pasted)
