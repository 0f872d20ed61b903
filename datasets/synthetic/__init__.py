"""Rendered scenes with exact boxes, for classes with too few photographs. Needs the `render` extra."""

from __future__ import annotations

from datasets.synthetic.dataset import GENERATOR_VERSION, render_set

__all__ = ["GENERATOR_VERSION", "render_set"]
