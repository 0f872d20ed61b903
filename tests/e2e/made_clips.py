"""The demo clip, and clips made on the spot."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np

DEMO = Path(__file__).parents[2] / "datasets" / "demo" / "demo.mp4"


def write_clip(path, seconds=2.0, rate=10, size=(320, 240), faststart=True, keyframe_every=None):
    """A clip of moving noise-free bands, H.264 with B-frames and a keyframe a second, or every so many frames."""
    width, height = size
    path.parent.mkdir(exist_ok=True)
    options = {"movflags": "faststart"} if faststart and path.suffix == ".mp4" else {}
    with av.open(str(path), "w", options=options) as container:
        stream = container.add_stream(
            "libx264", rate=rate, options={"g": str(keyframe_every or rate), "bf": "2", "sc_threshold": "0"}
        )
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.time_base = Fraction(1, 1000)
        for number in range(round(seconds * rate)):
            picture = np.zeros((height, width, 3), np.uint8)
            picture[:, (number * 7) % width :] = (90, 120, 60)
            picture[number % height :] += 40
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = round(number * 1000 / rate), Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path
