"""AP50 of several weights on one set of pictures, side by side: what each stage or part of the data buys."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from detector.errors import BadOption, DataError
from detector.models.manifest import find_weights
from detector.taxonomy import NAMED_CLASSES
from detector.training.matching import match
from detector.training.onnx_file import check_is_there, described, open_weights
from detector.training.photographs import file_sha256
from detector.training.predictions import LabelledFile, predict


@dataclass(frozen=True, slots=True)
class Compared:
    """What one weights file (its SHA-256) scores on one set: `ap50` by class, None where the set has no box of it."""

    label: str
    sha256: str
    input_size: int
    boxes: dict[str, int]
    ap50: dict[str, float | None]

    @property
    def mean_ap50(self) -> float | None:
        """Over the six named classes that the set has boxes of."""
        known = [value for name in NAMED_CLASSES if (value := self.ap50.get(name)) is not None]
        return sum(known) / len(known) if known else None


def weights_by_label(words: Sequence[str]) -> dict[str, Path]:
    """`LABEL=PATH` or PATH, which is called after its stage's folder (`runs/STAGE/weights/last.pt`) or after itself.

    Raises BadOption for two of one label.
    """
    labelled: dict[str, Path] = {}
    for word in words:
        label, _, rest = word.rpartition("=")
        path = Path(rest)
        if not label:
            label = path.parent.parent.name if path.parent.name == "weights" and path.suffix == ".pt" else path.stem
        if label in labelled:
            raise BadOption(f"Two weights files are called '{label}'; give them as LABEL=PATH.")
        labelled[label] = path
    return labelled


def classes_of(weights: Mapping[str, Path]) -> tuple[str, ...]:
    """The classes that all of `weights` know, in the order of the first.

    Raises DataError for weights that know others, or a .pt that is missing or damaged, and what `find_weights` raises.
    """
    for path in weights.values():
        if path.suffix == ".pt":
            check_is_there(path)
        else:
            find_weights(path)
    first: tuple[str, ...] = ()
    with TemporaryDirectory() as scratch:
        for path in weights.values():
            is_pt = path.suffix == ".pt"
            classes = described(path, Path(scratch))[0] if is_pt else find_weights(path)[0].classes
            first = first or classes
            if set(classes) != set(first):
                raise DataError(f"{path} knows other classes than the weights before it: {', '.join(classes)}.")
    return first


def compare(
    weights: Mapping[str, Path],
    sets: Mapping[str, Sequence[LabelledFile]],
    *,
    input_size: int | None = None,
    device: str = "auto",
) -> dict[str, list[Compared]]:
    """Run each of `weights`, which know the same classes (`classes_of`), over each of `sets`; what they score, by set.

    `input_size` is that of all .pt files, by default the one that each was trained at last. Only ranking is compared,
    no threshold, and every picture is seen once, as a .pt file knows of no second view.
    """
    done: dict[str, list[Compared]] = {name: [] for name in sets}
    classes: tuple[str, ...] = ()
    for label, path in weights.items():
        is_pt = path.suffix == ".pt"
        size = input_size if is_pt else None
        with open_weights(str(path), input_size=size, device=device) as model:
            classes = classes or model.classes
            sha256 = file_sha256(path) if is_pt else model.sha256
            for name, files in sets.items():
                matches = match(predict(model.with_one_view(), files, name))
                boxes = {each: matches.boxes(each) for each in classes}
                ap50 = {each: matches.ap50(each) for each in classes}
                done[name].append(Compared(label, sha256, model.input_size, boxes, ap50))
    return done


def write_comparison(compared: Mapping[str, Sequence[Compared]], path: Path) -> None:
    """Write the figures as JSON. Raises DataError where they cannot be written."""
    document = {name: [{**asdict(each), "mean_ap50": each.mean_ap50} for each in row] for name, row in compared.items()}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error.strerror}.") from error
