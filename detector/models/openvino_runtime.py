"""The OpenVINO backend, on the CPU."""

from __future__ import annotations

import queue
from collections import deque
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detector.errors import BackendUnavailable
from detector.models.backend import MOST_AT_ONCE, BackendName, check_output_shape, not_usable
from detector.models.manifest import ManifestEntry
from detector.models.offline import import_openvino


class OpenVino:
    """Compiles the ONNX file for this processor, in float32 even where the processor offers less precise types.

    Each picture is a request of its own and goes to one of several streams. Measured with ordnance-n at 512 px on an
    AMD EPYC with two threads (OpenVINO 2026.4): two streams of one thread each take 41 ms of processor time a picture,
    one stream of two threads 45 to 46; a process with batches of eight needs 359 MB, so 202 MB.
    """

    name: BackendName = "openvino"
    device = "cpu"

    def __init__(self, content: bytes, entry: ManifestEntry, *, threads: int) -> None:
        try:
            openvino = import_openvino()
        except ImportError as error:
            raise BackendUnavailable(
                "The backend 'openvino' is not installed; install it with: pip install openvino."
            ) from error
        try:
            core = openvino.Core()
            network = core.read_model(content)
            size = entry.input_size
            network.reshape([1, 3, size, size])
            shape = network.output(0).partial_shape
            sizes = list(shape) if shape.rank.is_static else []
            each_picture = [each.get_length() if each.is_static else None for each in sizes[1:]]
            check_output_shape("OpenVINO", [None, *each_picture], entry)
            compiled = core.compile_model(
                _fed_with_bytes(openvino, network),
                "CPU",
                {
                    "INFERENCE_PRECISION_HINT": "f32",
                    "PERFORMANCE_HINT": "THROUGHPUT",
                    "NUM_STREAMS": str(min(threads, MOST_AT_ONCE)),
                    "INFERENCE_NUM_THREADS": str(threads),
                    # Several processes with a thread each would all be tied to the same processor.
                    "ENABLE_CPU_PINNING": False,
                },
            )
        except RuntimeError as error:
            raise not_usable("OpenVINO", error) from error
        self._idle: queue.SimpleQueue[Any] = queue.SimpleQueue()
        for _ in range(min(threads, MOST_AT_ONCE)):
            self._idle.put(compiled.create_infer_request())

    def infer(self, batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        pictures = np.ascontiguousarray(batch)
        running: deque[Any] = deque()
        outputs: list[NDArray[np.float32]] = []
        try:
            for position in range(len(pictures)):
                while (request := self._idle_request(wait=not running)) is None:
                    outputs.append(self._output(running.popleft()))
                running.append(request)
                request.start_async([pictures[position : position + 1]], share_inputs=True)
            while running:
                outputs.append(self._output(running.popleft()))
        finally:
            for request in running:
                request.wait()
                self._idle.put(request)
        return np.concatenate(outputs)

    def _idle_request(self, *, wait: bool) -> Any:
        """A request that is free; None where there is none and the caller would rather not wait for one."""
        try:
            return self._idle.get(block=wait)
        except queue.Empty:
            return None

    def _output(self, request: Any) -> NDArray[np.float32]:
        try:
            request.wait()
            return np.array(request.get_output_tensor(0).data, np.float32)
        finally:
            self._idle.put(request)


def _fed_with_bytes(openvino: Any, network: Any) -> Any:
    """`network` with the way from uint8 (n, size, size, 3) to its own input compiled in."""
    steps = openvino.preprocess.PrePostProcessor(network)
    steps.input().tensor().set_element_type(openvino.Type.u8).set_layout(openvino.Layout("NHWC"))
    steps.input().model().set_layout(openvino.Layout("NCHW"))
    steps.input().preprocess().convert_element_type(openvino.Type.f32).scale(255.0)
    return steps.build()
