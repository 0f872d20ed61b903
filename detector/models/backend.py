"""What a backend is, and which one runs a model on this machine."""

from __future__ import annotations

import ctypes
import importlib.util
import logging
import os
import re
import sys
from collections.abc import Callable, Sequence
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from detector.errors import BackendUnavailable, BadOption, ModelError, OrdnanceError
from detector.models.manifest import ManifestEntry

BackendName = Literal["onnxruntime", "openvino", "openvino-bf16", "torch", "tensorrt"]
"""`openvino-bf16` computes in bfloat16: faster on processors that can, with scores that differ a little."""

CPU_BACKENDS: tuple[BackendName, ...] = ("onnxruntime", "openvino")
"""Those of the base install, in order of preference where both are equally fast."""

CPU_ONLY: tuple[BackendName, ...] = (*CPU_BACKENDS, "openvino-bf16")
"""Those that run on no other device."""

MOST_AT_ONCE = 8
"""Pictures that a CPU backend infers side by side, each with its share of the threads; a scan gives it no more."""

TORCH_PACKAGES = ("torch", "ultralytics", "onnx")

CUDA_HINT = "pip install 'ordnance[cuda]'"

log = logging.getLogger(__name__)


class Backend(Protocol):
    """A network ready to run. `infer` may be called from several threads."""

    @property
    def name(self) -> BackendName: ...

    @property
    def device(self) -> str:
        """`cpu` or `cuda:N`."""
        ...

    def infer(self, batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Letterboxed pictures, uint8 (n, height, width, 3) RGB, n >= 1, to what the network says, float32.

        Both sides are among `trimmed_sides`. With the one-to-one head rows (n, k, 6): x1, y1, x2, y2 in pixels of
        the letterboxed picture, score in 0..1, class position. With the one-to-many head (n, 4 + classes, anchors),
        as non_maximum_suppression takes it.
        """
        ...


def create_backend(
    name: BackendName, content: bytes, entry: ManifestEntry, *, device: str, threads: int, at_need: bool = False
) -> Backend:
    """The backend `name` with the ONNX file `content` on `device` (`cpu` or `cuda:N`).

    `at_need`: there is one of this name in the process already, and this one may have nothing to do; where starting
    takes long on a processor, it waits for the first picture.

    Raises BackendUnavailable if it is not installed or has no such device, ModelError if it cannot use the file.
    """
    if name in ("torch", "tensorrt"):
        if entry.precision != "fp32":
            raise BackendUnavailable(
                f"'{entry.name}' is an {entry.precision} file, which the backend '{name}' cannot read; "
                f"use the model '{entry.made_from}' there, or --device cpu."
            )
        if name == "tensorrt":
            if device == "cpu":
                raise BackendUnavailable("The backend 'tensorrt' runs on CUDA only; use another, or --device cuda.")
            from detector.models.tensorrt_engine import TensorRt

            return TensorRt(content, entry, device=device)
        from detector.models.ultralytics_torch import UltralyticsTorch

        return UltralyticsTorch(content, entry, device=device, threads=threads, half=device != "cpu")
    if device != "cpu":
        raise BackendUnavailable(f"The backend '{name}' runs on the CPU only; use the backend 'torch' for {device}.")
    if name == "onnxruntime":
        from detector.models.onnx_runtime import OnnxRuntime

        return OnnxRuntime(content, entry, threads=threads)
    from detector.models.openvino_runtime import OpenVino

    return OpenVino(content, entry, threads=threads, bfloat16=name == "openvino-bf16", at_need=at_need)


def create_cuda_backend(create: Callable[[BackendName], Backend]) -> Backend:
    """TensorRT where it is installed and can use the model, else torch; a warning says why it is not TensorRT."""
    if importlib.util.find_spec("tensorrt") is not None:
        try:
            return create("tensorrt")
        except (OrdnanceError, RuntimeError) as error:
            log.warning("TensorRT is not used, torch runs the model instead: %s", error)
    return create("torch")


def resolve_device(device: str) -> str:
    """`cpu` or `cuda:N` for what was asked: `auto`, `cpu`, `cuda` or `cuda:N`.

    `auto` is the first CUDA device if torch, ultralytics and a GPU are there. A CUDA device that is asked for
    by name and is not there raises BackendUnavailable.
    """
    if device in ("auto", "cpu"):
        return "cuda:0" if device == "auto" and _cuda_devices() > 0 else "cpu"
    asked = re.fullmatch(r"cuda(?::(\d+))?", device)
    if asked is None:
        raise BadOption(f"'{device}' is not a device; use auto, cpu, cuda or cuda:N.")
    if missing := missing_torch_packages():
        raise BackendUnavailable(
            f"The device '{device}' needs {', '.join(missing)}, not installed here; "
            f"install with: {CUDA_HINT}, or use --device cpu."
        )
    position, present = int(asked[1] or 0), _cuda_devices()
    if position >= present:
        raise BackendUnavailable(
            f"The device '{device}' is not there: torch counts {present} of them; check `nvidia-smi` and that "
            f"torch has CUDA ({CUDA_HINT}), or use --device cpu."
        )
    return f"cuda:{position}"


def missing_torch_packages() -> list[str]:
    """Which packages of the torch backend are not installed."""
    return [name for name in TORCH_PACKAGES if importlib.util.find_spec(name) is None]


def available_threads() -> int:
    """The number of processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def not_loaded(backend: BackendName, library: str, error: ImportError | OSError) -> BackendUnavailable:
    """The error for a backend whose `library` cannot be imported: it is not there, or it is and does not work."""
    install = CUDA_HINT if backend in ("torch", "tensorrt") else f"pip install {library}"
    if isinstance(error, ModuleNotFoundError) and error.name == library:
        return BackendUnavailable(f"The backend '{backend}' is not installed; install it with: {install}.")
    reason = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
    return BackendUnavailable(
        f"The backend '{backend}' is installed but cannot be loaded ({reason.rstrip('.')}); repair that, or use "
        "another --backend."
    )


def not_usable(backend: str, error: Exception | None, reason: str = "") -> ModelError:
    """The error for weights that `backend` cannot use; the library's own first line is the reason by default."""
    lines = [line.strip() for line in str(error or "").splitlines() if line.strip()]
    said = reason or (lines[-1] if lines else type(error).__name__)
    return ModelError(
        f"{backend} cannot use the weights file: {said.rstrip('.')}; export it again with `ordnance export`."
    )


def check_output_shape(backend: str, shape: Sequence[int | None], entry: ManifestEntry) -> None:
    """Raises ModelError unless this shape, with None for a free size, is that of the head `entry` names."""
    values = 4 + len(entry.classes)
    if entry.head == "one-to-one":
        fits, expected = len(shape) == 3 and shape[2] == 6, "(n, k, 6)"
    else:
        fits, expected = len(shape) == 3 and shape[1] == values, f"(n, {values}, anchors)"
    if not fits:
        actual = shown_shape(shape)
        raise not_usable(backend, None, f"its output is {actual}, but the manifest's {entry.head} head is {expected}")


def shown_shape(shape: Sequence[int | None]) -> str:
    """A shape in words, with ? for a free size."""
    return f"({', '.join('?' if size is None else str(size) for size in shape)})"


def _cuda_devices() -> int:
    if missing_torch_packages() or not _has_nvidia_driver():
        return 0
    import torch

    return int(torch.cuda.device_count()) if torch.cuda.is_available() else 0


def _has_nvidia_driver() -> bool:
    """Whether the driver's library is there; much cheaper than importing torch to learn that it is not."""
    try:
        ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return False
    return True
