from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path

import pytest
from hypothesis import settings

# Hypothesis fails a test whose example takes more than 200 ms: on a busy machine any does.
settings.register_profile("any speed", deadline=None)
settings.load_profile("any speed")


@pytest.fixture(scope="session")
def ordnance_data() -> Path:
    """The folder of pictures and clips that may not be committed."""
    folder = os.environ.get("ORDNANCE_DATA")
    if not folder:
        pytest.skip("ORDNANCE_DATA is not set: it names the folder with the test pictures and clips")
    if not Path(folder).is_dir():
        pytest.skip(f"ORDNANCE_DATA names {folder}, which is no folder")
    return Path(folder)


@pytest.fixture(scope="session")
def cuda_device() -> str:
    """The first CUDA device."""
    from detector.errors import BackendUnavailable
    from detector.models.backend import resolve_device

    try:
        return resolve_device("cuda:0")
    except BackendUnavailable as error:
        pytest.skip(str(error))


def pytest_runtest_setup(item: pytest.Item) -> None:
    from detector.models.backend import missing_torch_packages

    if item.get_closest_marker("needs_torch") and (missing := missing_torch_packages()):
        pytest.skip(f"{', '.join(missing)} not installed (extra train)")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """With ORDNANCE_REQUIRE_CUDA=1 a test that needs a GPU fails where it would be skipped, whatever is missing."""
    report = yield
    if report.skipped and item.get_closest_marker("needs_gpu") and os.environ.get("ORDNANCE_REQUIRE_CUDA") == "1":
        report.outcome = "failed"
        report.longrepr = f"ORDNANCE_REQUIRE_CUDA is set, but: {call.excinfo and call.excinfo.value}"
    return report


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of the pages come last: from the first of them on, Playwright keeps an event loop in the main thread."""
    items.sort(key=lambda item: "tests/e2e/web/" in item.nodeid)
