"""Finds pictures whose near-copy stands in another split, so that no model is measured on what it learned."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations

from detector.training.near_duplicates import Fingerprint, fingerprint, joined, near_copies
from detector.training.photographs import Photograph

LOG = logging.getLogger(__name__)
RANK = {"train": 0, "val": 1, "test": 2}
"""Of copies in two splits, the one in the higher stays: what is measured on must not shrink or change."""


@dataclass(frozen=True, slots=True)
class Leak:
    """A picture, a copy of it in another split, and how it was recognised."""

    lower: Photograph
    higher: Photograph
    evidence: str


def find_leaks(photographs: Sequence[Photograph]) -> list[Leak]:
    """Every picture that has a near-copy in a higher split (train < val < test), once each, in order of file name.

    Copies of copies count, so do pictures that sources.csv puts into one cluster. Raises DataError for a picture
    that cannot be decoded to its end.
    """
    evidence: dict[tuple[int, int], str] = {}
    for group in _equal(photographs, lambda each: each.sha256):
        evidence.update({pair: "the same file" for pair in combinations(group, 2)})
    for group in _equal(photographs, lambda each: f"{each.picture.parents[3]} {each.cluster}" if each.cluster else ""):
        evidence.update({pair: "one cluster in sources.csv" for pair in combinations(group, 2) if pair not in evidence})
    numbers, prints = _fingerprints(photographs)
    for low, high in (("train", "val"), ("train", "test"), ("val", "test")):
        for copy in near_copies(prints[high], prints[low]):
            pair = tuple(sorted((numbers[high][copy.left], numbers[low][copy.right])))
            agreeing = f"{copy.agreeing} features agree" if copy.agreeing else "equal perceptual hashes"
            evidence.setdefault((pair[0], pair[1]), agreeing)
    return _across_splits(photographs, evidence)


def _fingerprints(
    photographs: Sequence[Photograph],
) -> tuple[dict[str, list[int]], dict[str, list[Fingerprint]]]:
    numbers: dict[str, list[int]] = {split: [] for split in RANK}
    prints: dict[str, list[Fingerprint]] = {split: [] for split in RANK}
    for number, each in enumerate(photographs):
        if number and number % 500 == 0:
            LOG.info("compared %d of %d pictures", number, len(photographs))
        numbers[each.split].append(number)
        prints[each.split].append(fingerprint(each.picture, turned=each.split != "train"))
    return numbers, prints


def _across_splits(photographs: Sequence[Photograph], evidence: dict[tuple[int, int], str]) -> list[Leak]:
    groups: dict[int, list[int]] = defaultdict(list)
    for number, first in enumerate(joined(len(photographs), list(evidence))):
        groups[first].append(number)
    found = []
    for group in groups.values():
        highest = max(RANK[photographs[number].split] for number in group)
        keepers = [number for number in group if RANK[photographs[number].split] == highest]
        for number in group:
            if RANK[photographs[number].split] < highest:
                pairs = [(min(number, keeper), max(number, keeper)) for keeper in keepers]
                direct = next((pair for pair in pairs if pair in evidence), None)
                keeper = keepers[0] if direct is None else next(n for n in direct if n != number)
                why = "a copy of a copy" if direct is None else evidence[direct]
                found.append(Leak(photographs[number], photographs[keeper], why))
    return sorted(found, key=lambda leak: (leak.lower.split, leak.lower.picture.name))


def _equal(photographs: Sequence[Photograph], key: Callable[[Photograph], str]) -> list[list[int]]:
    groups: dict[str, list[int]] = defaultdict(list)
    for number, each in enumerate(photographs):
        value = key(each)
        if value:
            groups[value].append(number)
    return [group for group in groups.values() if len(group) > 1]
