"""One loaded model for all scans of a worker: pictures that several clips ask about at the same time share a batch."""

from __future__ import annotations

import logging
import os
import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from detector.frame import Boxes
from detector.models import Model

log = logging.getLogger("ordnance.worker")

MAX_BATCH = {"cpu": 4, "cuda": 16}
"""Pictures given to the model at once at the most. On a processor larger batches take more memory (ONNX Runtime, input
of 416 px: 270 MB with 4 pictures, 660 MB with 16) and are no faster."""

Images = Sequence[NDArray[np.uint8]]


class SharedModel:
    """Stands for a Model; `detect` may be called from any thread. Only calls that already wait are joined: none is
    held up for another."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self.most = MAX_BATCH["cpu" if model.device == "cpu" else "cuda"]
        self._queue: queue.Queue[tuple[Images, Future[list[Boxes]]]] = queue.Queue()
        self.infer_seconds = 0.0
        self.pictures = 0
        self.batches = 0
        # The largest batch takes its memory now, not in the middle of a scan.
        self._try_out()
        threading.Thread(target=self._serve, name="model", daemon=True).start()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def as_model(self) -> Model:
        """Typed as the model that it stands for."""
        return cast(Model, self)

    def for_scan(self, check: Callable[[], None]) -> Model:
        """This model for one scan: `check` is called before each batch, and ends the scan by what it raises."""
        return cast(Model, _ModelOfScan(self, check))

    def detect(self, images: Images) -> list[Boxes]:
        if not images:
            return []
        answer: Future[list[Boxes]] = Future()
        self._queue.put((images, answer))
        return answer.result()

    def _serve(self) -> None:
        waiting: list[tuple[Images, Future[list[Boxes]]]] = []
        while True:
            if not waiting:
                waiting.append(self._queue.get())
            while not self._queue.empty():
                waiting.append(self._queue.get())
            taken = [waiting.pop(0)]
            while waiting and sum(len(images) for images, _ in (*taken, waiting[0])) <= self.most:
                taken.append(waiting.pop(0))
            self._answer(taken)

    def _answer(self, taken: list[tuple[Images, Future[list[Boxes]]]]) -> None:
        images = [image for images, _ in taken for image in images]
        found: list[Boxes] = []
        started = time.perf_counter()
        try:
            for start in range(0, len(images), self.most):
                found += self._model.detect(images[start : start + self.most])
                self.batches += 1
        except Exception as error:
            self._end_if_broken()
            for _, answer in taken:
                answer.set_exception(error)
            return
        self.infer_seconds += time.perf_counter() - started
        self.pictures += len(found)
        for asked, answer in taken:
            answer.set_result(found[: len(asked)])
            found = found[len(asked) :]

    def _try_out(self) -> None:
        self._model.detect([np.zeros((9, 16, 3), np.uint8)] * self.most)

    def _end_if_broken(self) -> None:
        """End the process where the model does not work at all any more (a CUDA error stays until then, memory may be
        used up): it would take one scan after another only to fail it. Another worker goes on with what runs here."""
        try:
            self._try_out()
        except Exception:
            log.exception("the model %s does not work any more; this worker ends", self._model.name)
            os._exit(3)


class _ModelOfScan:
    def __init__(self, shared: SharedModel, check: Callable[[], None]) -> None:
        self._shared = shared
        self._check = check

    def __getattr__(self, name: str) -> Any:
        return getattr(self._shared, name)

    def detect(self, images: Images) -> list[Boxes]:
        found: list[Boxes] = []
        for start in range(0, len(images), self._shared.most):
            self._check()
            found += self._shared.detect(images[start : start + self._shared.most])
        return found
