from __future__ import annotations

import numpy as np

from detector.best_pictures import SPAN_SECONDS, BestPictures
from detector.frame import Detection, Frame

SMALL, LARGE = (10.0, 10.0, 30.0, 30.0), (10.0, 10.0, 90.0, 90.0)


def frame(seconds: float) -> Frame:
    return Frame(np.zeros((100, 100, 3), np.uint8), seconds, False)


def found(
    seconds: float, box: tuple[float, float, float, float], name: str = "tank", sharpness: float | None = 100.0
) -> list[Detection]:
    return [Detection(name, 0.8, box, seconds, sharpness)]


def kept(best: BestPictures, *times: float) -> list[float]:
    return [seconds for seconds in times if best.at(seconds) is not None]


def test_the_best_frame_of_each_class_and_span_is_kept() -> None:
    best = BestPictures(room=8)
    for seconds, box, name in (
        (0.1, SMALL, "tank"),
        (0.2, LARGE, "tank"),
        (0.3, SMALL, "tank"),
        (0.4, SMALL, "humvee"),
    ):
        best.add(frame(seconds), found(seconds, box, name))
    later = 0.1 + SPAN_SECONDS
    best.add(frame(later), found(later, SMALL))
    assert kept(best, 0.1, 0.2, 0.3, 0.4, later) == [0.2, 0.4, later]


def test_where_there_is_no_more_room_the_worst_goes() -> None:
    best = BestPictures(room=2)
    for number, box in enumerate((LARGE, SMALL, LARGE)):
        seconds = number * SPAN_SECONDS
        best.add(frame(seconds), found(seconds, box))
    assert kept(best, 0.0, SPAN_SECONDS, 2 * SPAN_SECONDS) == [0.0, 2 * SPAN_SECONDS]


def test_what_will_not_be_shown_is_not_kept() -> None:
    best = BestPictures(room=8)
    best.add(frame(0.0), found(0.0, LARGE, sharpness=None))
    assert kept(best, 0.0) == []
