"""Weights half-way between those that a stage began with and those that it learned."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from detector.errors import DataError


def average_weights(earlier: Path, later: Path, share: float) -> None:
    """Replace the checkpoint `later` by `share` of its weights and 1 - `share` of those of `earlier`.

    What a network has learned of new pictures and what it knew before are both kept better so than by either alone
    (WiSE-FT, Wortsman et al. 2022, arXiv 2109.01903). Raises DataError where the two are not of one shape.
    """
    import torch
    from ultralytics.nn.tasks import torch_safe_load

    before = _network(torch_safe_load(earlier)[0]).float().state_dict()
    checkpoint = torch_safe_load(later)[0]
    network = _network(checkpoint).float()
    after = network.state_dict()
    if {name: value.shape for name, value in before.items()} != {name: value.shape for name, value in after.items()}:
        raise DataError(f"{later} cannot be averaged with {earlier}, whose network has other classes.")
    network.load_state_dict(
        {
            name: torch.lerp(before[name], value, share) if value.is_floating_point() else value
            for name, value in after.items()
        }
    )
    partial = later.with_suffix(".part")
    torch.save({**checkpoint, "ema": None, "model": network.half(), "optimizer": None}, partial)
    partial.replace(later)


def number_of_classes(checkpoint: Path) -> int:
    """How many classes the network in a checkpoint of ultralytics knows."""
    from ultralytics.nn.tasks import torch_safe_load

    return len(_network(torch_safe_load(checkpoint)[0]).names)


def _network(checkpoint: dict[str, Any]) -> Any:
    return checkpoint.get("ema") or checkpoint["model"]
