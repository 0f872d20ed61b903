"""The torch backend, on the CPU or a CUDA device: ultralytics' network with the weights of the ONNX file.

It reads the same file as the other backends, with the same hash. No checkpoint is unpickled, so none can run code.
"""

from __future__ import annotations

import signal
import threading
from contextlib import AbstractContextManager
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detector.errors import BackendUnavailable
from detector.models.backend import (
    CUDA_HINT,
    BackendName,
    check_output_shape,
    missing_torch_packages,
    not_loaded,
    not_usable,
)
from detector.models.fixed_batches import FixedBatches
from detector.models.manifest import Head, ManifestEntry
from detector.models.offline import import_ultralytics_tasks
from detector.signals import held_back

SCORES: MappingProxyType[Head, str] = MappingProxyType({"one-to-many": "cv3", "one-to-one": "one2one_cv3"})
"""ultralytics' names of the layers that give a head's scores (8.4.190, nn/modules/head.py)."""


class UltralyticsTorch:
    """On the CPU float32. On CUDA recorded graphs of fixed batch sizes, in float32 without TF32, so that it agrees
    with the others, or with `half` in float16; `graphs` False runs the network picture by picture anew.
    """

    name: BackendName = "torch"

    def __init__(
        self,
        content: bytes,
        entry: ManifestEntry,
        *,
        device: str,
        threads: int,
        half: bool = False,
        graphs: bool = True,
    ) -> None:
        if missing := missing_torch_packages():
            raise BackendUnavailable(
                f"The backend 'torch' needs {', '.join(missing)}, not installed here; install with: {CUDA_HINT}."
            )
        try:
            with held_back(signal.SIGINT):
                import torch
        except (ImportError, OSError) as error:
            raise not_loaded("torch", "torch", error) from error
        self.device = device
        self._torch = torch
        self._type = torch.float16 if half else torch.float32
        if device == "cpu":
            torch.set_num_threads(threads)
        self._network = folded_network(content, entry).requires_grad_(False).to(device, self._type).eval()
        self._lock = threading.Lock()
        self._batches: FixedBatches | None = None
        if device != "cpu":
            self._batches = FixedBatches(
                self._compute,
                device=device,
                graphs=graphs,
                around=self._cudnn,
                kept=self._grid,
            )

    @property
    def network(self) -> Any:
        """The torch module with the weights in it, for tools that run such a module themselves."""
        return self._network

    def infer(self, batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        if self._batches is not None:
            return self._batches.run(batch)
        with self._lock, self._torch.inference_mode():
            output: NDArray[np.float32] = self._compute(self._torch.from_numpy(np.ascontiguousarray(batch))).numpy()
        return output

    def infer_on_device(self, pixels: Any) -> Any:
        """As `infer`, for a uint8 tensor on the CUDA device; the float32 tensor that comes back stays there."""
        if self._batches is None:
            raise BackendUnavailable("Tensors on a device are taken by the backend 'torch' on CUDA only.")
        return self._batches.run_on_device(pixels)

    def _compute(self, pixels: Any) -> Any:
        planes = pixels.permute(0, 3, 1, 2).to(self._type).contiguous() / 255
        return self._network(planes)[0].float()

    def _grid(self) -> object:
        """The head keeps one grid of anchors and makes another for another batch size (8.4.190, nn/modules/head.py)."""
        head = self._network.model[-1]
        return head.anchors, head.strides

    def _cudnn(self) -> AbstractContextManager[None]:
        """cuDNN takes TF32 (10 bits of mantissa) for float32 convolutions unless told not to.

        In float16 it may try which algorithm is the fastest: it does so in the runs before a graph is recorded.
        """
        is_half = self._type == self._torch.float16
        flags: AbstractContextManager[None] = self._torch.backends.cudnn.flags(
            enabled=True, benchmark=is_half, allow_tf32=False
        )
        return flags


def folded_network(content: bytes, entry: ManifestEntry) -> Any:
    """The torch module of an ONNX file, BatchNorm folded into its convolutions, with the file's weights in it.

    Raises ModelError where the file is not what `entry` says.
    """
    graph = _graph_of(content)
    check_output_shape("torch", _output_shape(graph), entry)
    network = _empty_folded_network(entry, graph)
    network.load_state_dict(_weights_of(graph, network.state_dict()))
    return network


def empty_network(entry: ManifestEntry, width: int) -> Any:
    """The architecture of `entry` as it is trained, with its classes, the layers before the scores being `width` wide.

    ultralytics derives that width from the number of classes, and fine-tuning keeps that of the starting weights
    (8.4.190, nn/tasks.py, BaseModel.load): a model of ten classes that began as COCO's is 80 wide and not 64.
    """
    import torch

    tasks = import_ultralytics_tasks()
    try:
        network = tasks.DetectionModel(f"{entry.architecture}.yaml", nc=width, verbose=False)
    except FileNotFoundError as error:
        raise not_usable("torch", error, f"ultralytics knows no network '{entry.architecture}'") from error
    head = network.model[-1]
    head.nc = len(entry.classes)
    head.no = head.nc + 4 * head.reg_max
    for branch in SCORES.values():
        for level in getattr(head, branch, ()):
            level[-1] = torch.nn.Conv2d(level[-1].in_channels, head.nc, 1)
    return network


def _empty_folded_network(entry: ManifestEntry, graph: Any) -> Any:
    """The network of `entry` with the head of the file alone and BatchNorm folded in, as it is when exported."""
    last = f".{SCORES[entry.head]}.0.2.weight"
    last_weights = (tensor for tensor in graph.initializer if tensor.name.endswith(last))
    width = next((tensor.dims[1] for tensor in last_weights if len(tensor.dims) == 4), len(entry.classes))
    network = empty_network(entry, width)
    network.end2end = entry.head == "one-to-one"
    network.fuse(verbose=False)
    return network


def _graph_of(content: bytes) -> Any:
    import onnx

    try:
        return onnx.load_model_from_string(content).graph
    except Exception as error:
        raise not_usable("torch", error, "it is not an ONNX file") from error


def _output_shape(graph: Any) -> list[int | None]:
    sizes = graph.output[0].type.tensor_type.shape.dim if graph.output else ()
    return [size.dim_value if size.HasField("dim_value") else None for size in sizes]


def _weights_of(graph: Any, wanted: dict[str, Any]) -> dict[str, Any]:
    """The ONNX file's initialisers by the names of the torch network; their shapes must be those of `wanted`."""
    import onnx
    import torch

    arrays = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer if tensor.name in wanted}
    for name, weight in wanted.items():
        if name not in arrays or arrays[name].shape != tuple(weight.shape):
            raise not_usable("torch", None, f"its weights do not fit the manifest's architecture, first at {name}")
    return {name: torch.from_numpy(array.copy()) for name, array in arrays.items()}
