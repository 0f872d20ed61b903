import subprocess
import sys

import pytest

import detector


@pytest.mark.parametrize("name", detector.__all__)
def test_every_public_name_is_there(name):
    assert getattr(detector, name) is not None


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
