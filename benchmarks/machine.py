"""Facts about the machine and the software that a result was measured with."""

from __future__ import annotations

import os
import platform
import subprocess
import textwrap
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = (
    "ordnance",
    "av",
    "numpy",
    "onnxruntime",
    "openvino",
    "opencv-python-headless",
    "torch",
    "ultralytics",
    "ultralytics-opencv-headless",
    "openmoderate",
    "scenedetect-headless",
    "open-clip-torch",
)
PACKAGES_WIDTH = 160
"""Characters in a line of versions."""


def machine_facts() -> dict[str, object]:
    """Processor, cores, memory, load at the start, system, versions and the commit of the working tree."""
    return {
        "processor": _processor(),
        "cores": _cores(),
        "memory_gib": _memory_gib(),
        "load_average_at_start": [round(load, 2) for load in os.getloadavg()] if hasattr(os, "getloadavg") else None,
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "packages": {name: found for name in PACKAGES if (found := _version(name)) is not None},
        "commit": _commit(),
    }


def peak_memory_mb() -> float | None:
    """The largest resident size of this process so far, in 10**6 bytes; None where the system does not tell."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    kilobytes = next((line.split()[1] for line in lines if line.startswith("VmHWM")), None)
    return None if kilobytes is None else round(int(kilobytes) * 1024 / 1e6, 1)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def machine_lines(facts: Mapping[str, Any]) -> list[str]:
    """What `machine_facts` found, for the head of a table; versions are many where everything is installed."""
    packages = ", ".join(f"{name} {version}" for name, version in facts["packages"].items())
    return [
        f"{facts['processor']}, {facts['cores']} cores, {facts['memory_gib']} GiB, {facts['system']}, "
        f"load {facts['load_average_at_start']}",
        *textwrap.wrap(packages, PACKAGES_WIDTH, break_on_hyphens=False),
    ]


def _memory_gib() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (ValueError, OSError, AttributeError):
        return None


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _commit() -> str | None:
    """The commit, with `+` where files were changed since; None outside a working tree."""
    root = Path(__file__).resolve().parents[1]
    try:
        head = subprocess.run(
            ["git", "describe", "--always", "--abbrev=12", "--dirty=+", "--exclude=*"],
            cwd=root,
            capture_output=True,
            text=True,
            check=True,
            timeout=20,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return head.stdout.strip() or None
