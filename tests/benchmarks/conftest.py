"""A data folder made on the spot, with painted pictures: the benchmark builds and measures without any photographs."""

from __future__ import annotations

import csv
import hashlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from painted import BOX, paint_negative, paint_weapon


@pytest.fixture(scope="session")
def painted_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Laid out like ORDNANCE_DATA: weapons are magenta rectangles that fill their labelled box, negatives are grey."""
    root = tmp_path_factory.mktemp("data")
    images, labels = root / "photos" / "test" / "images", root / "photos" / "test" / "labels"
    images.mkdir(parents=True)
    labels.mkdir()
    rng = np.random.default_rng(5)
    rows = []
    for number in range(8):
        is_weapon = number < 3
        name = f"{'weapon' if is_weapon else 'plain'}{number}.png"
        cv2.imwrite(str(images / name), paint_weapon(rng) if is_weapon else paint_negative(rng))
        (images.parent / "labels" / name).with_suffix(".txt").write_text(f"tank {BOX}\n" if is_weapon else "")
        rows.append(
            {
                "file": name,
                "split": "test",
                "source_repo": "x/y",
                "sha256": hashlib.sha256((images / name).read_bytes()).hexdigest(),
                "complete_for": "all",
            }
        )
    with (root / "photos" / "sources.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    return root
