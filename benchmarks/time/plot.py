"""Recall against cost, one point for each contender."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import cycle
from pathlib import Path
from typing import Any

PLAN_MARKERS, PEER_MARKERS = "osv^Dhp<>", "XP*"
AXES = (
    ("seconds of computing per minute of video", "seconds"),
    ("pictures inferred per minute of video", "inferred"),
)


def draw(result: Mapping[str, Any], path: Path) -> None:
    """Write a PNG to `path`. Raises ImportError without matplotlib."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    rows = {name: row for name, row in result["accuracy"].items() if row["recall"] is not None}
    figure, panels = pyplot.subplots(1, 2, figsize=(11, 4.6), sharey=True, layout="constrained")
    colours = pyplot.get_cmap("tab10").colors
    for panel, (label, cost) in zip(panels, AXES, strict=True):
        plans, peers = cycle(PLAN_MARKERS), cycle(PEER_MARKERS)
        for colour, (name, row) in zip(cycle(colours), rows.items(), strict=False):
            panel.scatter(
                row[cost] / row["video_seconds"] * 60,
                100 * row["recall"],
                s=80,
                color=colour,
                marker=next(plans if name in result["sampling"] else peers),
                label=name,
                zorder=3,
            )
        panel.set_xscale("log")
        panel.set_xlabel(label)
        panel.grid(which="both", alpha=0.25)
    panels[0].set_ylabel("appearances found,\n% of those the model sees on every frame")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside right upper", frameon=False)
    machine, model = result["machine"], result["model"]
    clips = [each for each in result["clips"] if each["name"] not in result["speed"]]
    minutes = sum(each["seconds"] for each in clips) / 60
    figure.suptitle(
        f"{model['name']} at {model['input_size']} px, {machine['processor']}, {machine['cores']} cores; "
        f"{len(clips)} clips of {clips[0]['width']}x{clips[0]['height']}, {minutes:.0f} min",
        size=10,
    )
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
