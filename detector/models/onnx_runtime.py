"""The ONNX Runtime backend, on the CPU."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detector.models.backend import MOST_AT_ONCE, BackendName, check_output_shape, not_loaded, not_usable, shown_shape
from detector.models.manifest import ManifestEntry
from detector.models.offline import import_onnxruntime

LOG_FATAL = 4
"""Its own messages stay off stderr; what goes wrong is raised."""


class OnnxRuntime:
    """Runs the ONNX file as it is, in float32; each picture in a run of its own, several at a time.

    Measured with ordnance-n at 512 px on an AMD EPYC with two threads (ONNX Runtime 1.32): 43 ms of processor time a
    picture, and 44 to 51 where both threads share each picture.
    """

    name: BackendName = "onnxruntime"
    device = "cpu"

    def __init__(self, content: bytes, entry: ManifestEntry, *, threads: int) -> None:
        try:
            onnxruntime = import_onnxruntime()
        except ImportError as error:
            raise not_loaded("onnxruntime", "onnxruntime", error) from error
        options = onnxruntime.SessionOptions()
        at_once = min(threads, MOST_AT_ONCE)
        options.intra_op_num_threads = max(1, threads // at_once)
        options.inter_op_num_threads = 1
        options.log_severity_level = LOG_FATAL
        # Waiting threads must not spin: the decoder wants those cores.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        except Exception as error:
            raise not_usable("ONNX Runtime", error) from error
        _check_input(self._session.get_inputs())
        check_output_shape("ONNX Runtime", _sizes(self._session.get_outputs()[0]), entry)
        self._input = self._session.get_inputs()[0].name
        self._workers = ThreadPoolExecutor(at_once, "onnxruntime")
        self._planes = threading.local()

    def infer(self, batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        return np.concatenate(list(self._workers.map(self._infer_one, batch)))

    def _infer_one(self, picture: NDArray[np.uint8]) -> NDArray[np.float32]:
        planes = self._planes_of(*picture.shape[:2])
        np.divide(picture.transpose(2, 0, 1)[None], np.float32(255), out=planes)
        output: NDArray[np.float32] = self._session.run(None, {self._input: planes})[0]
        return output

    def _planes_of(self, height: int, width: int) -> NDArray[np.float32]:
        """This thread's memory for the network's input, float32 (1, 3, height, width).

        Fresh memory for each picture costs more than filling it: 1.0 instead of 0.4 ms of processor time, where
        keep_large_blocks_apart has every block come from the system.
        """
        kept: NDArray[np.float32] | None = getattr(self._planes, "kept", None)
        if kept is None or kept.shape[2:] != (height, width):
            kept = self._planes.kept = np.empty((1, 3, height, width), np.float32)
        return kept


def _sizes(value: Any) -> list[int | None]:
    """The shape of an input or output, with None for a free size."""
    return [size if isinstance(size, int) else None for size in value.shape]


def _check_input(inputs: Sequence[Any]) -> None:
    """Raises ModelError unless there is one input, and it takes single pictures of any sides, float32."""
    sizes = _sizes(inputs[0])
    takes_any = len(sizes) == 4 and sizes[0] in (1, None) and sizes[2:] == [None, None]
    if len(inputs) > 1 or inputs[0].type != "tensor(float)" or not takes_any:
        actual = " and ".join(f"{each.type} {shown_shape(_sizes(each))}" for each in inputs)
        reason = f"its input is {actual}, but tensor(float) (n, 3, height, width) with free sizes is needed"
        raise not_usable("ONNX Runtime", None, reason)
