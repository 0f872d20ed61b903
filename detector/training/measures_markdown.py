"""Measured figures as Markdown: for the screen and for the model card."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from detector.taxonomy import NAMED_CLASSES
from detector.training import bootstrap
from detector.training.calibrate import BINS
from detector.training.coco_baseline import NEAREST
from detector.training.compare import Compared
from detector.training.evaluate import ClassScore, SetScore
from detector.training.matching import SIZES
from detector.training.measure import Measures, SetMeasures

TITLES = {
    "photo": "Photographs",
    "composite": "Composites (real objects pasted into other photographs)",
    "render": "Renders",
}


def measures_markdown(measures: Measures, *, pictures: Sequence[str] = ()) -> str:
    """All figures as Markdown, one part a set, with what they were measured on. `pictures` are file names to show."""
    again = ""
    if measures.second_view is not None:
        name, sha256 = measures.second_view
        again = f", second view by `{name}` (SHA-256 {sha256[:12]}…)"
    parts = [
        f"Model `{measures.model}` (SHA-256 {measures.sha256[:12]}…), input {measures.input_size} px{again}, "
        f"photographs of the split `{measures.split}`. Brackets: 95 % bootstrap interval over pictures "
        f"({bootstrap.DRAWS} draws, seed {bootstrap.SEED}). Sizes: the box's longer side in pixels of the network's "
        "input.",
    ]
    for name, each in measures.sets.items():
        parts += [f"### {TITLES.get(name, name)}", _set_markdown(each)]
        parts += [f"![{picture}]({picture})" for picture in pictures if f"-{name}-" in picture]
        parts += _failures(each)
    if measures.baseline is not None:
        photo = measures.sets["photo"].score.classes
        parts += [
            "### Against the starting weights",
            "What weights trained on COCO alone make of the same photographs; a box of any of the nearest COCO "
            "classes counts.",
            _table(
                ("class", "nearest in COCO", "boxes", "AP50 of COCO weights", "AP50 of this model"),
                [
                    (name, ", ".join(NEAREST[name]), str(boxes), _number(ap50), _number(photo[name].ap50))
                    for name, (boxes, ap50) in measures.baseline.items()
                    if boxes and name in photo
                ],
            ),
        ]
    if measures.video is not None and measures.video.per_hour is not None:
        what = (
            "a clip made from the weapon-free photographs (slow pan and zoom, 4 s each)"
            if measures.video_is_made
            else f"{measures.video.clips} weapon-free clips"
        )
        parts.append(
            f"**Video:** {measures.video.appearances} false appearances in {measures.video.hours * 60:.1f} minutes of "
            f"{what}: {measures.video.per_hour:.0f} an hour."
        )
    return "\n\n".join(parts)


def comparison_markdown(compared: Mapping[str, Sequence[Compared]]) -> str:
    """AP50 of several weights, a table for each set: a row for each class that it has boxes of."""
    parts = []
    for name, columns in compared.items():
        parts.append(f"#### {TITLES.get(name, name)}")
        heads = [f"{each.label} ({each.input_size} px)" for each in columns]
        first = columns[0]
        rows = [
            (each, str(count), *(_number(column.ap50[each]) for column in columns))
            for each, count in first.boxes.items()
            if count
        ]
        rows.append(("mean of the six named", "", *(_number(column.mean_ap50) for column in columns)))
        parts.append(_table(("AP50", "boxes", *heads), rows))
    hashes = ", ".join(f"{each.label} {each.sha256[:12]}…" for each in next(iter(compared.values())))
    parts.append(f"Weights by SHA-256: {hashes}.")
    return "\n\n".join(parts)


def _failures(measures: SetMeasures) -> list[str]:
    if not measures.failures:
        return []
    return [
        "The largest misses and the surest false or mistaken reports at the shipped thresholds, among scenes without a "
        "photograph in them (green: what is there, red: what was reported, thick: the failure). px: longer side in the "
        "network's input. The scenes are ours, rendered with the models named in datasets/README.md; we release the "
        "picture under CC BY-SA 4.0.",
        "\n".join(f"{number}. {each.line()}" for number, each in enumerate(measures.failures, 1)),
    ]


def _set_markdown(measures: SetMeasures) -> str:
    score = measures.score
    blocks = [
        _headline(score),
        _table(
            ("class", "boxes", "AP50", "AP50-95", "threshold", "precision", "recall"),
            [
                (
                    name,
                    str(row.boxes),
                    _with_interval(row),
                    _number(row.ap50_95),
                    f"{row.threshold:.2f}",
                    _number(row.precision),
                    _number(row.recall),
                )
                for name, row in score.classes.items()
            ],
        ),
        f"mAP50 of the six named classes: {_number(score.mean_ap50(NAMED_CLASSES))}",
        _strict(score),
        _sizes(score),
    ]
    if measures.damaged:
        blocks.append(_columns("AP50 on damaged copies", {"clean": score, **measures.damaged}))
        blocks.append(
            "False alarms per 1,000 weapon-free pictures: "
            + ", ".join(
                f"{name} {_number(each.false_alarms.per_1000, 0)}"
                for name, each in {"clean": score, **measures.damaged}.items()
            )
            + "."
        )
    if measures.sources:
        blocks.append(
            _table(
                ("source", "pictures", "boxes", "mean AP50", "false alarms / weapon-free"),
                [
                    (
                        name,
                        str(each.pictures),
                        str(sum(row.boxes for row in each.classes.values())),
                        _number(each.mean_ap50(tuple(each.classes))),
                        f"{each.false_alarms.alarms} / {each.false_alarms.weapon_free}",
                    )
                    for name, each in measures.sources.items()
                ],
            )
        )
    errors = ", ".join(
        f"{name} {_number(each.ece)} ({each.findings} boxes)" for name, each in measures.reliability.items()
    )
    blocks.append(f"Expected calibration error ({BINS} equal bins): {errors}.")
    return "\n\n".join(block for block in blocks if block)


def _strict(score: SetScore) -> str:
    lower = {
        name: row
        for name, row in score.classes.items()
        if row.ap50 is not None and row.ap50_strict is not None and row.ap50 - row.ap50_strict >= 0.0005
    }
    if not lower:
        return ""
    return (
        "Findings in regions that are not labelled for their class (small guns on roofs) count neither for nor "
        "against. AP50 where they count against: "
        + ", ".join(f"{name} {_number(row.ap50_strict)}" for name, row in lower.items())
        + "."
    )


def _headline(score: SetScore) -> str:
    alarms, alike = score.false_alarms, score.look_alikes
    parts = [f"{score.pictures} pictures."]
    if alarms.weapon_free:
        named = ", ".join(f"{name} {count}" for name, count in alarms.classes.items())
        parts.append(
            f"{alarms.weapon_free} show no weapon: {alarms.alarms} false alarms on {alarms.pictures} of them at the "
            f"shipped thresholds, {_number(alarms.per_1000, 0)} per 1,000 pictures"
            f"{_interval(alarms.per_1000_interval, 0)}{f' ({named})' if named else ''}."
        )
    if alike.pictures:
        parts.append(f"{alike.pictures} show a look-alike: {alike.called_tow} are called tow_launcher.")
    return " ".join(parts)


def _sizes(score: SetScore) -> str:
    ranges = [size for size in SIZES if any(size in row.sizes for row in score.classes.values())]
    rows = []
    for name, row in score.classes.items():
        if row.sizes:
            cells = [
                f"{_number(part.ap50)} ({part.boxes}, recall {_number(part.recall, 2)})"
                if (part := row.sizes.get(size))
                else ""
                for size in ranges
            ]
            rows.append((name, *cells))
    return _table(("AP50 by size (boxes, recall)", *ranges), rows) if rows else ""


def _columns(title: str, scores: dict[str, SetScore]) -> str:
    first = next(iter(scores.values()))
    rows = [
        (name, *(_number(each.classes[name].ap50) for each in scores.values()))
        for name, row in first.classes.items()
        if row.boxes
    ]
    return _table((title, *scores), rows)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    rule = "| " + " | ".join(["---", *["---:"] * (len(head) - 1)]) + " |"
    return "\n".join(["| " + " | ".join(head) + " |", rule, *("| " + " | ".join(row) + " |" for row in rows)])


def _with_interval(row: ClassScore) -> str:
    return _number(row.ap50) + _interval(row.ap50_interval, 2)


def _interval(ends: tuple[float, float] | None, digits: int) -> str:
    return "" if ends is None else f" [{ends[0]:.{digits}f}, {ends[1]:.{digits}f}]"


def _number(value: float | None, digits: int = 3) -> str:
    return "n/a" if value is None else f"{value:.{digits}f}"
