from __future__ import annotations

import numpy as np

from detector.appearances import Linker, StaticPicture, look_of
from detector.frame import Appearance, Detection
from detector.linking import Linking
from detector.sampling.plan import Sample

BOX = (20.0, 20.0, 60.0, 50.0)
LOOK = look_of(np.zeros((90, 160, 3), np.uint8))


def sample(seconds: float, score: float | None = None, *, repeated: bool = False, tiled: bool = False) -> Sample:
    found = () if score is None else (Detection("tank", score, BOX, seconds),)
    return Sample(seconds, found, LOOK, repeated, tiled)


def linked(*samples: Sample) -> tuple[Linking, list[Appearance]]:
    linking = Linking(Linker({"tank": 0.5}, lambda _, score: score))
    for each in samples:
        linking.add(each)
    return linking, linking.finish(StaticPicture(), width=160, height=90)


def test_of_samples_with_the_same_time_the_one_counts_that_shows_most() -> None:
    linking, found = linked(sample(0.0), sample(1.0), sample(1.0, 0.9), sample(2.0, 0.8), sample(2.0))
    assert list(linking.looked_at.times) == [0.0, 1.0, 2.0]
    assert [(each.pts_seconds, each.score) for each in found[0].detections] == [(1.0, 0.9), (2.0, 0.8)]


def test_each_sample_is_counted_once() -> None:
    linking, _ = linked(
        sample(0.0), sample(1.0, repeated=True), sample(1.0, tiled=True), sample(2.0, 0.9, repeated=True)
    )
    looked_at = linking.looked_at
    assert (len(looked_at.times), looked_at.repeated, looked_at.tiled) == (3, 1, 1)


def test_nothing_looked_at_is_nothing_found() -> None:
    linking, found = linked()
    assert found == []
    assert not linking.looked_at.times
