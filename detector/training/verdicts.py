"""From what reviewers said to pictures that a model learns from.

A frame is used only where everything that the scan found on it was judged, so that what is boxed is confirmed and what
is not boxed was found to be no weapon, or was not found by the model at all.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from detector.appearances.boxes import iou
from detector.report.fields import Box
from detector.report.review import JudgedInfo, VerdictsDocument
from detector.taxonomy import TAXONOMY

SAME_FRAME_SECONDS = 0.0005
"""Times of one frame may differ so much: some containers count in milliseconds."""
FRAMES_PER_APPEARANCE = 5
"""Frames of one appearance are much alike: more of them teach little."""
APART_SECONDS = 0.5
"""Frames of one appearance are taken at least so far apart, for the same reason."""
DOUBLE_IOU = 0.8
"""Two boxes of one class that overlap so much are one object, found twice under different names."""


@dataclass(frozen=True, slots=True)
class JudgedBox:
    """A box in display pixels: its class as the reviewers say, and the appearance it is of."""

    class_name: str
    box: Box
    appearance: str


@dataclass(frozen=True, slots=True)
class TrainingFrame:
    """A frame and its weapons; `negatives` are what the model took for weapons that are none."""

    pts_seconds: float
    boxes: tuple[JudgedBox, ...]
    negatives: tuple[JudgedBox, ...]


@dataclass(frozen=True, slots=True)
class Chosen:
    """Frames by time, and how many appearances and frames could not be used, by reason."""

    frames: tuple[TrainingFrame, ...]
    left_out: dict[str, int]


def training_frames(document: VerdictsDocument, most: int = FRAMES_PER_APPEARANCE) -> Chosen:
    """The frames that the verdicts allow to be used: the best of each judged appearance and others spread over it.

    `most` is the number of frames for one appearance.
    """
    left_out: Counter[str] = Counter()
    chosen: dict[float, TrainingFrame | None] = {}
    for each in document.appearances:
        reason = _unusable(each)
        if reason is not None:
            left_out[f"appearances {reason}"] += 1
            continue
        taken: list[float] = []
        for time in _times(each):
            if len(taken) >= most:
                break
            if any(abs(time - other) < APART_SECONDS for other in taken):
                continue
            if time not in chosen:
                chosen[time] = _frame(document, time, left_out)
            if chosen[time] is not None:
                taken.append(time)
    frames = sorted((each for each in chosen.values() if each is not None), key=lambda each: each.pts_seconds)
    return Chosen(tuple(frames), dict(sorted(left_out.items())))


def picture_name(document: VerdictsDocument, frame: TrainingFrame) -> str:
    """The file name of a frame's picture: the clip's hash and the time in microseconds."""
    return f"{document.clip.sha256[:12]}_{round(frame.pts_seconds * 1e6):012d}us.jpg"


def encode_picture(image: Any) -> bytes:
    """The RGB `image`, uint8 (height, width, 3), as the JPEG that is kept for training."""
    import cv2

    done, content = cv2.imencode(".jpg", image[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])
    if not done:
        raise ValueError(f"a picture of {image.shape[1]}x{image.shape[0]} cannot be written as JPEG")
    return bytes(content)


def class_names() -> list[str]:
    """The classes that verdicts can give, in the order of their numbers in YOLO and COCO exports."""
    return [each.id for each in TAXONOMY]


def coco_document(document: VerdictsDocument, frames: Sequence[TrainingFrame]) -> dict[str, Any]:
    """The frames as COCO detection JSON. A picture without annotations is a hard negative: `hard_negatives` says where.

    `pts_s` and `clip_sha256` of an image say where the picture comes from.
    """
    names = class_names()
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, frame in enumerate(frames, 1):
        images.append(
            {
                "id": number,
                "file_name": picture_name(document, frame),
                "width": document.clip.width,
                "height": document.clip.height,
                "pts_s": frame.pts_seconds,
                "clip_sha256": document.clip.sha256,
                "hard_negatives": [
                    {"bbox": _xywh(each.box), "class": each.class_name, "appearance": each.appearance}
                    for each in frame.negatives
                ],
            }
        )
        for each in frame.boxes:
            x, y, width, height = _xywh(each.box)
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": names.index(each.class_name) + 1,
                    "bbox": [x, y, width, height],
                    "area": round(width * height, 2),
                    "iscrowd": 0,
                    "appearance": each.appearance,
                }
            )
    return {
        "info": {"description": f"Verdicts on scan {document.scan}", "version": document.tool_version},
        "licenses": [],
        "images": images,
        "annotations": annotations,
        "categories": [{"id": number, "name": name} for number, name in enumerate(names, 1)],
    }


def yolo_label(document: VerdictsDocument, frame: TrainingFrame) -> str:
    """The label file of a frame, as ultralytics reads it."""
    names, width, height = class_names(), document.clip.width, document.clip.height
    lines = []
    for each in frame.boxes:
        x1, y1, x2, y2 = each.box
        place = ((x1 + x2) / 2 / width, (y1 + y2) / 2 / height, (x2 - x1) / width, (y2 - y1) / height)
        lines.append(f"{names.index(each.class_name)} " + " ".join(f"{value:.6f}" for value in place) + "\n")
    return "".join(lines)


def yolo_data_yaml() -> str:
    """The data.yaml beside images/ and labels/.

    Without `path`: ultralytics takes the folder of the file then, but a `path: .` from where it was started.
    """
    names = "".join(f"  {number}: {name}\n" for number, name in enumerate(class_names()))
    return f"train: images\nval: images\nnames:\n{names}"


def class_map_yaml() -> str:
    """The class map with which `ordnance dataset import` reads these exports: each class is itself."""
    return "".join(f"{name}: {name}\n" for name in class_names())


def _unusable(each: JudgedInfo) -> str | None:
    """Why an appearance teaches nothing; None where it does."""
    if each.review is None:
        return "not judged"
    if each.review.state == "disagreed":
        return "on which reviewers disagree"
    if each.review.verdict == "unsure":
        return "of which reviewers are unsure"
    return None


def _times(each: JudgedInfo) -> Iterable[float]:
    """The best frame's time, then those of the other detections, each as far as can be from those before it."""
    yield each.best_pts_s
    times = [one.pts_s for one in each.boxes if one.pts_s != each.best_pts_s]
    stretches = [(0, len(times))]
    while stretches:
        start, stop = stretches.pop(0)
        if start < stop:
            middle = (start + stop) // 2
            yield times[middle]
            stretches += [(start, middle), (middle + 1, stop)]


def _frame(document: VerdictsDocument, time: float, left_out: Counter[str]) -> TrainingFrame | None:
    boxes: list[JudgedBox] = []
    negatives: list[JudgedBox] = []
    for each in document.appearances:
        if not each.first_seen_s - SAME_FRAME_SECONDS <= time <= each.last_seen_s + SAME_FRAME_SECONDS:
            continue
        box = _box_at(each, time)
        is_wrong = each.review is not None and each.review.verdict == "wrong"
        if _unusable(each) is not None:
            left_out["frames with something that was not judged"] += 1
            return None
        if box is None and not is_wrong:
            left_out["frames on which a weapon in view has no box"] += 1
            return None
        box = None if box is None else _within(box, document.clip.width, document.clip.height)
        if box is None:
            continue
        if is_wrong:
            negatives.append(JudgedBox(each.class_name, box, each.id))
        else:
            assert each.review is not None
            judged = JudgedBox(each.review.class_name or each.class_name, box, each.id)
            if not any(one.class_name == judged.class_name and iou(one.box, box) > DOUBLE_IOU for one in boxes):
                boxes.append(judged)
    return TrainingFrame(time, tuple(boxes), tuple(negatives))


def _box_at(each: JudgedInfo, time: float) -> Box | None:
    place = bisect_left(each.boxes, time - SAME_FRAME_SECONDS, key=lambda one: one.pts_s)
    if place < len(each.boxes) and each.boxes[place].pts_s <= time + SAME_FRAME_SECONDS:
        return each.boxes[place].box
    return None


def _within(box: Box, width: int, height: int) -> Box | None:
    x1, x2 = (min(max(x, 0.0), float(width)) for x in (box[0], box[2]))
    y1, y2 = (min(max(y, 0.0), float(height)) for y in (box[1], box[3]))
    return (x1, y1, x2, y2) if x2 - x1 >= 1 and y2 - y1 >= 1 else None


def _xywh(box: Box) -> list[float]:
    return [round(box[0], 2), round(box[1], 2), round(box[2] - box[0], 2), round(box[3] - box[1], 2)]
