"""Makes scores mean what they say: of the boxes given 0.9, nine in ten are right.

Platt scaling (Platt 1999) on the logit of the score, fitted on the val split; reliability and expected calibration
error (Naeini, Cooper and Hauskrecht 2015; Guo et al. 2017) measure what it is worth on another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detector.models.manifest import PlattScaling
from detector.training.logit import logit
from detector.training.matching import Matches

ENOUGH_RIGHT = ENOUGH_WRONG = 20
"""A class with fewer right or wrong findings on the val split shares one curve with all such classes."""

BINS = 10
STEEPEST = 5.0
FLATTEST = 0.2
RIDGE = 1.0
"""Weight of the prior that a is 1: one finding's worth, so that a handful of scores cannot make a step of the curve."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """Scalings of all classes; `pooled` names those that had too few findings of their own."""

    scalings: dict[str, PlattScaling]
    pooled: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Bin:
    """Findings with confidences in `low`..`high`: how many, their mean confidence, and the share that is right."""

    low: float
    high: float
    findings: int
    confidence: float
    right: float


@dataclass(frozen=True, slots=True)
class Reliability:
    """`ece` is the mean of |confidence - right| over the bins, weighted by findings; None without findings."""

    ece: float | None
    findings: int
    bins: tuple[Bin, ...]


def fit_platt(scores: NDArray[np.float64], hits: NDArray[np.bool_]) -> PlattScaling:
    """The a and b that make sigmoid(a * logit(score) + b) the most likely chances of `hits`.

    Newton's method on the log loss with Platt's smoothed targets and a weak pull of a to 1. a stays within
    FLATTEST..STEEPEST, so that a better score never means a lower confidence.
    """
    x = logit(scores)
    right, wrong = int(hits.sum()), int((~hits).sum())
    target = np.where(hits, (right + 1) / (right + 2), 1 / (wrong + 2))
    a, b = 1.0, 0.0
    for _ in range(100):
        p = _sigmoid(a * x + b)
        slope = np.array([((p - target) * x).sum() + RIDGE * (a - 1), (p - target).sum()])
        w = np.maximum(p * (1 - p), 1e-9)
        bend = np.array([[(w * x * x).sum() + RIDGE, (w * x).sum()], [(w * x).sum(), w.sum() + 1e-6]])
        step = np.linalg.solve(bend, slope)
        step *= min(1.0, 2.0 / max(float(np.abs(step).max()), 1e-12))
        a, b = a - float(step[0]), b - float(step[1])
        if float(np.abs(step).max()) < 1e-9:
            break
    if not FLATTEST <= a <= STEEPEST:
        a = min(max(a, FLATTEST), STEEPEST)
        b = _best_shift(a * x, target)
    return PlattScaling(a=round(a, 4), b=round(b, 4))


def calibrate(matches: Matches, *, floor: float) -> Calibration:
    """Fit the scaling of every class to its findings of `floor` and more; rare classes are fitted together."""
    findings = {}
    for name in matches.predictions.classes:
        found = matches.of(name)
        keep = found.scores >= floor
        findings[name] = (found.scores[keep], found.hits[keep])
    pooled = tuple(
        name for name, (_, hits) in findings.items() if hits.sum() < ENOUGH_RIGHT or (~hits).sum() < ENOUGH_WRONG
    )
    scalings = {name: fit_platt(*pair) for name, pair in findings.items() if name not in pooled}
    if pooled:
        scores, hits = (np.concatenate([findings[name][side] for name in pooled]) for side in (0, 1))
        # Hardly a finding among all of them: they follow the classes that have some.
        if hits.sum() < ENOUGH_RIGHT or (~hits).sum() < ENOUGH_WRONG:
            scores, hits = (np.concatenate([pair[side] for pair in findings.values()]) for side in (0, 1))
        together = fit_platt(scores, hits) if len(scores) else PlattScaling(a=1.0, b=0.0)
        scalings |= dict.fromkeys(pooled, together)
    return Calibration({name: scalings[name] for name in matches.predictions.classes}, pooled)


def confidences(scores: NDArray[np.float64], scaling: PlattScaling | None) -> NDArray[np.float64]:
    """What Model.calibrate makes of the scores."""
    return scores if scaling is None else _sigmoid(scaling.a * logit(scores) + scaling.b)


def reliability(
    matches: Matches, scalings: Mapping[str, PlattScaling] | None, floors: Mapping[str, float], classes: Sequence[str]
) -> Reliability:
    """Confidence against the share that is right, over the findings of `classes` that score at least their floor.

    BINS bins of equal width over 0..1.
    """
    pairs = []
    for name in classes:
        found = matches.of(name)
        keep = found.scores >= floors[name]
        pairs.append((confidences(found.scores[keep], (scalings or {}).get(name)), found.hits[keep]))
    confidence, hits = (np.concatenate([pair[side] for pair in pairs]) for side in (0, 1))
    return reliability_of(confidence, hits.astype(np.bool_))


def reliability_of(confidence: NDArray[np.float64], hits: NDArray[np.bool_]) -> Reliability:
    """The bins and the expected calibration error of confidences in 0..1 and whether each was right."""
    if not len(confidence):
        return Reliability(None, 0, ())
    places = np.minimum((confidence * BINS).astype(int), BINS - 1)
    bins = []
    for place in range(BINS):
        inside = places == place
        if inside.any():
            bins.append(
                Bin(
                    place / BINS,
                    (place + 1) / BINS,
                    int(inside.sum()),
                    float(confidence[inside].mean()),
                    float(hits[inside].mean()),
                )
            )
    ece = sum(each.findings * abs(each.confidence - each.right) for each in bins) / len(confidence)
    return Reliability(ece, len(confidence), tuple(bins))


def reliability_svg(curves: Mapping[str, Reliability], title: str) -> str:
    """Reliability diagrams side by side: bars are the share that is right, the diagonal is perfect calibration."""
    side, gap, top = 240, 50, 60
    width, height = gap + (side + gap) * len(curves), top + side + 56
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" '
        f'font-size="11" role="img" aria-label="{title}">',
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
        f'<text x="{gap}" y="22" font-size="15">{title}</text>',
    ]
    for column, (name, curve) in enumerate(curves.items()):
        x, y = gap + (side + gap) * column, top
        ece = "n/a" if curve.ece is None else f"{curve.ece:.3f}"
        parts.append(f'<text x="{x}" y="{y - 10}">{name}: ECE {ece}, {curve.findings} boxes</text>')
        parts.append(f'<rect x="{x}" y="{y}" width="{side}" height="{side}" fill="#f6f6f6" stroke="#999"/>')
        for each in curve.bins:
            tall = side * each.right
            parts.append(
                f'<rect x="{x + side * each.low + 1:.1f}" y="{y + side - tall:.1f}" '
                f'width="{side * (each.high - each.low) - 2:.1f}" height="{tall:.1f}" fill="#4477aa"/>'
            )
            parts.append(
                f'<text x="{x + side * (each.low + each.high) / 2:.1f}" y="{y + side + 28}" text-anchor="middle" '
                f'font-size="9" fill="#555">{each.findings}</text>'
            )
        parts.append(
            f'<line x1="{x}" y1="{y + side}" x2="{x + side}" y2="{y}" stroke="#b2182b" stroke-dasharray="4 3"/>'
        )
        for tick in (0, 0.5, 1):
            parts.append(f'<text x="{x + side * tick:.0f}" y="{y + side + 14}" text-anchor="middle">{tick:g}</text>')
            parts.append(f'<text x="{x - 5}" y="{y + side * (1 - tick) + 4:.0f}" text-anchor="end">{tick:g}</text>')
        parts.append(
            f'<text x="{x + side / 2:.0f}" y="{y + side + 44}" text-anchor="middle">'
            "confidence (above: boxes); bar: share that is right</text>"
        )
    return "\n".join([*parts, "</svg>\n"])


def _best_shift(x: NDArray[np.float64], target: NDArray[np.float64]) -> float:
    low, high = -30.0, 30.0
    for _ in range(80):
        middle = (low + high) / 2
        if (_sigmoid(x + middle) - target).sum() > 0:
            high = middle
        else:
            low = middle
    return (low + high) / 2


def _sigmoid(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(0.5 * (1 + np.tanh(logits / 2)))
