"""Recall against cost, one point for each contender."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

PLAN_COLOUR, PEER_COLOUR = "#1f5fa8", "#c2571a"


def draw(result: Mapping[str, Any], path: Path) -> None:
    """Write a PNG to `path`. Raises ImportError without matplotlib."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (cost, work) = pyplot.subplots(1, 2, figsize=(12, 5), sharey=True, layout="constrained")
    rows = [(name, row) for name, row in result["accuracy"].items() if row["recall"] is not None]
    for axes, value, label in (
        (cost, lambda row: row["seconds"] / row["video_seconds"] * 60, "seconds of computing per minute of video"),
        (work, lambda row: row["inferred"] / row["video_seconds"] * 60, "pictures inferred per minute of video"),
    ):
        for name, row in rows:
            is_plan = name in result["sampling"]
            axes.scatter(value(row), 100 * row["recall"], color=PLAN_COLOUR if is_plan else PEER_COLOUR, zorder=3)
            axes.annotate(name, (value(row), 100 * row["recall"]), xytext=(5, -11), textcoords="offset points", size=8)
        axes.set_xscale("log")
        axes.set_xlabel(label)
        axes.margins(x=0.25, y=0.12)
        axes.grid(which="both", alpha=0.25)
    cost.set_ylabel("appearances found, % of those that the model sees on every frame")
    machine, model = result["machine"], result["model"]
    figure.suptitle(
        f"Recall against cost: {model['name']} on {machine['processor']}, {machine['cores']} cores "
        f"({result['clips'][0]['width']}x{result['clips'][0]['height']}, {rows[0][1]['video_seconds'] / 60:.0f} min)",
        size=10,
    )
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
