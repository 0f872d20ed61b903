"""The coarse pass: as few pictures as keep the promised cadence, keyframes first because they are cheap to decode."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from detector.sampling.plan import Timeline

SAME_TIME_SECONDS = 1e-6
USUAL_SHARE = 0.5
"""A distance between keyframes that at least this share of them have, and two of them, is the encoder's habit, not the
film's."""
SIZES_AROUND = 12
"""Frames on either side with which a coded frame's size is compared…"""
LARGE = 4.0
"""…of whose geometric mean it must be this many times to hint at a cut…"""
LIKE_KEYFRAME = 0.25
"""…and this share of a usual keyframe's size."""


def coarse_times(timeline: Timeline, cadence_seconds: float, shortest_shot_seconds: float) -> tuple[float, ...]:
    """When to look so as to keep the promised cadence, and at shots that the packets' sizes suggest. The clip has
    frames."""
    frames = _coarse_pass(timeline, cadence_seconds, shortest_shot_seconds)
    if timeline.packet_bytes is not None:
        told = [*keyframes_at_cuts(np.flatnonzero(timeline.is_keyframe)), len(timeline.pts_seconds) - 1]
        cuts = np.union1d(told, suspected_cuts(timeline.packet_bytes, timeline.is_keyframe))
        frames += frames_of_short_shots(frames, cuts, timeline.pts_seconds, shortest_shot_seconds)
    return tuple(timeline.pts_seconds[sorted({*frames})].tolist())


def wider_times(timeline: Timeline, cadence_seconds: float, shortest_shot_seconds: float) -> tuple[float, ...]:
    """When to look at a cadence that time suffices for, and at nothing besides. The clip has frames."""
    frames = _coarse_pass(timeline, cadence_seconds, shortest_shot_seconds)
    return tuple(timeline.pts_seconds[list(frames)].tolist())


def _coarse_pass(timeline: Timeline, cadence_seconds: float, shortest_shot_seconds: float) -> tuple[int, ...]:
    """Positions of frames, ascending, such that whatever is shown for `cadence_seconds` or longer is shown on one.

    A frame is shown from its time to that of the next. What lies between two samples is shown from the frame after the
    first one to the second one, so samples may lie further apart than the cadence, by less than a frame. Where
    keyframes lie close enough, only some of them are taken. Between two that lie too far apart, the gap is filled from
    its end, so that the last fill-in comes as early as it may: what follows it need not be decoded. Keyframes outside
    an encoder's regular distance mark cuts, and are taken if `shortest_shot_seconds` lie between them.
    """
    pts = timeline.pts_seconds
    times = np.append(pts, max(timeline.duration_seconds, float(pts[-1])))
    end = len(pts)
    keys = np.flatnonzero(timeline.is_keyframe)
    at_cuts = _apart(keyframes_at_cuts(keys), pts, shortest_shot_seconds)
    anchors, fills = [0], []
    while True:
        here = anchors[-1]
        cut = int(np.searchsorted(at_cuts, here, side="right"))
        next_cut = int(at_cuts[cut]) if cut < len(at_cuts) else end
        farthest = min(_reach(times, here, cadence_seconds), next_cut)
        if farthest == end:
            break
        place = int(np.searchsorted(keys, farthest, side="right")) - 1
        if place >= 0 and keys[place] > here:
            anchors.append(int(keys[place]))
            continue
        next_key = int(keys[place + 1]) if place + 1 < len(keys) else end
        fills += _fill_from_the_end(times, here, next_key, cadence_seconds)
        if next_key == end:
            break
        anchors.append(next_key)
    return tuple(sorted({*anchors, *fills}))


def keyframes_at_cuts(keys: NDArray[np.intp]) -> NDArray[np.intp]:
    """Of the positions of keyframes, those that do not follow the one before at the encoder's regular distance."""
    distances = np.diff(keys)
    if not len(distances):
        return keys[:0]
    values, counts = np.unique(distances, return_counts=True)
    usual = int(values[counts.argmax()])
    if np.count_nonzero(abs(distances - usual) <= 1) < max(2, USUAL_SHARE * len(distances)):
        return keys[1:]
    return keys[1:][abs(distances - usual) > 1]


def suspected_cuts(packet_bytes: NDArray[np.uint32], is_keyframe: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Positions of frames that are no keyframes and yet coded in many more bytes than those around them.

    What cannot be predicted from earlier pictures must be coded anew, so a cut within a group of pictures is a picture
    nearly as large as a keyframe. In the quick clips of the time benchmark (x264), every appearance in a shot that lies
    whole between two samples of the coarse pass is sampled for it, at the price of 20 samples in addition to 218, five
    of them for shots that end at a keyframe.
    """
    others = np.flatnonzero(~is_keyframe)
    if not len(others) or len(others) == len(is_keyframe):
        return others[:0]
    sizes = np.log(np.maximum(packet_bytes[others], 1))
    total = np.concatenate([[0.0], np.cumsum(sizes)])
    places = np.arange(len(sizes))
    start, end = np.maximum(places - SIZES_AROUND, 0), np.minimum(places + SIZES_AROUND + 1, len(sizes))
    usual = (total[end] - total[start] - sizes) / np.maximum(end - start - 1, 1)
    like_keyframe = packet_bytes[others] >= LIKE_KEYFRAME * np.median(packet_bytes[is_keyframe])
    suspected: NDArray[np.intp] = others[(sizes - usual >= np.log(LARGE)) & like_keyframe]
    return suspected


def frames_of_short_shots(
    sampled: Sequence[int], cuts: NDArray[np.intp], pts: NDArray[np.float64], shortest_shot_seconds: float
) -> tuple[int, ...]:
    """Frames in the shots that cuts suggest between two neighbouring samples; all are positions of frames, ascending.

    The middle of every stretch between two cuts, of which the later one may be the sample after them or the last
    frame, that lasts as long as the shortest shot; where there is none, since one of several cuts may be none, that of
    the longest stretch, if they last so long together.
    """
    least = shortest_shot_seconds - SAME_TIME_SECONDS
    frames: list[int] = []
    gaps = np.searchsorted(np.asarray(sampled, np.intp), cuts, side="left")
    for gap in np.unique(gaps).tolist():
        inside = cuts[gaps == gap]
        seconds = np.diff(pts[inside])
        if not len(seconds) or seconds.sum() < least:
            continue
        chosen = np.flatnonzero(seconds >= least) if seconds.max() >= least else np.array([seconds.argmax()])
        frames += ((inside[chosen] + inside[chosen + 1]) // 2).tolist()
    return tuple(frames)


def _apart(places: NDArray[np.intp], pts: NDArray[np.float64], seconds: float) -> NDArray[np.intp]:
    kept: list[int] = []
    for place in places.tolist():
        if pts[place] - pts[kept[-1] if kept else 0] >= seconds:
            kept.append(place)
    return np.array(kept, np.intp)


def _reach(times: NDArray[np.float64], here: int, cadence: float) -> int:
    """The last frame (or the end) that may follow the sample `here` without a sample in between."""
    if here + 1 >= len(times) - 1:
        return len(times) - 1
    limit = times[here + 1] + cadence - SAME_TIME_SECONDS
    return max(here + 1, int(np.searchsorted(times, limit, side="right")) - 1)


def _fill_from_the_end(times: NDArray[np.float64], start: int, end: int, cadence: float) -> list[int]:
    fills: list[int] = []
    while True:
        # The first frame that may be the first unseen one before `end`; the one before it must be a sample.
        first_unseen = int(np.searchsorted(times, times[end] - cadence + SAME_TIME_SECONDS, side="right"))
        sample = min(first_unseen, end) - 1
        if sample <= start:
            return fills[::-1]
        fills.append(sample)
        end = sample
