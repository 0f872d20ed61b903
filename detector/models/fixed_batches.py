"""Batches of a few fixed sizes on a CUDA device, for networks whose work is recorded once and played again."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

BATCH_SIZES = (1, 2, 4, 8, 16, 32)
"""A graph is recorded for each of these when it is first needed; other numbers of pictures fill up the next one."""
WARM_UP_RUNS = 3
"""Runs before recording, in which cuDNN chooses and memory is taken (as PyTorch's notes on CUDA graphs ask for)."""


def split(count: int, sizes: tuple[int, ...] = BATCH_SIZES) -> Iterator[tuple[int, int, int]]:
    """`count` pictures as (begin, end, size of the batch that holds them): the largest sizes first, the rest filled up.

    The rest goes into the smallest batch that holds all of it.
    """
    begin, largest = 0, sizes[-1]
    while begin < count:
        left = count - begin
        size = largest if left >= largest else next(each for each in sizes if each >= left)
        end = min(count, begin + size)
        yield begin, end, size
        begin = end


@dataclass(slots=True)
class _Lane:
    """The memory of one shape of batches, pinned on the host and on the device; `graph` None where none is recorded.

    `kept` is what a recorded graph reads besides: PyTorch would give that memory to others.
    """

    host: Any
    pixels: Any
    output: Any
    host_output: Any
    graph: Any
    kept: object


class FixedBatches:
    """Runs `compute` on a stream of its own, from pinned host memory and back, one batch after the other.

    `compute` takes pixels uint8 (n, height, width, 3) on the device to a float32 tensor (n, ...) there; with `graphs`
    it must do the same work for every batch of one shape, so that it can be recorded. `around` opens a context in which
    it runs. `kept` names, after a run, tensors that the next run reads and that a run of another shape may replace.
    May be called from several threads.
    """

    def __init__(
        self,
        compute: Callable[[Any], Any],
        *,
        device: str,
        graphs: bool,
        around: Callable[[], AbstractContextManager[None]] = nullcontext,
        kept: Callable[[], object] = lambda: None,
    ) -> None:
        import torch

        self._torch = torch
        self._compute = compute
        self._device = torch.device(device)
        self._graphs = graphs
        self._around = around
        self._kept = kept
        self._stream = torch.cuda.Stream(self._device)
        self._lanes: dict[tuple[int, int, int], _Lane] = {}
        self._lock = threading.Lock()

    def run(self, batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Pictures uint8 (n, height, width, 3) in host memory to the network's output, float32 (n, ...)."""
        source = self._torch.from_numpy(np.ascontiguousarray(batch))
        answers = []
        with self._lock, self._torch.cuda.device(self._device), self._torch.no_grad():
            for begin, end, size in split(len(batch)):
                lane = self._lane(size, *batch.shape[1:3])
                lane.host[: end - begin].copy_(source[begin:end])
                with self._torch.cuda.stream(self._stream):
                    lane.pixels.copy_(lane.host, non_blocking=True)
                    self._play(lane)
                    lane.host_output.copy_(lane.output, non_blocking=True)
                self._stream.synchronize()
                answers.append(lane.host_output[: end - begin].numpy().copy())
        return np.concatenate(answers)

    def run_on_device(self, pixels: Any) -> Any:
        """Pictures uint8 (n, height, width, 3) that lie on the device; the answer stays there, float32 (n, ...).

        It is ready for work on the caller's current stream.
        """
        torch = self._torch
        answers = []
        with self._lock, torch.cuda.device(self._device), torch.no_grad():
            callers = torch.cuda.current_stream(self._device)
            self._stream.wait_stream(callers)
            for begin, end, size in split(len(pixels)):
                lane = self._lane(size, *pixels.shape[1:3])
                with torch.cuda.stream(self._stream):
                    lane.pixels[: end - begin].copy_(pixels[begin:end])
                    self._play(lane)
                    answers.append(lane.output[: end - begin].clone())
            with torch.cuda.stream(self._stream):
                answer = torch.cat(answers)
            callers.wait_stream(self._stream)
            pixels.record_stream(self._stream)
            answer.record_stream(callers)
        return answer

    def _play(self, lane: _Lane) -> None:
        if lane.graph is not None:
            lane.graph.replay()
            return
        with self._around():
            lane.output = self._compute(lane.pixels)

    def _lane(self, size: int, height: int, width: int) -> _Lane:
        shape = (size, height, width)
        if shape not in self._lanes:
            self._lanes[shape] = self._prepare(shape)
        return self._lanes[shape]

    def _prepare(self, sides: tuple[int, int, int]) -> _Lane:
        torch = self._torch
        shape = (*sides, 3)
        host = torch.zeros(shape, dtype=torch.uint8, pin_memory=True)
        with torch.cuda.stream(self._stream), self._around():
            pixels = torch.zeros(shape, dtype=torch.uint8, device=self._device)
            for _ in range(WARM_UP_RUNS):
                output = self._compute(pixels)
        self._stream.synchronize()
        graph = None
        if self._graphs:
            graph = torch.cuda.CUDAGraph()
            # Other threads may take memory meanwhile, a decoder on the same device for one.
            recording = torch.cuda.graph(graph, stream=self._stream, capture_error_mode="thread_local")
            with self._around(), recording:
                output = self._compute(pixels)
        host_output = torch.empty(output.shape, dtype=output.dtype, pin_memory=True)
        return _Lane(host, pixels, output, host_output, graph, self._kept())
