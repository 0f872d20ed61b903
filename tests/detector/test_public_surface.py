import os
import re
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pydantic
import pytest
from readme_examples import ROOT, run_example

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
    shutil.copyfile(ROOT / "datasets" / "demo" / "demo.mp4", tmp_path / "clip.mp4")
    lines = run_example("from detector import scan", tmp_path)
    assert [line.split()[0] for line in lines] == ["humvee", "tank", "tow_launcher"]


def test_a_shell_is_shown_the_public_names_and_a_result_without_its_pictures():
    assert set(detector.__all__) <= set(dir(detector))
    result = detector.ScanResult(report=None, pictures={"0-crop.jpg": bytes(1000)})
    assert len(repr(result)) < 100


PROGRAM = """
from detector import ScanOptions, Scanner, load_model, scan
from service.client import Client

reveal_type(scan("clip.mp4"))
reveal_type(Scanner(load_model(), ScanOptions(plan="interval")).scan("clip.mp4").report)
reveal_type(Client("http://127.0.0.1:8008").report("1"))
"""


def test_types_are_told_to_programs_that_have_ordnance_installed(tmp_path):
    pytest.importorskip("mypy")
    venv.create(tmp_path / "venv")
    (packages,) = (tmp_path / "venv").glob("[Ll]ib/**/site-packages")
    for name in ("detector", "service"):
        (packages / name).symlink_to(Path(__file__).parents[2] / name)
    (packages / "others.pth").write_text(f"{Path(pydantic.__file__).parents[1]}\n")
    (tmp_path / "program.py").write_text(PROGRAM)
    interpreter = tmp_path / "venv" / ("Scripts" if os.name == "nt" else "bin") / "python"
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--python-executable", interpreter, "program.py"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "MYPYPATH")},
        check=False,
    )
    assert done.returncode == 0, done.stdout
    kinds = ("detector.scanner.ScanResult", "detector.report.schema.Report", "detector.report.schema.Report")
    assert re.findall('type is "(.*)"', done.stdout) == list(kinds)


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
