"""Timelines with objects on them, and a detector that sees these objects: a plan without video or model."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from detector.appearances import Look
from detector.frame import Detection
from detector.sampling.adaptive import Adaptive
from detector.sampling.plan import Sample, Timeline

LOOK = Look(np.full(64, 64, np.uint16).tobytes() + bytes(256))
OTHER_LOOK = Look(np.repeat([0, 128], 32).astype(np.uint16).tobytes() + bytes(range(256)))


@dataclass
class FakeClip:
    """`objects` are (first frame, last frame, score, box) by frame number. All frames look the same but for `cuts`,
    from each of which on they look like those of another shot.
    """

    pts: list[float]
    keys: list[int]
    objects: list[tuple[int, int, float, tuple[float, float, float, float]]] = field(default_factory=list)
    duration: float = 0.0
    width: int = 640
    height: int = 360
    asked: list[float] = field(default_factory=list)
    cuts: list[int] = field(default_factory=list)

    def timeline(self):
        times = np.asarray(self.pts, np.float64)
        return Timeline(
            times, np.isin(np.arange(len(times)), self.keys), max(self.duration, self.pts[-1]), self.width, self.height
        )

    def sample(self, pts):
        number = self.pts.index(pts)
        found = tuple(
            Detection("tank", score, box, pts) for first, last, score, box in self.objects if first <= number <= last
        )
        return Sample(pts, found, (LOOK, OTHER_LOOK)[sum(cut <= number for cut in self.cuts) % 2])

    def scan(self, *, cadence=1.0, time_left=None, look=None):
        """Run the adaptive plan to its end; returns it and all samples by time."""
        plan = Adaptive(cadence, 0.25, {"tank": 0.5}, 416, time_left=time_left)
        samples = {}
        request = plan.first(self.timeline())
        while request is not None:
            fresh = [self.sample(pts) for pts in request.times] if look is None else look(self, request)
            self.asked += request.times
            samples.update({sample.pts_seconds: sample for sample in fresh})
            request = plan.more(fresh)
        return plan, samples

    def coarse(self, cadence=1.0):
        return Adaptive(cadence, 0.25, {"tank": 0.5}, 416).first(self.timeline()).times


def shown_seconds(clip, first, last):
    """How long the frames from `first` to `last` are on display together."""
    end = clip.pts[last + 1] if last + 1 < len(clip.pts) else max(clip.duration, clip.pts[-1])
    return end - clip.pts[first]
