"""What importing and loading does to the rest of the machine: little, and nothing over the network."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from detector.models import backend


def run(code: str, home: Path) -> str:
    environment = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("ORT_", "YOLO_", "XDG_")) and key not in ("CI", "TF_BUILD", "JENKINS_URL")
    }
    home.mkdir(exist_ok=True)
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**environment, "HOME": str(home), "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_importing_the_package_loads_no_heavy_library(tmp_path: Path) -> None:
    code = (
        "import sys, detector.models; "
        "print([name for name in ('cv2', 'onnxruntime', 'openvino', 'torch', 'onnx') if name in sys.modules])"
    )
    assert run(code, tmp_path / "home").strip() == "[]"


LOAD = """
import sys
touched = []
sys.addaudithook(lambda event, details: touched.append(event) if event.startswith("socket.") else None)
from detector.models import load_model
from detector.models.offline import {importer}
{importer}()
load_model({path!r}, device="cpu", backend={backend!r}) if {backend!r} else None
assert not [name for name in sys.modules if name.startswith("openvino_telemetry")]
print(touched)
"""


@pytest.mark.parametrize("name", ["onnxruntime", "openvino"])
def test_loading_touches_no_socket_and_leaves_nothing_in_the_home(
    name: str, make_tiny: Callable[..., Path], tmp_path: Path
) -> None:
    pytest.importorskip(name, reason=f"{name} is not installed")
    home = tmp_path / "home"
    code = LOAD.format(importer=f"import_{name}", path=str(make_tiny()), backend=name)
    assert run(code, home).strip() == "[]"
    assert list(home.rglob("*")) == []


def test_nncf_touches_no_socket_and_leaves_nothing_in_the_home(tmp_path: Path) -> None:
    pytest.importorskip("nncf", reason="nncf is not installed (extra train)")
    home = tmp_path / "home"
    assert run(LOAD.format(importer="import_nncf", path="", backend=""), home).strip() == "[]"
    assert list(home.rglob("*")) == []


# numpy's import_array prints what came in between and calls it an ImportError.
INTERRUPTED = """
import os, signal, traceback
try:
    os.kill(os.getpid(), signal.SIGINT)
    sum(range(10))
except KeyboardInterrupt:
    traceback.print_exc()
    raise ImportError("numpy._core.multiarray failed to import")
"""


@pytest.mark.parametrize("name", ["onnxruntime", "openvino"])
@pytest.mark.parametrize(
    ("content", "outcome"),
    [
        (INTERRUPTED, "KeyboardInterrupt: "),
        ("raise ImportError('libtbb.so.12: no such file')", "cannot be loaded (libtbb.so.12: no such file)"),
        ("import a_part_that_lacks", "cannot be loaded (No module named 'a_part_that_lacks')"),
        ("raise ModuleNotFoundError(name=__name__)", "is not installed; install it with: pip install"),
    ],
)
def test_a_library_that_cannot_be_imported_is_told_from_one_that_lacks_and_from_an_interrupt(
    name: str, content: str, outcome: str, make_tiny: Callable[..., Path], tmp_path: Path
) -> None:
    (tmp_path / "fake").mkdir()
    (tmp_path / "fake" / f"{name}.py").write_text(content)
    code = (
        "import signal, sys\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        f"sys.path.insert(0, {str(tmp_path / 'fake')!r})\n"
        "from detector.models import load_model\n"
        f"try: load_model({str(make_tiny())!r}, device='cpu', backend={name!r})\n"
        "except BaseException as error: print(f'{type(error).__name__}: {error}')"
    )
    assert outcome in run(code, tmp_path / "home")


@pytest.mark.needs_torch
def test_ultralytics_stays_offline_and_off_stdout(tmp_path: Path) -> None:
    if missing := backend.missing_torch_packages():
        pytest.skip(f"the torch backend needs {', '.join(missing)} (extra train or cuda)")
    home = tmp_path / "home"
    code = LOAD.format(importer="import_ultralytics_tasks", path="", backend="")
    assert run(code, home).strip() == "[]"
    assert [path.name for path in home.iterdir()] == [".cache"]
    assert not (home / ".config").exists()
