"""Facts about the GPU, and how busy it is while something runs, as NVML tells them."""

from __future__ import annotations

import statistics
import threading
from collections.abc import Mapping
from typing import Any

import numpy as np

LOOK_SECONDS = 0.1


def why_no_cuda(device: str) -> str | None:
    """Why nothing can be measured on `device`; None where it is there. Raises BadOption where it is not one of CUDA."""
    from detector.errors import BackendUnavailable, BadOption
    from detector.models.backend import resolve_device

    try:
        resolved = resolve_device(device)
    except BackendUnavailable as error:
        return str(error)
    if resolved == "cpu":
        raise BadOption(f"'{device}' is not a CUDA device here; give cuda:N, or take bench infer and scan for the CPU.")
    return None


def gpu_facts(device: str) -> dict[str, Any]:
    """Name, memory, CUDA, driver and library versions."""
    from importlib.metadata import PackageNotFoundError, version

    import torch

    facts = torch.cuda.get_device_properties(device)
    packages = {}
    for name in ("torch", "torchcodec", "tensorrt", "nvidia-ml-py"):
        try:
            packages[name] = version(name)
        except PackageNotFoundError:
            packages[name] = None
    return {
        "name": facts.name,
        "memory_gib": round(facts.total_memory / 2**30, 1),
        "compute_capability": f"{facts.major}.{facts.minor}",
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version(),
        "driver": _driver(),
        "packages": packages,
    }


class Watch:
    """Looks at the device ten times a second until the `with` block ends; `summary` is empty without NVML."""

    def __init__(self, device: str) -> None:
        self._device = device
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._rows: list[tuple[float, float, float]] = []

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def summary(self) -> Mapping[str, float]:
        """Medians of how busy the processors and the decoder were, %, and the most memory in use, 10**6 bytes."""
        if not self._rows:
            return {}
        gpu, decoder, memory = zip(*self._rows, strict=True)
        return {
            "gpu_percent": statistics.median(gpu),
            "decoder_percent": statistics.median(decoder),
            "memory_mb": round(float(np.max(memory)), 1),
        }

    def _look(self) -> None:
        try:
            import pynvml
            import torch

            pynvml.nvmlInit()
            # NVML counts all devices, CUDA those that CUDA_VISIBLE_DEVICES leaves.
            uuid = f"GPU-{torch.cuda.get_device_properties(self._device).uuid}"
            handle = pynvml.nvmlDeviceGetHandleByUUID(uuid)
        except Exception:
            return
        while not self._stop.wait(LOOK_SECONDS):
            try:
                busy = pynvml.nvmlDeviceGetUtilizationRates(handle).gpu
                decoder = pynvml.nvmlDeviceGetDecoderUtilization(handle)[0]
                memory = pynvml.nvmlDeviceGetMemoryInfo(handle).used / 1e6
            except pynvml.NVMLError:
                return
            self._rows.append((busy, decoder, memory))


def _driver() -> str | None:
    try:
        import pynvml

        pynvml.nvmlInit()
        return str(pynvml.nvmlSystemGetDriverVersion())
    except Exception:
        return None
