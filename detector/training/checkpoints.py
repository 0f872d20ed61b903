"""Checkpoints that a kill cannot tear: each epoch's is complete under its own name before the last one goes."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

PREFIX = "epoch-"


def keep_checkpoint(trainer: Any) -> None:
    """Callback of the ultralytics trainer: copy last.pt, which it writes in place, to epoch-NNNN.pt beside it.

    NNNN is how many epochs are done.
    """
    done = trainer.epoch + 1
    target = trainer.last.with_name(f"{PREFIX}{done:04d}.pt")
    partial = target.with_suffix(".part")
    shutil.copyfile(trainer.last, partial)
    partial.replace(target)
    for earlier in _kept(target.parent):
        if earlier != target:
            earlier.unlink()


def newest_checkpoint(folder: Path) -> tuple[Path, int] | None:
    """The checkpoint of the stage in `folder` to go on from, and how many epochs it has behind it.

    None where no epoch is finished. A last.pt without a copy does not count: it may be torn.
    """
    if kept := _kept(folder / "weights"):
        return kept[-1], int(kept[-1].stem.removeprefix(PREFIX))
    return None


def drop_checkpoints(folder: Path) -> None:
    """Delete the copies of a stage that is finished; last.pt stays."""
    for path in _kept(folder / "weights"):
        path.unlink()


def _kept(folder: Path) -> list[Path]:
    return sorted(folder.glob(f"{PREFIX}[0-9]*.pt"))
