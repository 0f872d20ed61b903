"""The OpenVINO backend, on the CPU."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detector.errors import BackendUnavailable
from detector.models.backend import BackendName, check_output_shape, not_usable
from detector.models.manifest import ManifestEntry
from detector.models.offline import import_openvino


class OpenVino:
    """Compiles the ONNX file for this processor, in float32 even where the processor offers less precise types."""

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
            network.reshape([openvino.Dimension(1, -1), 3, size, size])
            shape = network.output(0).partial_shape
            sizes = list(shape) if shape.rank.is_static else []
            check_output_shape("OpenVINO", [each.get_length() if each.is_static else None for each in sizes], entry)
            compiled = core.compile_model(
                _fed_with_bytes(openvino, network),
                "CPU",
                {
                    "INFERENCE_PRECISION_HINT": "f32",
                    "PERFORMANCE_HINT": "LATENCY",
                    "INFERENCE_NUM_THREADS": str(threads),
                },
            )
        except RuntimeError as error:
            raise not_usable("OpenVINO", error) from error
        self._request = compiled.create_infer_request()
        self._lock = threading.Lock()

    def infer(self, batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        with self._lock:
            outputs = self._request.infer([batch], share_inputs=True)
            output: NDArray[np.float32] = np.array(outputs[0], np.float32)
        return output


def _fed_with_bytes(openvino: Any, network: Any) -> Any:
    """`network` with the way from uint8 (n, size, size, 3) to its own input compiled in."""
    steps = openvino.preprocess.PrePostProcessor(network)
    steps.input().tensor().set_element_type(openvino.Type.u8).set_layout(openvino.Layout("NHWC"))
    steps.input().model().set_layout(openvino.Layout("NCHW"))
    steps.input().preprocess().convert_element_type(openvino.Type.f32).scale(255.0)
    return steps.build()
