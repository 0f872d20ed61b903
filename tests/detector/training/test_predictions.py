from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from detector.errors import DataError
from detector.frame import Boxes
from detector.training.predictions import LabelledFile, photographs, predict


class FindsWhatIsWhite:
    classes = ("tank",)
    input_size = 64

    def detect(self, images: list[np.ndarray], *, floor: float) -> list[Boxes]:
        found = []
        for image in images:
            rows, columns = np.nonzero(image[:, :, 0] > 128)
            box = [[columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]]
            found.append(Boxes(np.array(box, np.float32), np.array([0.9], np.float32), np.array([0])))
        return found


def test_boxes_found_on_mirror_images_are_those_of_the_picture(tmp_path: Path) -> None:
    picture = np.zeros((40, 64, 3), np.uint8)
    picture[5:20, 6:30] = 255
    cv2.imwrite(str(tmp_path / "one.png"), picture)
    files = [LabelledFile(tmp_path / "one.png", (), "ours")]
    for mirrored in (False, True):
        found = predict(FindsWhatIsWhite(), files, "val", mirrored=mirrored).pictures[0].found
        assert found.tolist() == [[6, 5, 30, 20]]


def test_a_picture_complete_for_all_that_a_model_knows_is_measured(folder) -> None:
    folder.add("val", "a.jpg", "tank 0.5 0.5 0.4 0.4\n", "tank,humvee")
    folder.add("val", "b.jpg", "tank 0.5 0.5 0.4 0.4\n", "tank")
    assert [each.picture.name for each in photographs(folder.root, "val", ("tank", "humvee"))] == ["a.jpg"]
    assert [each.picture.name for each in photographs(folder.root, "val", ("tank",))] == ["a.jpg", "b.jpg"]
    with pytest.raises(DataError, match="no photograph of the split 'val' on which every weapon"):
        photographs(folder.root, "val", ("mlrs",))
