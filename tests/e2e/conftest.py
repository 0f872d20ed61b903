import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

REPOSITORY = Path(__file__).parents[2]
DEMO = REPOSITORY / "datasets" / "demo" / "demo.mp4"


@pytest.fixture
def ordnance(tmp_path):
    """Runs the real command in a folder of its own; returns the finished process."""

    def run(*arguments, **environment):
        return subprocess.run(
            [sys.executable, "-m", "service", *map(str, arguments)],
            capture_output=True,
            text=True,
            encoding="utf-8",
            cwd=tmp_path,
            env={**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache"), **environment},
            timeout=300,
            check=False,
        )

    return run


def write_clip(path, seconds=2.0, rate=10, size=(320, 240), faststart=True):
    """A clip of moving noise-free bands, H.264 with B-frames."""
    width, height = size
    options = {"movflags": "faststart"} if faststart else {}
    with av.open(str(path), "w", options=options) as container:
        stream = container.add_stream("libx264", rate=rate, options={"g": str(rate), "bf": "2"})
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


@pytest.fixture
def clip(tmp_path):
    return write_clip(tmp_path / "bands.mp4")
