"""The demo clip that ships with the product: three minutes of our own renders, and what is to be found in them."""

from __future__ import annotations

from datasets.demo.build import build_demo

__all__ = ["build_demo"]
