"""Writes measured figures into the manifest and into the sections of weights/MODEL_CARD.md that are not by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import JsonValue

from detector.errors import DataError
from detector.models import WEIGHTS_FOLDER, Manifest, read_manifest, write_manifest
from detector.models.manifest import MANIFEST_NAME
from detector.training.compare import Compared
from detector.training.measure import Measures, SetMeasures, write_pictures
from detector.training.measures_markdown import comparison_markdown, measures_markdown
from detector.training.whole_file import check_writable, write_whole

CARD = "MODEL_CARD.md"
BEGIN, END = "<!-- evaluation:begin -->", "<!-- evaluation:end -->"
COMPARISON_BEGIN, COMPARISON_END = "<!-- comparison:begin -->", "<!-- comparison:end -->"


def check_recordable(model: str, folder: Path) -> None:
    """Raises DataError where `record_measures` could not put the figures of the model so called into `folder`."""
    check_writable(folder / MANIFEST_NAME)
    if _is_in_card(model, read_manifest(folder / MANIFEST_NAME)):
        check_writable(folder / CARD)
        _card_around(folder / CARD, model)


def record_measures(measures: Measures, folder: Path = WEIGHTS_FOLDER) -> Path:
    """Put the figures into `folder`/manifest.json and the card's section; returns what they can be read in.

    The card is about the default model, and is begun where there is none: figures of other models, and those of the
    smaller files made from one, go into the manifest alone.
    """
    path, card = folder / MANIFEST_NAME, folder / CARD
    manifest = read_manifest(path)
    in_card = _is_in_card(measures.model, manifest)
    before, after = _card_around(card, measures.model) if in_card else ("", "")
    models = tuple(
        entry.model_copy(update={"metrics": {**entry.metrics, **_metrics(measures)}})
        if entry.name == measures.model
        else entry
        for entry in manifest.models
    )
    try:
        write_manifest(manifest.model_copy(update={"models": models}), path)
        if not in_card:
            return path
        pictures = [picture.name for picture in write_pictures(measures, folder, measures.model)]
        text = measures_markdown(measures, pictures=pictures)
        write_whole(card, f"{before}{BEGIN}\n{text}\n{END}{after}")
    except OSError as error:
        raise DataError(f"The figures cannot be written into {folder}: {error.strerror}.") from error
    return card


def record_comparison(compared: Mapping[str, Sequence[Compared]], card: Path) -> None:
    """Put the comparison of several weights into the section of `card` for it. Raises DataError where it has none."""
    before, after = comparison_around(card)
    text = comparison_markdown(compared)
    write_whole(card, f"{before}{COMPARISON_BEGIN}\n{text}\n{COMPARISON_END}{after}")


def comparison_around(card: Path) -> tuple[str, str]:
    """What stands in `card` before and after its comparison. Raises DataError where it has none."""
    return _around(card, COMPARISON_BEGIN, COMPARISON_END)


def _is_in_card(model: str, manifest: Manifest) -> bool:
    measured = manifest.entry(model)
    return measured is not None and measured.name == manifest.default and measured.made_from is None


def _card_around(card: Path, model: str) -> tuple[str, str]:
    return _around(card, BEGIN, END) if card.exists() else (f"# Model card: {model}\n\n", "\n")


def _around(card: Path, begin: str, end: str) -> tuple[str, str]:
    try:
        before, rest = card.read_text(encoding="utf-8").split(begin, 1)
        return before, rest.split(end, 1)[1]
    except (OSError, ValueError, IndexError) as error:
        raise DataError(f"{card} has no section between {begin} and {end} to write into; add both lines.") from error


def _metrics(measures: Measures) -> dict[str, JsonValue]:
    """The figures on photographs, and those on the other sets under their names."""
    document: dict[str, JsonValue] = {"split": measures.split}
    for name, each in measures.sets.items():
        figures = _set_metrics(each)
        if name == "photo":
            document |= figures
        else:
            document[name] = figures
    if measures.video is not None:
        document["false_appearances_per_hour"] = _rounded(measures.video.per_hour)
    return document


def _set_metrics(measures: SetMeasures) -> dict[str, JsonValue]:
    score, classes = measures.score, measures.score.classes
    return {
        "pictures": score.pictures,
        "negatives": score.false_alarms.weapon_free,
        "false_alarm_pictures": score.false_alarms.pictures,
        "false_alarms": score.false_alarms.alarms,
        "look_alikes": score.look_alikes.pictures,
        "look_alikes_called_tow_launcher": score.look_alikes.called_tow,
        "boxes": {key: row.boxes for key, row in classes.items()},
        "ap50": {key: _rounded(row.ap50) for key, row in classes.items()},
        "ap50_strict": {key: _rounded(row.ap50_strict) for key, row in classes.items()},
        "ap50_interval": {
            key: None if row.ap50_interval is None else [_rounded(end) for end in row.ap50_interval]
            for key, row in classes.items()
        },
        "ap50_95": {key: _rounded(row.ap50_95) for key, row in classes.items()},
        "precision": {key: _rounded(row.precision) for key, row in classes.items()},
        "recall": {key: _rounded(row.recall) for key, row in classes.items()},
        "ece": {key: _rounded(each.ece) for key, each in measures.reliability.items()},
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
