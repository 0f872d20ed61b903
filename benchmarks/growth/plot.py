"""Processor time and peak memory along each axis."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

PANELS = (("cpu_seconds", "processor seconds", "cpu_line"), ("peak_mb", "peak memory, MB", "memory_line"))


def draw(result: Mapping[str, Any], path: Path) -> None:
    """Write a PNG to `path`. Raises ImportError without matplotlib."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    names = list(dict.fromkeys(axis["name"] for axis in result["axes"]))
    figure, grid = pyplot.subplots(
        len(PANELS), len(names), figsize=(3.6 * len(names), 6.4), squeeze=False, layout="constrained"
    )
    for axis in result["axes"]:
        column = names.index(axis["name"])
        for panel, (field, label, fitted) in zip(grid[:, column], PANELS, strict=True):
            rows = [row for row in axis["points"] if row[field] is not None]
            if not rows:
                continue
            x = [row["x"] for row in rows]
            (marks,) = panel.plot(x, [row[field] for row in rows], "o", label=axis["plan"])
            line = axis[fitted]
            panel.plot(x, [line["start"] + line["slope"] * each for each in x], "-", color=marks.get_color(), alpha=0.5)
            panel.set_xlabel(axis["unit"])
            panel.set_ylim(bottom=0)
            panel.grid(alpha=0.25)
            if column == 0:
                panel.set_ylabel(label)
            panel.legend(frameon=False)
    machine = result["machine"]
    figure.suptitle(f"Growth of a scan's cost, {machine['processor']}, {machine['cores']} cores", size=10)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
