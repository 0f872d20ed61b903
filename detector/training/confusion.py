"""What is taken for what: the confusion matrix of a detector, with the background as a row and a column."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape

import numpy as np
from numpy.typing import NDArray

from detector.models.nms import pairwise_iou
from detector.training.predictions import Picture, Predictions

IOU = 0.5
BACKGROUND = "background"


@dataclass(frozen=True, slots=True, eq=False)
class Confusion:
    """`counts` int64 (n + 1, n + 1): rows are what is there, columns what was reported, the last of each background.

    The last row holds reports of nothing, the last column boxes that were not found.
    """

    classes: tuple[str, ...]
    counts: NDArray[np.int64]


def confusion(predictions: Predictions, thresholds: Mapping[str, float]) -> Confusion:
    """Match what is reported at the thresholds to the true boxes of any class at IoU 0.5, and count.

    Reports take a box of their own class first, the best score before the others, then what is left of other classes.
    Reports in regions that are not labelled for their class are left out.
    """
    number = len(predictions.classes)
    counts = np.zeros((number + 1, number + 1), np.int64)
    least = np.array([thresholds[name] for name in predictions.classes])
    for picture in predictions.pictures:
        _count(picture, least, counts)
    return Confusion(predictions.classes, counts)


def confusion_rows(matrix: Confusion) -> dict[str, dict[str, int]]:
    """`rows[is][reported]`, without the noughts."""
    names = (*matrix.classes, BACKGROUND)
    return {
        name: {reported: count for reported, count in zip(names, row, strict=True) if count}
        for name, row in zip(names, matrix.counts.tolist(), strict=True)
    }


def confusion_table(matrix: Confusion) -> str:
    """The matrix as a Markdown table: a row for what is there, a column for what was reported."""
    names = (*matrix.classes, BACKGROUND)
    lines = [f"| is \\ reported | {' | '.join(names)} |", f"| --- |{' ---: |' * len(names)}"]
    for name, row in zip(names, matrix.counts.tolist(), strict=True):
        lines.append(f"| {name} | {' | '.join(str(count) if count else '' for count in row)} |")
    return "\n".join(lines)


def confusion_svg(matrix: Confusion, title: str) -> str:
    """The matrix as an SVG picture. A cell is the darker, the larger its share of its row."""
    names = (*matrix.classes, BACKGROUND)
    cell, left, top = 46, 170, 170
    width, height = left + cell * len(names) + 20, top + cell * len(names) + 20
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" '
        f'font-size="12" role="img" aria-label="{escape(title, quote=True)}">',
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
        f'<text x="10" y="22" font-size="15">{escape(title)}</text>',
        '<text x="10" y="40" fill="#555">rows: what is there; columns: what was reported</text>',
    ]
    for place, name in enumerate(names):
        middle = place * cell + cell / 2
        parts.append(f'<text x="{left - 8}" y="{top + middle + 4:.0f}" text-anchor="end">{escape(name)}</text>')
        parts.append(
            f'<text transform="translate({left + middle + 4:.0f},{top - 8}) rotate(-60)">{escape(name)}</text>'
        )
    for row, counts in enumerate(matrix.counts.tolist()):
        total = max(sum(counts), 1)
        for column, count in enumerate(counts):
            share = count / total
            x, y = left + column * cell, top + row * cell
            parts.append(
                f'<rect x="{x}" y="{y}" width="{cell}" height="{cell}" fill="#1f4e79" fill-opacity="{share:.3f}" '
                'stroke="#ccc"/>'
            )
            if count:
                ink = "#fff" if share > 0.5 else "#111"
                parts.append(
                    f'<text x="{x + cell / 2:.0f}" y="{y + cell / 2 + 4:.0f}" text-anchor="middle" '
                    f'fill="{ink}">{count}</text>'
                )
    return "\n".join([*parts, "</svg>\n"])


@dataclass(frozen=True, slots=True)
class Pairing:
    """What is reported on one picture against what is there, as positions in its `found` and `truth`.

    `right` are pairs (found, truth) of one class, `confused` those of two; `alarms` are reports of nothing, `missed`
    boxes that no report took.
    """

    right: tuple[tuple[int, int], ...]
    confused: tuple[tuple[int, int], ...]
    alarms: tuple[int, ...]
    missed: tuple[int, ...]


def pair(picture: Picture, least: NDArray[np.float64]) -> Pairing:
    """Pair the findings that score `least` (by class number) or more with the true boxes, as `confusion` does."""
    reported = np.flatnonzero(picture.scores >= least[picture.found_ids])
    reported = reported[np.argsort(-picture.scores[reported], kind="stable")]
    overlaps = pairwise_iou(picture.found[reported], picture.truth)
    same = picture.found_ids[reported][:, None] == picture.truth_ids[None, :]
    free_rows, free_columns = set(range(len(reported))), set(range(len(picture.truth)))
    pairs: list[list[tuple[int, int]]] = []
    for allowed in (same, ~same):
        pairs.append([])
        for row in sorted(free_rows):
            rivals = [column for column in free_columns if allowed[row, column] and overlaps[row, column] >= IOU]
            if rivals:
                column = max(rivals, key=lambda each: overlaps[row, each])
                pairs[-1].append((int(reported[row]), column))
                free_rows.discard(row)
                free_columns.discard(column)
    left = [int(reported[row]) for row in sorted(free_rows)]
    alarms = tuple(found for found in left if not _is_unlabelled(picture, found))
    return Pairing(tuple(pairs[0]), tuple(pairs[1]), alarms, tuple(sorted(free_columns)))


def _count(picture: Picture, least: NDArray[np.float64], counts: NDArray[np.int64]) -> None:
    paired = pair(picture, least)
    background = len(counts) - 1
    for found, true in (*paired.right, *paired.confused):
        counts[picture.truth_ids[true], picture.found_ids[found]] += 1
    for found in paired.alarms:
        counts[background, picture.found_ids[found]] += 1
    for true in paired.missed:
        counts[picture.truth_ids[true], background] += 1


def _is_unlabelled(picture: Picture, found: int) -> bool:
    """Whether at least half of the box lies in a region that is not labelled for its class."""
    x1, y1, x2, y2 = picture.found[found]
    for left, top, right, bottom in picture.ignored[picture.ignored_ids == picture.found_ids[found]]:
        shared = max(0.0, min(x2, right) - max(x1, left)) * max(0.0, min(y2, bottom) - max(y1, top))
        if shared >= IOU * (x2 - x1) * (y2 - y1):
            return True
    return False
