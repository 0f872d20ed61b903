import csv
import hashlib

import cv2
import numpy as np
import pytest

COLUMNS = ["file", "split", "source_repo", "licence", "sha256", "cluster", "complete_for"]


def drawn(seed, width=240, height=180):
    """A picture of overlapping shapes, another for every seed."""
    rng = np.random.default_rng(seed)
    picture = np.full((height, width, 3), rng.integers(0, 255, 3), np.uint8)
    for _ in range(60):
        colour = tuple(int(value) for value in rng.integers(0, 255, 3))
        x, y = int(rng.integers(0, width)), int(rng.integers(0, height))
        if rng.random() < 0.5:
            cv2.circle(picture, (x, y), int(rng.integers(4, 40)), colour, -1)
        else:
            cv2.rectangle(picture, (x, y), (x + int(rng.integers(5, 70)), y + int(rng.integers(5, 50))), colour, -1)
    return picture


class DataFolder:
    """A data folder that a test fills with pictures."""

    def __init__(self, root):
        self.root = root
        self.rows = []

    def add(self, split, name, label="", complete_for="all", *, picture=None, cluster="", source="x/y"):
        path = self.root / "photos" / split / "images" / name
        labels = self.root / "photos" / split / "labels"
        path.parent.mkdir(parents=True, exist_ok=True)
        labels.mkdir(exist_ok=True)
        cv2.imwrite(str(path), drawn([len(self.rows), *name.encode()]) if picture is None else picture)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        (labels / name).with_suffix(".txt").write_text(label)
        values = (name, split, source, "CC0", digest, cluster, complete_for)
        self.rows.append(dict(zip(COLUMNS, values, strict=True)))
        self.write()
        return digest

    def write(self):
        with (self.root / "photos" / "sources.csv").open("w", newline="") as stream:
            writer = csv.DictWriter(stream, COLUMNS)
            writer.writeheader()
            writer.writerows(self.rows)


@pytest.fixture
def folder(tmp_path):
    return DataFolder(tmp_path / "data")
