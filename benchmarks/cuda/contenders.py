"""What is measured: networks in several forms, and ways to get a clip's pictures in front of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from detector.models.letterbox import PADDING_GREY, Letterbox, letterbox
from detector.models.manifest import find_weights, read_weights
from detector.models.nms import non_maximum_suppression
from detector.video import open_video


class Network(Protocol):
    """A backend that also takes pictures which lie on the device already."""

    def infer(self, batch: NDArray[np.uint8]) -> NDArray[np.float32]: ...

    def infer_on_device(self, pixels: Any) -> Any: ...


@dataclass(frozen=True, slots=True)
class Form:
    """One form of the network; `create` loads it, and raises where it cannot run here."""

    name: str
    precision: str
    create: Callable[[], Network]


def forms(model: str, device: str) -> list[Form]:
    """torch as it is, torch in recorded graphs, and TensorRT, each in float32 and float16."""
    entry, path = find_weights(model)
    content = read_weights(entry, path)

    def torch(half: bool, graphs: bool) -> Callable[[], Network]:
        from detector.models.ultralytics_torch import UltralyticsTorch

        return lambda: UltralyticsTorch(content, entry, device=device, threads=1, half=half, graphs=graphs)

    def tensorrt(half: bool) -> Callable[[], Network]:
        from detector.models.tensorrt_engine import TensorRt

        return lambda: TensorRt(content, entry, device=device, half=half)

    found = []
    for precision, half in (("fp32", False), ("fp16", True)):
        found += [
            Form("torch", precision, torch(half, graphs=False)),
            Form("torch, CUDA graphs", precision, torch(half, graphs=True)),
            Form("TensorRT", precision, tensorrt(half)),
        ]
    return found


@dataclass(frozen=True, slots=True, eq=False)
class Decoding:
    """A way to decode: `batches` yields pictures, `look` lets a network see them and makes boxes of its answer."""

    name: str
    batches: Callable[[Path, int], Iterator[Any]]
    look: Callable[[Network, Any], int]


def decodings(device: str, input_size: int, floor: float, one_to_one: bool) -> list[Decoding]:
    """PyAV into host memory, as a scan does it, and NVDEC into the device's memory."""

    def boxes(answer: NDArray[np.float32]) -> int:
        if one_to_one:
            return int((answer[..., 4] >= floor).sum())
        return sum(len(non_maximum_suppression(output, floor=floor)) for output in answer)

    def in_host(network: Network, images: Sequence[NDArray[np.uint8]]) -> int:
        squares, _ = letterbox(images, input_size)
        return boxes(network.infer(squares))

    def on_device(network: Network, pixels: Any) -> int:
        return boxes(network.infer_on_device(letterbox_on_device(pixels, input_size)).cpu().numpy())

    def nvdec(clip: Path, batch: int) -> Iterator[Any]:
        from detector.video.nvdec import device_pictures

        with open_video(clip) as video:
            for each in device_pictures(video.probe, device=device, batch=batch):
                yield each.pixels

    return [Decoding("PyAV, host memory", _pyav, in_host), Decoding("NVDEC, device memory", nvdec, on_device)]


def letterbox_on_device(pixels: Any, size: int) -> Any:
    """As `letterbox`, for a uint8 tensor (n, height, width, 3) wherever it lies; scaled bilinearly, not smoothed."""
    import torch

    count, height, width, _ = pixels.shape
    placement = Letterbox.fit(width, height, size)
    across, down = placement.scaled_size
    planes = pixels.permute(0, 3, 1, 2).to(torch.float32)
    scaled = torch.nn.functional.interpolate(planes, (down, across), mode="bilinear", align_corners=False)
    squares = torch.full((count, size, size, 3), PADDING_GREY, dtype=torch.uint8, device=pixels.device)
    inside = squares[:, placement.top : placement.top + down, placement.left : placement.left + across]
    inside.copy_(scaled.round_().clamp_(0, 255).permute(0, 2, 3, 1))
    return squares


def _pyav(clip: Path, batch: int) -> Iterator[list[NDArray[np.uint8]]]:
    with open_video(clip) as video:
        waiting: list[NDArray[np.uint8]] = []
        for frame in video.frames():
            waiting.append(frame.image)
            if len(waiting) == batch:
                yield waiting
                waiting = []
        if waiting:
            yield waiting
