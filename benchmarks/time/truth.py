"""What a clip shows, frame by frame, in the container's own time."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.time.pictures import Box

IN_VIEW = 0.5
"""A weapon is in view on a frame when at least this share of its labelled box lies in the picture."""


@dataclass(frozen=True, slots=True)
class TrueAppearance:
    """One weapon in one shot, from the first frame to the last on which it is in view.

    `first` and `last` are frame numbers. `boxes` and `shares` start with frame `from_frame`, where any of the
    weapon first shows: the visible part of its box (x1, y1, x2, y2, display pixels) or None, and the share of the
    labelled box that it is. `object_id` is the same where a later shot shows the same scene again.
    """

    id: str
    object_id: str
    class_name: str
    first: int
    last: int
    from_frame: int
    boxes: tuple[Box | None, ...]
    shares: tuple[float, ...]

    def box(self, frame: int) -> Box | None:
        """The visible part of the weapon's box on a frame, None where nothing of it shows."""
        position = frame - self.from_frame
        return self.boxes[position] if 0 <= position < len(self.boxes) else None

    def is_in_view(self, frame: int) -> bool:
        position = frame - self.from_frame
        return 0 <= position < len(self.shares) and self.shares[position] >= IN_VIEW


@dataclass(frozen=True, slots=True)
class Truth:
    """A clip's frames (PTS in seconds on the clip's timeline, ascending), cuts and weapons.

    `glimpses` are weapons that never come into view by the rule; what a detector says about them counts neither
    for nor against it.
    """

    clip: str
    width: int
    height: int
    pts_seconds: tuple[float, ...]
    end_seconds: float
    cuts_seconds: tuple[float, ...]
    appearances: tuple[TrueAppearance, ...]
    glimpses: tuple[TrueAppearance, ...]

    @property
    def duration_seconds(self) -> float:
        return self.end_seconds - self.pts_seconds[0]

    def seconds(self, appearance: TrueAppearance) -> float:
        """How long an appearance lasts: from its first frame until its last one is replaced."""
        after = appearance.last + 1
        end = self.pts_seconds[after] if after < len(self.pts_seconds) else self.end_seconds
        return end - self.pts_seconds[appearance.first]

    def weapon_share(self) -> float:
        """Share of the frames with a weapon in view."""
        frames = {n for each in self.appearances for n in range(each.first, each.last + 1) if each.is_in_view(n)}
        return len(frames) / len(self.pts_seconds)

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self)) + "\n", encoding="utf-8")


def read_truth(path: Path) -> Truth:
    """The truth that `Truth.write` wrote."""
    row = json.loads(path.read_text(encoding="utf-8"))
    for key in ("appearances", "glimpses"):
        row[key] = tuple(
            TrueAppearance(
                **{
                    **each,
                    "boxes": tuple(None if box is None else tuple(box) for box in each["boxes"]),
                    "shares": tuple(each["shares"]),
                }
            )
            for each in row[key]
        )
    row["pts_seconds"], row["cuts_seconds"] = tuple(row["pts_seconds"]), tuple(row["cuts_seconds"])
    return Truth(**row)
