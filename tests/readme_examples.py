"""The examples of the README, run as they stand."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def run_example(line, folder, replaced=()):
    """The lines that the Python example with this line in it prints, run in a folder with (old, new) `replaced`."""
    readme = (ROOT / "README.md").read_text("utf-8")
    (example,) = re.findall(rf"```python\n([^`]*{re.escape(line)}\n[^`]*)```", readme)
    for old, new in replaced:
        example = example.replace(old, new)
    done = subprocess.run(
        [sys.executable, "-c", example],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()
