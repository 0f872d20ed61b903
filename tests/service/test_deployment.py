"""What the Dockerfile installs before the code is there is what `pip install '.[…]'` would."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("extras", [(), ("postgres", "s3", "otel"), ("cuda",)])
def test_what_is_installed_before_the_code_is_what_the_project_needs(extras):
    command = [sys.executable, ROOT / "deploy" / "needs.py", *extras]
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    optional = project["optional-dependencies"]
    own = {f"ordnance[{name}]": needs for name, needs in optional.items()}
    wanted = [*project["dependencies"]]
    for each in (need for name in extras for need in optional[name]):
        wanted += own.get(each, [each])
    assert printed == wanted
