"""The TensorRT backend: engines built from the ONNX file, and kept for the next time.

Written against TensorRT 10 and 11, whose networks are strongly typed: float16 has to be in the file that is parsed.
"""

from __future__ import annotations

import hashlib
import logging
import os
import signal
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detector.errors import BackendUnavailable
from detector.models.backend import BackendName, check_output_shape, not_loaded, not_usable
from detector.models.cache import alone, cache_folder
from detector.models.fixed_batches import BATCH_SIZES, FixedBatches
from detector.models.half_precision import to_float16
from detector.models.letterbox import trimmed_sides
from detector.models.manifest import ManifestEntry
from detector.signals import held_back

BATCHES = (1, 8, BATCH_SIZES[-1])
"""Least, usual and largest number of pictures of a batch."""
WORKSPACE_BYTES = 2 * 1024**3
"""Memory that the builder may try algorithms with."""

log = logging.getLogger(__name__)


class TensorRt:
    """Runs an engine on a stream of its own; float16 unless `half` is False."""

    name: BackendName = "tensorrt"

    def __init__(self, content: bytes, entry: ManifestEntry, *, device: str, half: bool = True) -> None:
        try:
            with held_back(signal.SIGINT):
                import tensorrt
                import torch
        except (ImportError, OSError) as error:
            raise not_loaded("tensorrt", "tensorrt", error) from error
        self.device = device
        self._torch = torch
        self._tensorrt = tensorrt
        logger = _logger(tensorrt)
        self._runtime = tensorrt.Runtime(logger)
        with torch.cuda.device(device):
            name = f"{entry.name}-{_fingerprint(tensorrt, entry, device, half)[:32]}.engine"
            self._engine = load_or_build(
                cache_folder() / "engines" / name,
                self._runtime.deserialize_cuda_engine,
                lambda: _build(tensorrt, logger, to_float16(content) if half else content, entry, half),
            )
            self._context = self._engine.create_execution_context()
        if self._context is None:
            raise BackendUnavailable(f"TensorRT has no memory on {device} to run '{entry.name}'.")
        self._input, self._output = self._names()
        shape = tuple(self._engine.get_tensor_shape(self._output))
        check_output_shape("TensorRT", [None if size < 0 else size for size in shape], entry)
        self._batches = FixedBatches(self._compute, device=device, graphs=False)

    def infer(self, batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        return self._batches.run(batch)

    def infer_on_device(self, pixels: Any) -> Any:
        """As `infer`, for a uint8 tensor on the CUDA device; the float32 tensor that comes back stays there."""
        return self._batches.run_on_device(pixels)

    def _names(self) -> tuple[str, str]:
        engine = self._engine
        names = [engine.get_tensor_name(position) for position in range(engine.num_io_tensors)]
        is_input = [engine.get_tensor_mode(name) == self._tensorrt.TensorIOMode.INPUT for name in names]
        inputs = [name for name, goes_in in zip(names, is_input, strict=True) if goes_in]
        outputs = [name for name, goes_in in zip(names, is_input, strict=True) if not goes_in]
        if len(inputs) != 1 or not outputs:
            raise not_usable("TensorRT", None, f"its inputs are {inputs} and its outputs {outputs}")
        return inputs[0], outputs[0]

    def _compute(self, pixels: Any) -> Any:
        torch, context = self._torch, self._context
        planes = pixels.permute(0, 3, 1, 2).to(torch.float32).div_(255).contiguous()
        if not context.set_input_shape(self._input, tuple(planes.shape)):
            raise BackendUnavailable(f"TensorRT takes no batch of {tuple(planes.shape)}.")
        shape = tuple(context.get_tensor_shape(self._output))
        output = torch.empty(shape, dtype=torch.float32, device=planes.device)
        context.set_tensor_address(self._input, planes.data_ptr())
        context.set_tensor_address(self._output, output.data_ptr())
        if not context.execute_async_v3(torch.cuda.current_stream().cuda_stream):
            raise BackendUnavailable(f"TensorRT could not run on {self.device}.")
        return output


def load_or_build(path: Path, load: Callable[[bytes], Any], build: Callable[[], bytes]) -> Any:
    """The engine in the file at `path`; where there is none that is whole and that `load` takes, a new one.

    `load` returns None for what it cannot use, `build` the serialised engine, which is then kept at `path`. Of several
    processes one builds while the others wait; where the folder cannot be written to, each builds its own.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with alone(path.with_suffix(".lock")):
            return _load(path, load) or _build_and_keep(path, load, build)
    except OSError as error:
        log.warning("The TensorRT engine cannot be kept in %s (%s).", path.parent, error.strerror)
        return _loaded(load, build())


def _load(path: Path, load: Callable[[bytes], Any]) -> Any:
    try:
        kept = path.read_bytes()
    except OSError:
        return None
    digest, plan = kept[:32], kept[32:]
    engine = load(plan) if hashlib.sha256(plan).digest() == digest else None
    if engine is None:
        log.warning("The TensorRT engine %s is broken or of another version; it is built anew.", path.name)
    return engine


def _build_and_keep(path: Path, load: Callable[[bytes], Any], build: Callable[[], bytes]) -> Any:
    plan = build()
    engine = _loaded(load, plan)
    temporary = ""
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".engine-")
        with os.fdopen(handle, "wb") as file:
            file.write(hashlib.sha256(plan).digest())
            file.write(plan)
        os.replace(temporary, path)
    except OSError as error:
        log.warning("The TensorRT engine cannot be kept in %s (%s).", path.parent, error.strerror)
        with suppress(OSError):
            os.unlink(temporary)
    return engine


def _loaded(load: Callable[[bytes], Any], plan: bytes) -> Any:
    engine = load(plan)
    if engine is None:
        raise BackendUnavailable("TensorRT cannot load the engine that it has built.")
    return engine


def _build(tensorrt: Any, logger: Any, content: bytes, entry: ManifestEntry, half: bool) -> bytes:
    """A serialised engine. Raises ModelError for a file that TensorRT cannot read, BackendUnavailable otherwise."""
    log.warning(
        "TensorRT builds an engine for '%s'; this takes a minute or more, and is kept for the next time.", entry.name
    )
    builder = tensorrt.Builder(logger)
    network = builder.create_network(1 << int(tensorrt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = tensorrt.OnnxParser(network, logger)
    if not parser.parse(content):
        reasons = [parser.get_error(position).desc() for position in range(parser.num_errors)]
        raise not_usable("TensorRT", None, reasons[0] if reasons else "it cannot be parsed")
    profile = builder.create_optimization_profile()
    size, shorter = entry.input_size, trimmed_sides(entry.input_size)[0]
    sides = ((shorter, shorter), (shorter, size), (size, size))
    shapes = ((count, 3, *each) for count, each in zip(BATCHES, sides, strict=True))
    profile.set_shape(network.get_input(0).name, *shapes)
    config = builder.create_builder_config()
    config.add_optimization_profile(profile)
    config.set_memory_pool_limit(tensorrt.MemoryPoolType.WORKSPACE, WORKSPACE_BYTES)
    if not half:
        config.clear_flag(tensorrt.BuilderFlag.TF32)
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise BackendUnavailable(f"TensorRT could not build an engine for '{entry.name}'; its log says why.")
    return bytes(plan)


def _fingerprint(tensorrt: Any, entry: ManifestEntry, device: str, half: bool) -> str:
    """Of all that an engine depends on: an engine of one GPU, driver or version is of no use to another."""
    import torch

    facts = torch.cuda.get_device_properties(device)
    parts = (
        facts.name,
        f"{facts.major}.{facts.minor}",
        _driver_version(),
        str(tensorrt.__version__),
        entry.sha256,
        f"{trimmed_sides(entry.input_size)}",
        "fp16" if half else "fp32",
        "-".join(map(str, BATCHES)),
    )
    return hashlib.sha256("|".join(parts).encode()).hexdigest()


def _driver_version() -> str:
    """As nvidia-smi tells it; empty where NVML does not answer."""
    try:
        import pynvml

        pynvml.nvmlInit()
        version = pynvml.nvmlSystemGetDriverVersion()
    except Exception:
        return ""
    return version.decode() if isinstance(version, bytes) else str(version)


def _logger(tensorrt: Any) -> Any:
    """TensorRT's messages as those of this module; what it calls information is debugging here."""
    severity = tensorrt.ILogger.Severity
    levels = {
        severity.INTERNAL_ERROR: logging.ERROR,
        severity.ERROR: logging.ERROR,
        severity.WARNING: logging.INFO,
        severity.INFO: logging.DEBUG,
        severity.VERBOSE: logging.DEBUG,
    }

    class Log(tensorrt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            tensorrt.ILogger.__init__(self)

        def log(self, level: Any, message: str) -> None:
            log.log(levels.get(level, logging.DEBUG), "TensorRT: %s", message)

    return Log()
