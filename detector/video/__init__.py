"""Video in: what a clip is, and its frames with the time at which each is shown."""

from __future__ import annotations

from detector.video.decode import Readable, Video, open_video
from detector.video.display import Orientation
from detector.video.hashing import sha256_file
from detector.video.probing import OtherStream, Probe, probe
from detector.video.problems import DecodeProblem
from detector.video.side_by_side import SideBySide, open_side_by_side

__all__ = [
    "DecodeProblem",
    "Orientation",
    "OtherStream",
    "Probe",
    "Readable",
    "SideBySide",
    "Video",
    "open_side_by_side",
    "open_video",
    "probe",
    "sha256_file",
]
