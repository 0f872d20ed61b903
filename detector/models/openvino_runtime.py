"""The OpenVINO backend, on the CPU."""

from __future__ import annotations

import queue
import threading
from collections import deque
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detector.errors import BackendUnavailable
from detector.models.backend import MOST_AT_ONCE, BackendName, check_output_shape, not_loaded, not_usable
from detector.models.letterbox import trimmed_sides
from detector.models.manifest import ManifestEntry
from detector.models.offline import import_openvino

SHAPES_OF_THEIR_OWN = 3
"""A clip has one shape; clips side by side may have several."""

ANY_SHAPE = (-1, -1)
"""As OpenVINO writes sides that a network is not compiled for."""


class OpenVino:
    """Compiles the ONNX file for this processor, in float32, or in bfloat16 where that is asked for.

    Each picture is a request of its own and goes to one of several streams. Measured with ordnance-n at 512 px on an
    AMD EPYC with two threads (OpenVINO 2026.4): two streams of one thread each take 41 ms of processor time a square
    picture, one stream of two threads 45 to 46; a process with batches of eight needs 359 MB, so 202 MB.

    The network is compiled for the first SHAPES_OF_THEIR_OWN shapes of pictures, 16:9 among them, each by itself (0.4 s
    and 50 MB each), and once for pictures of any other shape, which take a tenth more time. `at_need` leaves the first
    one too until a picture comes: for a network that may have nothing to do, in a process where another one has run.
    """

    name: BackendName
    device = "cpu"

    def __init__(
        self, content: bytes, entry: ManifestEntry, *, threads: int, bfloat16: bool = False, at_need: bool = False
    ) -> None:
        self.name = "openvino-bf16" if bfloat16 else "openvino"
        try:
            self._openvino = import_openvino()
        except ImportError as error:
            raise not_loaded(self.name, "openvino", error) from error
        self._core = self._openvino.Core()
        if bfloat16 and "BF16" not in self._core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
            raise BackendUnavailable(
                "The backend 'openvino-bf16' needs a processor that computes in bfloat16 (AVX512-BF16 or AMX), which "
                "this one does not; use the backend 'openvino'."
            )
        self._precision = "bf16" if bfloat16 else "f32"
        self._content = content
        self._entry = entry
        self._threads = threads
        self._at_once = min(threads, MOST_AT_ONCE)
        self._compiled: dict[tuple[int, int], queue.SimpleQueue[Any]] = {}
        self._lock = threading.Lock()
        first_shape = trimmed_sides(entry.input_size)[0], entry.input_size
        if at_need:
            self._read(*first_shape)
            return
        # Two threads that hand over their first arrays at once lock each other out for ever (pybind11's npy_api and the
        # interpreter's lock, OpenVINO 2026.4.1): the first one is handed over here.
        self.infer(np.zeros((1, *first_shape, 3), np.uint8))

    def _requests(self, height: int, width: int) -> queue.SimpleQueue[Any]:
        """The idle requests of the network that is compiled for pictures of this shape."""
        with self._lock:
            shape = height, width
            if shape not in self._compiled:
                is_full = len(self._compiled.keys() - {ANY_SHAPE}) >= SHAPES_OF_THEIR_OWN
                shape = ANY_SHAPE if is_full else shape
            if shape not in self._compiled:
                self._compiled[shape] = self._compile(*shape)
            return self._compiled[shape]

    def _read(self, height: int, width: int) -> Any:
        """The network for pictures of this shape; raises ModelError if it cannot be used."""
        try:
            network = self._core.read_model(self._content)
            network.reshape([1, 3, height, width])
            shape = network.output(0).partial_shape
            sizes = list(shape) if shape.rank.is_static else []
            each_picture = [each.get_length() if each.is_static else None for each in sizes[1:]]
            check_output_shape("OpenVINO", [None, *each_picture], self._entry)
            return _fed_with_bytes(self._openvino, network)
        except RuntimeError as error:
            raise not_usable("OpenVINO", error) from error

    def _compile(self, height: int, width: int) -> queue.SimpleQueue[Any]:
        network = self._read(height, width)
        try:
            compiled = self._core.compile_model(
                network,
                "CPU",
                {
                    "INFERENCE_PRECISION_HINT": self._precision,
                    "PERFORMANCE_HINT": "THROUGHPUT",
                    "NUM_STREAMS": str(self._at_once),
                    "INFERENCE_NUM_THREADS": str(self._threads),
                    # Several processes with a thread each would all be tied to the same processor.
                    "ENABLE_CPU_PINNING": False,
                },
            )
        except RuntimeError as error:
            raise not_usable("OpenVINO", error) from error
        idle: queue.SimpleQueue[Any] = queue.SimpleQueue()
        for _ in range(self._at_once):
            idle.put(compiled.create_infer_request())
        return idle

    def infer(self, batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        pictures = np.ascontiguousarray(batch)
        idle = self._requests(*pictures.shape[1:3])
        running: deque[Any] = deque()
        outputs: list[NDArray[np.float32]] = []
        try:
            for position in range(len(pictures)):
                while (request := _idle_request(idle, wait=not running)) is None:
                    outputs.append(_output(running.popleft(), idle))
                running.append(request)
                request.start_async([pictures[position : position + 1]], share_inputs=True)
            while running:
                outputs.append(_output(running.popleft(), idle))
        finally:
            for request in running:
                request.wait()
                idle.put(request)
        return np.concatenate(outputs)


def _idle_request(idle: queue.SimpleQueue[Any], *, wait: bool) -> Any:
    """A request that is free; None where there is none and the caller would rather not wait for one."""
    try:
        return idle.get(block=wait)
    except queue.Empty:
        return None


def _output(request: Any, idle: queue.SimpleQueue[Any]) -> NDArray[np.float32]:
    try:
        request.wait()
        return np.array(request.get_output_tensor(0).data, np.float32)
    finally:
        idle.put(request)


def _fed_with_bytes(openvino: Any, network: Any) -> Any:
    """`network` with the way from uint8 (n, height, width, 3) to its own input compiled in."""
    steps = openvino.preprocess.PrePostProcessor(network)
    steps.input().tensor().set_element_type(openvino.Type.u8).set_layout(openvino.Layout("NHWC"))
    steps.input().model().set_layout(openvino.Layout("NCHW"))
    steps.input().preprocess().convert_element_type(openvino.Type.f32).scale(255.0)
    return steps.build()
