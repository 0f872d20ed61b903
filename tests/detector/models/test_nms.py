from __future__ import annotations

import numpy as np
import pytest

from detector.appearances import linker
from detector.models import nms
from detector.models.backend import missing_torch_packages
from detector.models.nms import non_maximum_suppression

FLOOR = 0.05


def output_of(*boxes: tuple[float, float, float, float, list[float]]) -> np.ndarray:
    """The head's output for boxes given as x1, y1, x2, y2 and the scores of all classes."""
    columns = [[(x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1, *scores] for x1, y1, x2, y2, scores in boxes]
    return np.array(columns, np.float32).T


def suppressed(*boxes: tuple[float, float, float, float, list[float]]) -> list[list[float]]:
    rows = non_maximum_suppression(output_of(*boxes), floor=FLOOR)
    assert rows.dtype == np.float32
    return [[round(float(value), 4) for value in row] for row in rows]


def test_of_overlapping_boxes_of_a_class_the_best_is_kept_where_those_that_overlap_it_most_have_it_on_average() -> None:
    # IoU with the best: 96 / 104; 9024 / (20000 - 9024); 60 / 140, too little for a say.
    others = [(0, 0, 100, 100, [0.6, 0]), (0, 6, 100, 106, [0.7, 0]), (4, 0, 104, 60, [0.5, 0])]
    votes = [0.9, 0.6 * 96 / 104, 0.7 * 9024 / 10976]
    ((x1, y1, x2, y2, score, class_id),) = suppressed((4, 0, 104, 100, [0.9, 0]), *others)
    assert (score, class_id) == (0.9, 0)
    assert [x1, x2 - 100] == pytest.approx([votes[0] * 4 / sum(votes)] * 2, abs=1e-3)
    assert [y1, y2 - 100] == pytest.approx([votes[2] * 6 / sum(votes)] * 2, abs=1e-3)


def test_another_class_has_no_say() -> None:
    assert suppressed((0, 0, 100, 100, [0.9, 0]), (6, 0, 106, 100, [0, 0.8]))[0] == [0, 0, 100, 100, 0.9, 0]


@pytest.mark.parametrize(("shift", "kept"), [(33, 1), (34, 2)])
def test_what_overlaps_by_half_is_one_object_as_the_linker_has_it(shift: int, kept: int) -> None:
    assert nms.IOU_ABOVE_WHICH_SUPPRESSED == linker.DUPLICATE_IOU == 0.5  # 67 / 133 = 0.504 and 66 / 134 = 0.493
    assert len(suppressed((0, 0, 100, 100, [0.6, 0]), (shift, 0, 100 + shift, 100, [0.9, 0]))) == kept


def test_overlapping_boxes_of_two_classes_are_both_kept() -> None:
    assert suppressed((0, 0, 100, 100, [0.6, 0]), (0, 0, 100, 100, [0, 0.9])) == [
        [0, 0, 100, 100, 0.9, 1],
        [0, 0, 100, 100, 0.6, 0],
    ]


def test_classes_stay_apart_where_boxes_leave_the_square() -> None:
    assert len(suppressed((0, 0, 10, 10, [0.9, 0]), (-11, -11, -1, -1, [0, 0.8]))) == 2


def test_an_anchor_stands_for_each_class_from_the_floor_up() -> None:
    assert suppressed((0, 0, 10, 10, [0.4, 0.5, 0.04])) == [[0, 0, 10, 10, 0.5, 1], [0, 0, 10, 10, 0.4, 0]]


def test_the_floor_itself_is_kept_and_what_lies_below_is_not() -> None:
    floor = float(np.float32(FLOOR))
    output = output_of((0, 0, 9, 9, [floor, 0]), (20, 0, 29, 9, [np.nextafter(np.float32(floor), 0), 0]))
    assert non_maximum_suppression(output, floor=floor)[:, 0].tolist() == [0]


def test_a_box_without_extent_is_none() -> None:
    assert suppressed((10, 10, 5, 20, [0.9, 0]), (10, 10, 10, 20, [0.8, 0])) == []


@pytest.mark.parametrize("side", [1e-5, 1e-9])
def test_a_box_of_next_to_no_extent_stays_where_it_is(side: float) -> None:
    output = np.array([[10, 10, side, side, 0.9, 0]], np.float32).T
    assert non_maximum_suppression(output, floor=FLOOR) == pytest.approx(np.array([[10, 10, 10, 10, 0.9, 0]]), abs=1e-4)


def test_boxes_come_best_first_and_equals_in_the_order_of_the_anchors() -> None:
    scores = [0.3, 0.9, 0.5, 0.9, 0.1]
    found = suppressed(*((20 * place, 0, 20 * place + 10, 10, [score]) for place, score in enumerate(scores)))
    assert [row[0] for row in found] == [20, 60, 40, 0, 80]


@pytest.mark.parametrize("anchors", [nms.MOST_KEPT + 1, nms.MOST_CANDIDATES + 1, 4 * nms.MOST_CANDIDATES])
def test_at_most_so_many_are_kept_and_they_are_the_best(anchors: int) -> None:
    scores = np.random.default_rng(3).permutation(np.linspace(0.1, 0.9, anchors))
    rows = non_maximum_suppression(
        output_of(*((20 * place, 0, 20 * place + 10, 10, [score]) for place, score in enumerate(scores))), floor=FLOOR
    )
    assert len(rows) == nms.MOST_KEPT
    assert rows[:, 4] == pytest.approx(np.sort(scores)[::-1][: nms.MOST_KEPT])


def test_the_candidates_beyond_the_limit_are_the_worst(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nms, "MOST_CANDIDATES", 2)
    crowd = [(place, 0.0, 100.0 + place, 100.0, [0.9 - place / 100]) for place in range(3)]
    say = 0.89 * 99 / 101
    moved = say / (0.9 + say)  # by the second box; the third, beyond the limit, would move it further
    (row,) = suppressed(*crowd, (300, 0, 400, 100, [0.85]))
    assert row == pytest.approx([moved, 0, 100 + moved, 100, 0.9, 0], abs=1e-4)
    monkeypatch.setattr(nms, "MOST_CANDIDATES", 4)
    assert len(suppressed(*crowd, (300, 0, 400, 100, [0.85]))) == 2


def test_nothing_gives_no_rows() -> None:
    rows = non_maximum_suppression(np.zeros((6, 10), np.float32), floor=FLOOR)
    assert (rows.shape, rows.dtype) == ((0, 6), np.float32)


@pytest.mark.needs_torch
def test_what_is_kept_is_what_ultralytics_keeps(monkeypatch: pytest.MonkeyPatch) -> None:
    if missing := missing_torch_packages():
        pytest.skip(f"ultralytics' own suppression needs {', '.join(missing)} (extra train or cuda)")
    from detector.models.offline import import_ultralytics

    import_ultralytics()
    import torch
    from ultralytics.utils.nms import non_max_suppression

    monkeypatch.setattr(nms, "VOTING_IOU", 0.9999)
    monkeypatch.setattr(nms, "MOST_CANDIDATES", 10_000)
    chance = np.random.default_rng(11)
    for _ in range(20):
        objects = chance.uniform(-20, 436, (12, 2)).repeat(30, axis=0)
        output = np.vstack(
            [
                (objects + chance.normal(0, 8, objects.shape)).T,
                chance.uniform(30, 120, (12, 2)).repeat(30, axis=0).T * chance.uniform(0.8, 1.25, (2, 360)),
                chance.beta(0.5, 4, (10, 360)),
            ]
        ).astype(np.float32)
        (theirs,) = non_max_suppression(
            torch.from_numpy(output[None]), conf_thres=FLOOR, iou_thres=0.5, multi_label=True, max_det=nms.MOST_KEPT
        )
        assert len(theirs) > 50
        assert non_maximum_suppression(output, floor=FLOOR) == pytest.approx(theirs.numpy(), abs=1e-4)
