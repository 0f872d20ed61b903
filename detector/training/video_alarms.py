"""False alarms per hour of video without weapons: what a reviewer is shown for nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from detector.errors import DataError

if TYPE_CHECKING:
    from detector.models import Model

SECONDS_A_PICTURE = 4.0
FRAMES_PER_SECOND = 10
WIDTH, HEIGHT = 640, 360
ZOOM = 1.25
CRF = 30


@dataclass(frozen=True, slots=True)
class VideoAlarms:
    """`appearances` that a scan by the default plan reports on `clips` weapon-free clips of `hours` in all."""

    clips: int
    hours: float
    appearances: int
    classes: dict[str, int]

    @property
    def per_hour(self) -> float | None:
        return self.appearances / self.hours if self.hours > 0 else None


def clips_in(folder: Path) -> list[Path]:
    """The clips of a folder, which must all be free of weapons. Raises DataError for a folder without any."""
    from detector.clip_files import CLIP_SUFFIXES

    clips = sorted(path for path in folder.rglob("*") if path.suffix.lower() in CLIP_SUFFIXES)
    if not clips:
        raise DataError(f"{folder} holds no clips ({', '.join(sorted(CLIP_SUFFIXES))}) to count false alarms on.")
    return clips


def count_alarms(model: Model, clips: Sequence[Path]) -> VideoAlarms:
    """Scan each clip as `ordnance scan` does, with the model's thresholds, and count what is shown to a reviewer.

    Raises VideoError for a clip of which nothing can be decoded.
    """
    from detector.scanner import Scanner

    scanner = Scanner(model)
    seconds, classes = 0.0, Counter[str]()
    for clip in clips:
        report = scanner.scan(clip).report
        seconds += report.clip.duration_s
        classes.update(each.class_name for each in report.shown)
    return VideoAlarms(len(clips), seconds / 3600, classes.total(), dict(classes))


def make_clip(pictures: Sequence[Path], out: Path) -> None:
    """A clip that pans and zooms slowly over each picture for SECONDS_A_PICTURE, with hard cuts between (H.264).

    It stands in where no weapon-free footage is to be had: cuts come oftener than in most, motion is only the camera's.
    """
    import av
    import cv2

    frames = round(SECONDS_A_PICTURE * FRAMES_PER_SECOND)
    with av.open(out, "w") as container:
        stream = container.add_stream("libx264", rate=FRAMES_PER_SECOND)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.codec_context.thread_count = 1
        stream.options = {"preset": "veryfast", "crf": str(CRF)}
        for number, path in enumerate(pictures):
            picture = cv2.imread(str(path))
            if picture is None:
                raise DataError(f"The picture {path} is missing or damaged.")
            rows, columns = picture.shape[:2]
            fill = max(WIDTH / columns, HEIGHT / rows)
            direction = 1 if number % 2 else -1
            for step in range(frames):
                share = step / max(frames - 1, 1)
                scale = fill * (1 + (ZOOM - 1) * share)
                slack = scale * columns - WIDTH, scale * rows - HEIGHT
                left, top = slack[0] * (0.5 + direction * 0.4 * (share - 0.5)), slack[1] * 0.5
                move = np.array([[scale, 0, -left], [0, scale, -top]], dtype=np.float64)
                view = np.asarray(cv2.warpAffine(picture, move, (WIDTH, HEIGHT), flags=cv2.INTER_LINEAR), np.uint8)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(view, format="bgr24")))
        container.mux(stream.encode(None))
