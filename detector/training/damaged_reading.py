"""A trainer of ultralytics that damages a share of the training pictures as it reads them."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from detector.training.damage import damaged_at_random


def damaging_trainer(share: float) -> type[Any] | None:
    """The detection trainer, with `share` of the pictures damaged anew each time that they are learned from.

    None, which is ultralytics' own, where none are to be damaged: no random number is drawn for nothing.
    """
    if not share:
        return None
    from ultralytics.models.yolo.detect import DetectionTrainer

    class DamagingTrainer(DetectionTrainer):  # type: ignore[misc]
        def build_dataset(self, img_path: str, mode: str = "train", batch: int | None = None) -> Any:
            dataset = super().build_dataset(img_path, mode, batch)
            if mode == "train":
                _insert(dataset.transforms, share)
                dataset.build_transforms = partial(_build, dataset.build_transforms, share)
            return dataset

    return DamagingTrainer


def _build(plain: Callable[[Any], Any], share: float, settings: Any) -> Any:
    return _insert(plain(settings), share)


def _insert(transforms: Any, share: float) -> Any:
    """The damage comes last but one: after mosaic and colours, before the picture becomes a tensor."""
    transforms.insert(-1, partial(_damage, share))
    return transforms


def _damage(share: float, labels: dict[str, Any]) -> dict[str, Any]:
    if random.random() < share:
        rgb = np.ascontiguousarray(labels["img"][..., ::-1])
        labels["img"] = np.ascontiguousarray(damaged_at_random(rgb)[..., ::-1])
    return labels
