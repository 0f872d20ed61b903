"""Finds pictures whose near-copy stands in another split, so that no model is measured on what it learned."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from detector.training.near_duplicates import Clusters, Fingerprint, fingerprint, near_copies, told
from detector.training.photographs import Photograph

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
    clusters = Clusters()
    for first, *others in (*_grouped(photographs, _file).values(), *_grouped(photographs, _cluster).values()):
        for each in others:
            clusters.join(first.picture, each.picture)
    prints = _fingerprints(photographs)
    agreeing: dict[tuple[Path, Path], int] = {}
    for low, high in (("train", "test"), ("val", "test"), ("train", "val")):
        for copy in near_copies(prints[high], prints[low], clusters):
            agreeing[prints[low][copy.right].path, prints[high][copy.left].path] = copy.agreeing
    found = []
    for group in _grouped(photographs, lambda each: clusters.of(each.picture)).values():
        highest = max(RANK[each.split] for each in group)
        keepers = [each for each in group if RANK[each.split] == highest]
        found += [_leak(each, keepers, agreeing) for each in group if RANK[each.split] < highest]
    return sorted(found, key=lambda leak: (leak.lower.split, leak.lower.picture.name))


def _fingerprints(photographs: Sequence[Photograph]) -> dict[str, list[Fingerprint]]:
    prints: dict[str, list[Fingerprint]] = {split: [] for split in RANK}
    for each in told(photographs):
        prints[each.split].append(fingerprint(each.picture, turned=each.split != "train"))
    return prints


def _leak(lower: Photograph, keepers: Sequence[Photograph], agreeing: Mapping[tuple[Path, Path], int]) -> Leak:
    for keeper in keepers:
        if lower.sha256 == keeper.sha256:
            return Leak(lower, keeper, "the same file")
    for keeper in keepers:
        if _cluster(lower) and _cluster(lower) == _cluster(keeper):
            return Leak(lower, keeper, "one cluster in sources.csv")
    for keeper in keepers:
        features = agreeing.get((lower.picture, keeper.picture))
        if features is not None:
            return Leak(lower, keeper, f"{features} features agree" if features else "equal perceptual hashes")
    return Leak(lower, keepers[0], "a copy of a copy")


def _file(photograph: Photograph) -> str:
    return photograph.sha256


def _cluster(photograph: Photograph) -> str:
    return f"{photograph.picture.parents[3]} {photograph.cluster}" if photograph.cluster else ""


def _grouped(
    photographs: Sequence[Photograph], key: Callable[[Photograph], str | Path]
) -> dict[str | Path, list[Photograph]]:
    groups: dict[str | Path, list[Photograph]] = defaultdict(list)
    for each in photographs:
        if value := key(each):
            groups[value].append(each)
    return groups
