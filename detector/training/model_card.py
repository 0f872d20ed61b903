"""Writes measured figures into the two places that people read: the manifest and weights/MODEL_CARD.md."""

from __future__ import annotations

from pathlib import Path

from detector.errors import DataError
from detector.models import WEIGHTS_FOLDER, read_manifest, write_manifest
from detector.taxonomy import NAMED_CLASSES
from detector.training.evaluate import Evaluation

BEGIN, END = "<!-- evaluation:begin -->", "<!-- evaluation:end -->"


def evaluation_table(evaluation: Evaluation) -> str:
    """The figures as a Markdown table, with what they were measured on."""
    lines = [
        f"Split `{evaluation.split}`: {evaluation.pictures} pictures that are labelled completely, "
        f"{evaluation.negatives} of them without a weapon; {evaluation.false_alarm_pictures} of those "
        "had a false alarm at the shipped thresholds.",
        "",
        "| class | boxes | AP50 | AP50-95 | threshold | precision | recall |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name, row in evaluation.classes.items():
        lines.append(
            f"| {name} | {row.boxes} | {_number(row.ap50)} | {_number(row.ap50_95)} | {row.threshold:.2f} "
            f"| {_number(row.precision)} | {_number(row.recall)} |"
        )
    lines += ["", f"mAP50 of the six named classes: {evaluation.mean_ap50(NAMED_CLASSES):.3f}"]
    return "\n".join(lines)


def record_evaluation(name: str, evaluation: Evaluation, folder: Path = WEIGHTS_FOLDER) -> Path:
    """Put the figures of the model `name` into `folder`/manifest.json and MODEL_CARD.md; returns the card."""
    path, card = folder / "manifest.json", folder / "MODEL_CARD.md"
    manifest = read_manifest(path)
    metrics = {
        "split": evaluation.split,
        "pictures": evaluation.pictures,
        "negatives": evaluation.negatives,
        "false_alarm_pictures": evaluation.false_alarm_pictures,
        "boxes": {key: row.boxes for key, row in evaluation.classes.items()},
        "ap50": {key: _rounded(row.ap50) for key, row in evaluation.classes.items()},
        "ap50_95": {key: _rounded(row.ap50_95) for key, row in evaluation.classes.items()},
        "precision": {key: _rounded(row.precision) for key, row in evaluation.classes.items()},
        "recall": {key: _rounded(row.recall) for key, row in evaluation.classes.items()},
    }
    models = tuple(
        entry.model_copy(update={"metrics": metrics}) if entry.name == name else entry for entry in manifest.models
    )
    write_manifest(manifest.model_copy(update={"models": models}), path)
    try:
        before, rest = card.read_text(encoding="utf-8").split(BEGIN, 1)
        after = rest.split(END, 1)[1]
    except (OSError, ValueError, IndexError) as error:
        raise DataError(f"{card} has no section between {BEGIN} and {END} to write into.") from error
    card.write_text(f"{before}{BEGIN}\n{evaluation_table(evaluation)}\n{END}{after}", encoding="utf-8")
    return card


def _number(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.3f}"


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
