import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import detector


@pytest.mark.parametrize("name", detector.__all__)
def test_every_public_name_is_there(name):
    assert getattr(detector, name) is not None


@pytest.mark.parametrize(
    "before", ["", "import detector.scanner", "from detector.scanner import Scanner", "import detector.batch"]
)
def test_public_names_are_what_they_say_whatever_was_imported_before(before):
    names = ", ".join(detector.__all__)
    code = f"""
{before}
from detector import {names}
import detector
from detector.scanner import scan as function

assert scan is detector.scan is function, scan
assert not [name for name in detector.__all__ if type(getattr(detector, name)).__name__ == "module"]
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_python_example_of_the_readme_runs_as_it_stands(tmp_path):
    root = Path(__file__).parents[2]
    shutil.copyfile(root / "datasets" / "demo" / "demo.mp4", tmp_path / "clip.mp4")
    example = re.search(
        r"```python\n(from detector import scan\n.*?)```", (root / "README.md").read_text("utf-8"), re.S
    )
    done = subprocess.run(
        [sys.executable, "-c", example[1]],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(root)},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["humvee", "tank", "tow_launcher"]


def test_the_library_never_imports_the_service_nor_the_web():
    code = (
        "import sys, pkgutil, importlib, detector\n"
        "for module in pkgutil.walk_packages(detector.__path__, 'detector.'):\n"
        "    importlib.import_module(module.name)\n"
        "unwanted = {'service', 'fastapi', 'sqlalchemy', 'torch', 'ultralytics'} & set(sys.modules)\n"
        "sys.exit(', '.join(sorted(unwanted)) or 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
