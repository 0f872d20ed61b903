"""Training pictures on which a model fires where no label is: hard negatives, and labels that may be missing.

Mining goes in rounds: a stage with `repeat_hard` runs the weights that it starts from over the weapon-free training
pictures and repeats those on which they fire (Shrivastava et al. 2016 mine within a batch; here it is a stage).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from detector.errors import DataError
from detector.frame import Boxes
from detector.models import Model
from detector.training.built_set import BuiltSet, check_files, read_numbered_labels
from detector.training.config import Stage
from detector.training.damage import recompressed
from detector.training.labels import LabelledBox
from detector.training.onnx_file import open_weights
from detector.training.predictions import BATCH, read_rgb
from detector.training.whole_file import write_whole

APART_IOU = 0.3
"""A finding that overlaps every labelled box less than this lies where no label is."""


@dataclass(frozen=True, slots=True)
class Firing:
    """The surest finding without a label on a picture; `corners` are x1, y1, x2, y2 in 0..1 of it.

    `has_weapons` says that the picture has labelled weapons elsewhere: then it is no hard negative, but a label may be
    missing.
    """

    file: str
    class_name: str
    score: float
    corners: tuple[float, ...]
    has_weapons: bool


@dataclass(frozen=True, slots=True)
class Mined:
    """What a model fired on; `looked_at` is the number of pictures, `firings` are best first."""

    dataset_sha256: str
    model_sha256: str
    floor: float
    looked_at: int
    firings: tuple[Firing, ...]


def mine(
    model: Model,
    dataset: Path,
    built: BuiltSet,
    *,
    floor: float,
    with_weapons: bool = False,
    recompressed_too: bool = False,
) -> Mined:
    """Run `model` over the training pictures of a built set that show no weapon, `with_weapons` over all of them.

    With `recompressed_too` it also sees each as video compresses it, and the surer finding of both counts. Raises
    DataError for a picture or label file that is missing or not the one that was built.
    """
    looked_at = [each for each in built.pictures if each.split == "train" and (with_weapons or not each.classes)]
    for each in looked_at:
        check_files(dataset, each)
    firings = []
    for start in range(0, len(looked_at), BATCH):
        batch = looked_at[start : start + BATCH]
        images = [read_rgb(dataset / "train" / "images" / each.file) for each in batch]
        found_on = model.detect(images, floor=floor)
        if recompressed_too:
            again = model.detect([recompressed(image) for image in images], floor=floor)
            found_on = [Boxes.together(each) for each in zip(found_on, again, strict=True)]
        for picture, image, boxes in zip(batch, images, found_on, strict=True):
            label = dataset / "train" / "labels" / f"{Path(picture.file).stem}.txt"
            labelled = read_numbered_labels(label, built.classes) if picture.classes else ()
            found = _surest_unlabelled(boxes, model.classes, image.shape[1], image.shape[0], labelled)
            if found is not None:
                box, score = found
                corners = tuple(round(value, 4) for value in box.corners)
                firings.append(Firing(picture.file, box.class_name, score, corners, bool(picture.classes)))
    firings.sort(key=lambda each: (-each.score, each.file))
    return Mined(built.sha256, model.sha256, floor, len(looked_at), tuple(firings))


def _surest_unlabelled(
    boxes: Boxes, classes: Sequence[str], width: int, height: int, labelled: Sequence[LabelledBox]
) -> tuple[LabelledBox, float] | None:
    sides = (width, height, width, height)
    for corners, number, score in zip(boxes.xyxy, boxes.class_ids, boxes.scores, strict=True):
        box = LabelledBox.from_corners(
            classes[number], *(float(v) / side for v, side in zip(corners, sides, strict=True))
        )
        if all(box.iou(each) < APART_IOU for each in labelled):
            return box, round(float(score), 4)
    return None


def write_mined(mined: Mined, path: Path) -> None:
    """Write the listing as JSON. Raises DataError where it cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, json.dumps(asdict(mined), indent=1) + "\n")
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error.strerror}.") from error


def read_mined(path: Path) -> Mined:
    """A listing of `write_mined`. Raises DataError where it cannot be read."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        firings = tuple(Firing(**{**row, "corners": tuple(row["corners"])}) for row in document.pop("firings"))
        return Mined(**document, firings=firings)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.") from error
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} is no listing of `ordnance dataset mine`; delete it, or make it again.") from error


def hard_negatives(
    stage: Stage,
    weights: Path,
    classes: Sequence[str],
    dataset: Path,
    built: BuiltSet,
    out: Path,
    *,
    device: str,
) -> dict[str, float]:
    """The weapon-free pictures that `stage` repeats, with the best score that `weights` give on them.

    A listing of `ordnance dataset mine` in `out`/STAGE-hard.json is taken as it is; otherwise they are mined, and
    listed in `out`/STAGE/hard.json. Nothing is mined for a stage that repeats none. Raises DataError for weights that
    do not know the classes, and for a listing of another data set or one that begins above the score asked for.
    """
    if stage.repeat_hard == 1:
        return {}
    given = out / f"{stage.name}-hard.json"
    if given.is_file():
        mined = read_mined(given)
        if mined.dataset_sha256 != built.sha256:
            raise DataError(f"{given} lists pictures of another data set; delete it, or mine this one.")
        if mined.floor > stage.hard_score:
            raise DataError(
                f"{given} lists what scores {mined.floor} and more, and the stage asks for {stage.hard_score}; delete "
                f"it, or mine again with --floor {stage.hard_score}."
            )
    else:
        with open_weights(weights, input_size=stage.input_size, device=device) as model:
            if model.classes != tuple(classes):
                raise DataError(f"Stage '{stage.name}' cannot repeat what {weights} fires on: it knows other classes.")
            mined = mine(model, dataset, built, floor=stage.hard_score, recompressed_too=stage.damage > 0)
        write_mined(mined, out / stage.name / "hard.json")
    return {each.file: each.score for each in mined.firings if not each.has_weapons}
