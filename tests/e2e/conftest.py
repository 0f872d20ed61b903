import os
import subprocess
import sys

import pytest
from made_clips import write_clip


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


@pytest.fixture
def clip(tmp_path):
    return write_clip(tmp_path / "bands.mp4")
