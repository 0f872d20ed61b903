from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest

from detector.errors import NoDecodableFrame
from detector.video import DecodeProblem, open_video
from detector.video.limits import MAX_PROBLEMS, SEEK_COST_PACKETS
from detector.video.problems import ProblemLog
from detector.video.reader import Picture
from detector.video.reading_cost import ReadingCost

from .clips import MakeClip, call_every_packet_a_keyframe, damage_packets, number_shown

CONTAINERS = ["clip.mp4", "clip.mov", "clip.mkv", "clip.ts", "clip.flv", "clip.avi"]


@pytest.mark.parametrize("name", CONTAINERS)
def test_straight_through(make_clip: MakeClip, name: str) -> None:
    """Every frame once, in order, none lost at the end, at the time it was recorded for."""
    with open_video(make_clip(name, frames=60, gop=30, bframes=3)) as video:
        frames = [(number_shown(frame.image), frame.pts_seconds) for frame in video]
        assert video.frames_decoded == 60
        assert (video.errors, video.decode_errors) == ([], 0)
    assert [number for number, _ in frames] == list(range(60))
    first = frames[0][1]
    assert [seconds - first for _, seconds in frames] == pytest.approx(np.arange(60) * 0.04, abs=1e-6)


def test_only_wanted_frames_are_converted(make_clip: MakeClip) -> None:
    asked: list[tuple[float, bool]] = []

    def wanted(pts_seconds: float, is_keyframe: bool) -> bool:
        asked.append((pts_seconds, is_keyframe))
        return pts_seconds > 1.5

    with open_video(make_clip(frames=50)) as video:
        numbers = [number_shown(frame.image) for frame in video.frames(wanted)]
    assert numbers == list(range(38, 50))
    assert [seconds for seconds, is_keyframe in asked if is_keyframe] == pytest.approx([0.0, 1.0])
    assert len(asked) == 50


@pytest.mark.parametrize("name", CONTAINERS)
def test_keyframes_only(make_clip: MakeClip, name: str) -> None:
    with open_video(make_clip(name, frames=60, gop=20)) as video:
        frames = list(video.frames(keyframes_only=True))
        assert [number_shown(frame.image) for frame in frames] == [0, 20, 40]
        assert all(frame.is_keyframe for frame in frames)
        assert video.frames_decoded < 10
        assert sum(1 for _ in video.frames()) == 60
        assert video.errors == []


def test_keyframes_only_trusts_the_decoder(make_clip: MakeClip) -> None:
    path = call_every_packet_a_keyframe(make_clip(codec="mpeg4", frames=60, gop=30))
    with open_video(path) as video:
        assert video.probe.is_keyframe.all()
        assert [number_shown(frame.image) for frame in video.frames(keyframes_only=True)] == [0, 30]


@pytest.mark.parametrize("name", CONTAINERS)
@pytest.mark.parametrize(
    "targets",
    [
        [0.0, 0.5, 1.0, 1.5, 2.0, 4.0, 7.99],
        [3.14, 3.15, 3.155, 6.4],
        [7.0],
        [-1.0, 0.0],
        list(np.arange(0, 8, 0.04)),
    ],
    ids=["spread", "close", "late", "before the start", "every frame"],
)
def test_frames_at_gives_what_reading_straight_gives(make_clip: MakeClip, name: str, targets: list[float]) -> None:
    with open_video(make_clip(name, frames=200, gop=50, bframes=3)) as video:
        straight = list(video.frames())
        expected = []
        for target in targets:
            frame = next((f for f in straight if f.pts_seconds >= target - 1e-6), straight[-1])
            if not expected or expected[-1][1] is not frame:
                expected.append((target, frame))
        answers = list(video.frames_at(targets))
    assert [target for target, _ in answers] == [target for target, _ in expected]
    for (_, answer), (_, truth) in zip(answers, expected, strict=True):
        assert answer.pts_seconds == truth.pts_seconds
        assert np.array_equal(answer.image, truth.image)


def test_seeks_only_where_that_saves_work(make_clip: MakeClip, monkeypatch: pytest.MonkeyPatch) -> None:
    """A 10 s group of pictures must not be entered anew every second."""
    monkeypatch.setattr(ReadingCost, "is_seek_cheaper", lambda _cost, packets: packets > SEEK_COST_PACKETS)
    path = make_clip(pts_ms=range(0, 30_000, 100), gop=100)
    with open_video(path) as video:
        assert [f.pts_seconds for _, f in video.frames_at(range(30))] == pytest.approx(list(range(30)))
        assert video.seeks == 0
        assert video.frames_decoded <= 300
    with open_video(path) as video:
        assert [number_shown(f.image) for _, f in video.frames_at([0.0, 25.0])] == [0, 250]
        assert video.seeks == 1
        assert video.frames_decoded < 70
    with open_video(path) as video:
        just_worth_it = 10.0 - (SEEK_COST_PACKETS + 2) / 10
        not_worth_it = 20.0 - (SEEK_COST_PACKETS - 2) / 10
        targets = [just_worth_it, 10.0, not_worth_it, 20.0]
        assert [f.pts_seconds for _, f in video.frames_at(targets)] == pytest.approx(targets)
        assert video.seeks == 1


def test_what_a_seek_costs_is_measured() -> None:
    cost = ReadingCost()
    assert (cost.is_seek_cheaper(SEEK_COST_PACKETS), cost.is_seek_cheaper(SEEK_COST_PACKETS + 1)) == (False, True)
    cost.sought(0.1)
    cost.read_on(100, 0.2)
    assert (cost.is_seek_cheaper(49), cost.is_seek_cheaper(51)) == (False, True)


@pytest.mark.parametrize("never_or_always", [False, True])
def test_the_pictures_do_not_depend_on_the_way_to_them(
    make_clip: MakeClip, monkeypatch: pytest.MonkeyPatch, never_or_always: bool
) -> None:
    monkeypatch.setattr(ReadingCost, "is_seek_cheaper", lambda _cost, packets: packets > 0 and never_or_always)
    targets = [0.48, 1.0, 1.52, 3.96, 6.0]
    with open_video(make_clip(frames=200, gop=50, bframes=3)) as video:
        straight = {frame.pts_seconds: frame.image for frame in video.frames()}
        shown: list[float] = []
        answers = [frame for _, frame in video.frames_at(targets, lambda picture, _: shown.append(picture.seconds))]
    assert [frame.pts_seconds for frame in answers] == pytest.approx(targets)
    assert all(np.array_equal(frame.image, straight[frame.pts_seconds]) for frame in answers)
    assert {0.0, 0.48, 2.0, 3.96, 6.0} <= {round(seconds, 3) for seconds in shown}
    assert not any(4.0 < round(seconds, 3) < 6.0 for seconds in shown)


def test_pictures_that_nobody_needs_are_not_decoded_nor_missed(make_clip: MakeClip) -> None:
    with open_video(make_clip(frames=100, gop=100, bframes=3)) as video:
        ((_, frame),) = video.frames_at([3.6])
        assert number_shown(frame.image) == 90
        assert video.frames_decoded < 60
        assert video.errors == []


def test_a_picture_that_was_passed_may_be_asked_for_later(make_clip: MakeClip) -> None:
    held: list[Picture] = []

    def watch(picture: Picture, is_answer: bool) -> Picture | None:
        held.append(picture)
        return held[-2] if is_answer and len(held) > 1 else None

    with open_video(make_clip(frames=50, gop=50, bframes=0)) as video:
        answers = [(target, number_shown(frame.image)) for target, frame in video.frames_at([0.4], watch)]
    assert answers == [(pytest.approx(0.36), 9), (0.4, 10)]


def test_targets_may_depend_on_the_frames_so_far(make_clip: MakeClip) -> None:
    asked = [0.2]

    def targets() -> Iterator[float]:
        place = 0
        while place < len(asked):
            yield asked[place]
            place += 1

    with open_video(make_clip(frames=50)) as video:
        numbers = []
        for _target, frame in video.frames_at(targets()):
            numbers.append(number_shown(frame.image))
            if len(numbers) < 4:
                asked.append(frame.pts_seconds + 0.3)
    assert numbers == [5, 13, 21, 29]


def test_one_frame_serves_several_targets_once(make_clip: MakeClip) -> None:
    with open_video(make_clip(pts_ms=[0, 1000, 2000])) as video:
        answers = [(target, frame.pts_seconds) for target, frame in video.frames_at([0.1, 0.2, 0.9, 1.1])]
    assert answers == [(0.1, 1.0), (1.1, 2.0)]


def test_beyond_the_end_is_the_last_frame(make_clip: MakeClip) -> None:
    with open_video(make_clip(frames=50)) as video:
        assert [number_shown(f.image) for _, f in video.frames_at([1.0, 100.0, 200.0])] == [25, 49]
        assert [number_shown(f.image) for _, f in video.frames_at([100.0])] == [49]
        assert list(video.frames_at([])) == []


def test_going_back_in_a_second_reading(make_clip: MakeClip) -> None:
    with open_video(make_clip(frames=200, gop=50)) as video:
        for number in (150, 60, 61, 10, 199, 0):
            ((_, frame),) = video.frames_at([number * 0.04])
            assert number_shown(frame.image) == number


def test_lying_keyframe_flags_change_nothing(make_clip: MakeClip) -> None:
    path = call_every_packet_a_keyframe(make_clip(codec="mpeg4", frames=100, gop=100))
    with open_video(path) as video:
        straight = {frame.pts_seconds: frame.image for frame in video}
    with open_video(path) as video:
        answers = list(video.frames_at([0.0, 2.0, 3.0]))
        assert video.seeks == 1
        assert video.errors == []
    assert [number_shown(frame.image) for _, frame in answers] == [0, 50, 75]
    assert all(np.array_equal(frame.image, straight[frame.pts_seconds]) for _, frame in answers)


def test_damaged_packets_are_skipped_counted_and_reported(make_clip: MakeClip) -> None:
    path = damage_packets(make_clip(frames=100, gop=25, bframes=0), range(30, 40))
    with open_video(path) as video:
        times = [frame.pts_seconds for frame in video]
        lost = [error for error in video.errors if not error.decoded]
        assert video.decode_errors == 10
        assert len(times) == 90
        assert (lost[0].from_seconds, lost[0].to_seconds) == pytest.approx((1.2, 1.6))
        assert len(lost) == 1
        assert times[-1] == pytest.approx(3.96)
        before = video.errors
        assert [number_shown(f.image) for _, f in video.frames_at([3.0])] == [75]
        assert video.errors == before


def test_what_is_read_again_is_counted_once(make_clip: MakeClip) -> None:
    path = damage_packets(make_clip(frames=100, gop=25, bframes=0), range(30, 40))
    with open_video(path) as video:
        for _ in range(2):
            assert len(list(video.frames())) == 90
            list(video.frames_at([1.1, 1.9]))
        assert video.decode_errors == 10


@pytest.mark.parametrize("name", CONTAINERS)
def test_a_place_at_which_a_decoder_cannot_begin_is_no_damage(make_clip: MakeClip, name: str) -> None:
    """Pictures that are refreshed bit by bit (drones, live streams) have no keyframe but the first, and are whole."""
    with open_video(make_clip(name, frames=200, size=(512, 96), x264="intra-refresh=1")) as video:
        shown = {frame.pts_seconds: number_shown(frame.image) for frame in video.frames()}
        assert list(shown.values()) == list(range(200))
        answers = [frame for _, frame in video.frames_at([0.04, 3.0, 6.0])]
        assert [frame.pts_seconds for frame in answers] == pytest.approx([0.04, 3.0, 6.0])
        assert all(number_shown(frame.image) == shown[frame.pts_seconds] for frame in answers)
        assert video.errors == []
        assert video.decode_errors == 0


def test_a_hopeless_file_is_given_up(make_clip: MakeClip, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("detector.video.reader.MAX_CONSECUTIVE_FAILURES", 5)
    path = damage_packets(make_clip(frames=100, gop=25, bframes=0), range(10, 100))
    with open_video(path) as video:
        assert len(list(video)) == 10
        assert video.decode_errors == 5
        (lost,) = [error for error in video.errors if not error.decoded]
        assert (lost.from_seconds, lost.to_seconds) == pytest.approx((0.4, 4.0))


def test_not_one_frame(make_clip: MakeClip) -> None:
    path = damage_packets(make_clip("dead.mp4", frames=20, bframes=0), range(20))
    with open_video(path) as video:
        readings: list[Callable[[], Iterator[object]]] = [
            video.frames,
            lambda: video.frames(keyframes_only=True),
            lambda: video.frames_at([0.1, 0.2]),
        ]
        for reading in readings:
            with pytest.raises(NoDecodableFrame, match=r"^dead\.mp4: not one picture .*\.$"):
                next(reading())


def test_a_new_reading_ends_the_one_before(make_clip: MakeClip) -> None:
    with open_video(make_clip(frames=50)) as video:
        first = video.frames()
        next(first)
        second = video.frames_at([0.0, 1.0, 1.5])
        assert number_shown(next(second)[1].image) == 0
        with pytest.raises(RuntimeError, match="this reading ended"):
            next(first)
        assert number_shown(next(second)[1].image) == 25
    with pytest.raises(RuntimeError):
        next(second)
    with pytest.raises(ValueError, match="is closed"):
        video.frames()


def test_raw_stream_without_times(make_clip: MakeClip) -> None:
    with open_video(make_clip("raw.h264", frames=30, gop=10)) as video:
        frames = list(video.frames())
        assert [number_shown(frame.image) for frame in frames] == list(range(30))
        assert [frame.pts_seconds for frame in frames] == pytest.approx(np.arange(30) * 0.04)
        answers = [number_shown(frame.image) for _, frame in video.frames_at([0.4, 0.8])]
    assert answers == [10, 20]


def test_problems_of_one_kind_close_together_are_one() -> None:
    log = ProblemLog()
    log.add(DecodeProblem(5.0, 5.1, "b"))
    log.add(DecodeProblem(1.0, 1.1, "a"))
    log.add(DecodeProblem(1.5, 1.6, "a"))
    log.add(DecodeProblem(1.5, 1.6, "damaged", decoded=True))
    assert list(log) == [
        DecodeProblem(1.0, 1.6, "a"),
        DecodeProblem(1.5, 1.6, "damaged", decoded=True),
        DecodeProblem(5.0, 5.1, "b"),
    ]
    for number in range(2 * MAX_PROBLEMS):
        log.add(DecodeProblem(10.0 * number, 10.0 * number, "c"))
    assert len(list(log)) == MAX_PROBLEMS
    assert max(problem.to_seconds for problem in log) == 10.0 * (2 * MAX_PROBLEMS - 1)


def test_problems_of_one_kind_never_overlap() -> None:
    log = ProblemLog()
    for start, end in ((8.6, 10.0), (3.1, 3.2), (5.0, 5.1), (4.0, 7.8)):
        log.add(DecodeProblem(start, end, "a"))
    assert [(each.from_seconds, each.to_seconds) for each in log] == [(3.1, 10.0)]
    for number in range(2 * MAX_PROBLEMS):
        log.add(DecodeProblem(20.0 + 10 * number, 20.0 + 10 * number, "c"))
    assert max(each.to_seconds - each.from_seconds for each in log) < 60.0, "no range grows over all that follows"
