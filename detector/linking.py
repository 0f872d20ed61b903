"""Samples in the order of their times become appearances, and an account of what was looked at."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field

from detector.appearances import Linker, Scenes, Seen, StaticPicture, flag_overlays, numbered
from detector.frame import Appearance
from detector.sampling.plan import Sample


class Chain:
    """A linker that sees for itself, from sample to sample, whether a cut lies between."""

    def __init__(self, linker: Linker) -> None:
        self.linker = linker
        self.shot = 0
        self._scenes = Scenes()

    def add(self, sample: Sample) -> tuple[Appearance, ...]:
        """Take the next sample; returns the appearances that ended before it."""
        place = self._scenes.add(sample.look)
        self.shot = place.shot
        return self.linker.add(sample.pts_seconds, sample.detections, new_shot=place.new_shot, scene=place.scene)


@dataclass(slots=True)
class LookedAt:
    """The ascending times of samples in seconds, how many repeated the one before, and how many were tiled.

    `cuts` are the times of each two successive samples of which the later one belongs to another shot.
    """

    times: array[float] = field(default_factory=lambda: array("d"))
    repeated: int = 0
    tiled: int = 0
    cuts: list[tuple[float, float]] = field(default_factory=list)

    def add(self, sample: Sample) -> None:
        self.times.append(sample.pts_seconds)
        self.repeated += sample.repeated
        self.tiled += sample.tiled


class Linking:
    """Takes a clip's samples one after another and keeps of each what the report tells of it: not what it looks like.

    Times never go back; of samples with the same time the one counts on which the surest detection is.
    """

    def __init__(self, linker: Linker) -> None:
        self.looked_at = LookedAt()
        self._chain = Chain(linker)
        self._appearances: list[Appearance] = []
        self._seen: list[Seen] = []
        self._latest: Sample | None = None

    def add(self, sample: Sample) -> None:
        if self._latest is None or sample.pts_seconds > self._latest.pts_seconds:
            if self._latest is not None:
                self._take(self._latest)
            self._latest = sample
        elif _surest(sample) >= _surest(self._latest):
            self._latest = sample

    def finish(self, static: StaticPicture, *, width: int, height: int) -> list[Appearance]:
        """The appearances, numbered, those that are suspected overlays flagged. Nothing can be added after it.

        `width` and `height` are the picture's in display pixels.
        """
        if self._latest is not None:
            self._take(self._latest)
            self._latest = None
        self._appearances.extend(self._chain.linker.finish())
        times = self.looked_at.times
        return flag_overlays(
            numbered(self._appearances),
            self._seen,
            static.mask(),
            shots=self._chain.shot + 1,
            seconds=times[-1] - times[0] if times else 0.0,
            width=width,
            height=height,
        )

    def _take(self, sample: Sample) -> None:
        self.looked_at.add(sample)
        shot = self._chain.shot
        self._appearances.extend(self._chain.add(sample))
        if self._chain.shot > shot:
            self.looked_at.cuts.append((self.looked_at.times[-2], sample.pts_seconds))
        if sample.detections:
            self._seen.append(Seen(sample.pts_seconds, self._chain.shot, sample.detections))


def _surest(sample: Sample) -> float:
    return max((each.score for each in sample.detections), default=0.0)
