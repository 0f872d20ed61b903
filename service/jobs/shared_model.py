"""One loaded model for all scans of a worker: pictures that several clips ask about at the same time share a batch."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from detector.frame import Boxes
from detector.models import Model

MAX_BATCH = 16
"""Pictures given to the model at once at the most."""

Images = Sequence[NDArray[np.uint8]]


class SharedModel:
    """Stands for a Model; `detect` may be called from any thread. Only calls that already wait are joined: none is
    held up for another."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._queue: queue.Queue[tuple[Images, Future[list[Boxes]]]] = queue.Queue()
        self.infer_seconds = 0.0
        self.pictures = 0
        self.batches = 0
        threading.Thread(target=self._serve, name="model", daemon=True).start()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def as_model(self) -> Model:
        """Typed as the model that it stands for."""
        return cast(Model, self)

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
            while waiting and sum(len(images) for images, _ in (*taken, waiting[0])) <= MAX_BATCH:
                taken.append(waiting.pop(0))
            self._answer(taken)

    def _answer(self, taken: list[tuple[Images, Future[list[Boxes]]]]) -> None:
        started = time.perf_counter()
        try:
            found = self._model.detect([image for images, _ in taken for image in images])
        except Exception as error:
            for _, answer in taken:
                answer.set_exception(error)
            return
        self.infer_seconds += time.perf_counter() - started
        self.pictures += len(found)
        self.batches += 1
        for images, answer in taken:
            answer.set_result(found[: len(images)])
            found = found[len(images) :]
