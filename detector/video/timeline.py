"""From a container's ticks to seconds on the clip's timeline."""

from __future__ import annotations

import heapq
import math
from fractions import Fraction

import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.stream import VideoStream
from numpy.typing import NDArray

MICROSECOND = Fraction(1, 1_000_000)

_TIMELINE_FORMATS = frozenset(("mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "avi"))
"""Containers whose zero is the start of the presentation, so that a late first picture stays late."""

_DECODE_ORDER_FORMATS = frozenset(("avi",))
"""Containers that store no presentation times: what they give counts packets in decoding order."""

MAX_REORDERED_PACKETS = 17
"""A decoder holds back at most 16 pictures (H.264, HEVC); an older time left over belongs to a lost packet."""

_LISTED_TIMES_FORMATS = frozenset(("mov,mp4,m4a,3gp,3g2,mj2", "avi"))
"""Containers that have a list of their packets' times, or count packets: within a recording no time begins anew."""

_CLOCK_BITS = {"mpegts": 33, "mpeg": 33, "flv": 32, "live_flv": 32, "asf": 32}
"""Containers whose clock goes round once it has counted so far. FFmpeg adds a round to every time that lies more than a
minute before the first one, though it may be that of a recording that was joined to another."""

_MOST_PACKETS_BEFORE = 2 * MAX_REORDERED_PACKETS
"""So many packets at most come before one that is shown earlier, where each holds a field."""

_HOLE = 1.5
"""Times the usual distance of pictures, from which one is missing between two."""

JUMP_SECONDS = Fraction(1)
"""So far back and a recording has begun anew, unless pictures are so few that their reordering reaches as far."""

_DEFAULT_RATE = Fraction(25)


class Timeline:
    """The clip's time: seconds since what a player shows as 0:00.

    That is tick 0 for MP4/MOV, Matroska/WebM and AVI, and the start of the earliest stream for all other
    containers (MPEG-TS, MPEG-PS, FLV, ...), which have no zero of their own.
    """

    def __init__(self, container: InputContainer, stream: VideoStream) -> None:
        self.time_base = stream.time_base or MICROSECOND
        self.origin = _origin(container)
        rate = stream.guessed_rate or stream.average_rate or _DEFAULT_RATE
        self.step = 1 / Fraction(rate)
        self.step_seconds = float(self.step)
        self.decode_order = container.format.name in _DECODE_ORDER_FORMATS
        self.is_listed = container.format.name in _LISTED_TIMES_FORMATS
        bits = _CLOCK_BITS.get(container.format.name)
        self.round_ticks = None if bits is None else 1 << bits
        # Whole numbers, as every packet is asked for its time: ticks * time_base - origin, divided once.
        self._factor = self.time_base.numerator * self.origin.denominator
        self._less = self.origin.numerator * self.time_base.denominator
        self._divisor = self.time_base.denominator * self.origin.denominator

    def seconds(self, ticks: int) -> float:
        """Seconds of a presentation time given in ticks of the stream's time base."""
        return (ticks * self._factor - self._less) / self._divisor

    def ticks(self, seconds: float) -> int:
        """The tick of the stream's time base that lies nearest to a time."""
        return round((seconds * self._divisor + self._less) / self._factor)

    def length_seconds(self, ticks: int) -> float:
        """Seconds that so many ticks of the stream's time base last."""
        return ticks * self.time_base.numerator / self.time_base.denominator

    def picture_seconds(self, ticks: int | None) -> float:
        """The same, of a picture; one frame at the nominal rate where its length is not known."""
        return self.length_seconds(ticks) if ticks is not None and ticks > 0 else self.step_seconds


class JoinedTimes:
    """Moves packets whose times begin anew behind those before them, as players show recordings that were joined.

    Such a file is two of them end to end (`cat a.ts b.ts`), or a recorder's that started again. `found` says whether
    there was such a place. A packet whose decoding time lies JUMP_SECONDS or more before the end of the last one begins
    a part; where one soon after it goes on as the one before it did, it was a stray, and no part: see `strays`. Where
    the container's clock goes round, a time is the one of its rounds that lies nearest to the end of the last packet.

    `strays` are presentation time and position in the file of the packets of no part, and the time that they got.
    """

    def __init__(self, timeline: Timeline) -> None:
        self.found = False
        self.strays: dict[tuple[int, int], int] = {}
        self._step_ticks = max(1, round(timeline.step / timeline.time_base))
        self._jump_ticks = max(1, round(_jump(timeline) / timeline.time_base))
        self._round_ticks = timeline.round_ticks
        self._moved_by = 0
        self._end: int | None = None
        self._shown_to: int | None = None
        self._before: tuple[int, int | None, int, bool] | None = None
        self._packets_since = 0
        self._moved_since: dict[tuple[int, int], int] = {}

    def move(self, packet: Packet[Stream] | Packet[VideoStream]) -> None:
        """Set the times of the next packet in decoding order."""
        stated = packet.pts if packet.dts is None else packet.dts
        if stated is None or packet.size == 0:
            return
        self._packets_since += 1
        ticks = stated if self._end is None else self._nearest(stated, self._end)
        if self._end is not None and abs(ticks - self._end) >= self._jump_ticks:
            before = self._before if self._packets_since <= MAX_REORDERED_PACKETS else None
            moved, self._moved_since = self._moved_since, {}
            self._before, self._packets_since = (self._end, self._shown_to, self._moved_by, self.found), 0
            if before is not None and abs(self._nearest(stated, before[0]) - before[0]) < self._jump_ticks:
                ticks = self._nearest(stated, before[0])
                _, self._shown_to, self._moved_by, self.found = before
                self.strays |= moved
            elif ticks < self._end:
                self._moved_by += self._end - ticks
                if packet.is_keyframe and packet.pts is not None and self._shown_to is not None:
                    # Where decoding times are made up, what is decoded last is not shown last.
                    self._moved_by += max(0, self._shown_to - (packet.pts + ticks - stated + self._moved_by))
        length = packet.duration or self._step_ticks
        self._end = ticks + length
        self._move(packet, ticks - stated + self._moved_by)
        if packet.pts is not None:
            shown_to = packet.pts + length
            self._shown_to = shown_to if self._shown_to is None else max(self._shown_to, shown_to)

    def _move(self, packet: Packet[Stream] | Packet[VideoStream], by: int) -> None:
        if not by:
            return
        self.found = True
        packet.dts = None if packet.dts is None else packet.dts + by
        if packet.pts is not None:
            if self._packets_since <= MAX_REORDERED_PACKETS:
                self._moved_since[packet.pts, place_of(packet)] = packet.pts + by
            packet.pts += by

    def _nearest(self, ticks: int, end: int) -> int:
        """The time that `ticks` stand for which lies nearest to `end`."""
        if self._round_ticks is None:
            return ticks
        return end + (ticks - end + self._round_ticks // 2) % self._round_ticks - self._round_ticks // 2


def place_of(packet: Packet[Stream] | Packet[VideoStream]) -> int:
    """Where in the file the packet lies, -1 where the container does not say."""
    return -1 if packet.pos is None else packet.pos


def stray_times(seconds: NDArray[np.float64], timeline: Timeline) -> dict[int, float]:
    """Of packets in decoding order, those whose time lies so far ahead that it must be damaged, with a better one.

    Such a time stands alone, and what is decoded later than any reordering allows is shown before it. Kept, it would be
    the time of all pictures after it, as times never go back. The better one fills the hole that its picture left.
    """
    jump = float(_jump(timeline))
    strays: dict[int, float] = {}
    for place in np.flatnonzero(seconds[:-1] - seconds[1:] >= jump).tolist():
        before, after = max(0, place - MAX_REORDERED_PACKETS), place + MAX_REORDERED_PACKETS + 1
        near = np.append(seconds[before:place], seconds[place + 1 : after])
        later = seconds[place + _MOST_PACKETS_BEFORE + 1 : place + 2 * _MOST_PACKETS_BEFORE]
        is_alone = bool((abs(near - seconds[place]) >= jump).all())
        if len(later) and is_alone and bool((later <= seconds[place] - jump).all()):
            shown = np.sort(near[near < seconds[place]])
            steps = np.diff(shown)
            usual = float(np.median(steps)) if len(steps) else timeline.step_seconds
            holes = shown[:-1][steps > _HOLE * usual]
            beside = near[max(0, place - before - 1)]
            left = holes[abs(holes - beside).argmin()] if len(holes) else beside
            strays[place] = float(left + usual)
    return strays


def _jump(timeline: Timeline) -> Fraction:
    return max(JUMP_SECONDS, MAX_REORDERED_PACKETS * timeline.step)


class PacketClock:
    """Gives every packet a time, also those to which the container gives none.

    Such a packet takes its decoding time; where that is missing too (raw streams, several pictures in one PES packet),
    it follows the packet before it by that one's length, or by one frame at the stream's nominal rate, the first one
    starting at 0.
    """

    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline
        self._next = 0.0

    def seconds(self, pts: int | None, dts: int | None, length: int | None) -> float:
        """`length` in ticks; None or 0 where it is not known."""
        ticks = dts if pts is None else pts
        seconds = self._next if ticks is None else self._timeline.seconds(ticks)
        self._next = seconds + self._timeline.picture_seconds(length)
        return seconds


class FrameClock:
    """Gives decoded frames times that never go back.

    - AVI stores no presentation times. Frames leave the decoder in the order in which they are shown, so they
      take the times of the packets fed so far, smallest first.
    - A frame without a time (raw streams, several pictures in one PES packet) follows the one before it by that one's
      length, or by one frame at the nominal rate.
    - A time before that of the last frame (a broken recorder, a splice that FFmpeg could not bridge) is
      replaced by the last frame's: `went_back_seconds` says by how much it lay back.
    """

    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline
        self.reset()

    def reset(self) -> None:
        """Forget the past, as after a seek."""
        self._fed: list[int] = []
        self._last = -math.inf
        self._last_length = 0.0
        self.went_back_seconds = 0.0

    @property
    def last_seconds(self) -> float:
        """The time of the last frame, minus infinity before the first."""
        return self._last

    def feed(self, pts: int | None) -> None:
        """Tell the time of a packet that goes to the decoder now."""
        if self._timeline.decode_order and pts is not None:
            heapq.heappush(self._fed, pts)
            if len(self._fed) > MAX_REORDERED_PACKETS:
                heapq.heappop(self._fed)

    def lose(self, pts: int | None) -> None:
        """Tell the time of a packet that the decoder refused."""
        if pts in self._fed:
            self._fed.remove(pts)
            heapq.heapify(self._fed)

    def seconds(
        self, pts: int | None, length: int | None, is_keyframe: bool, *, otherwise: float | None = None
    ) -> float:
        """The time of the frame that leaves the decoder now, and lasts `length` ticks (None or 0: it is not known);
        `otherwise` is for a frame without one."""
        if self._fed and pts is not None:
            # Whatever was fed before this keyframe has been shown by now, or was lost.
            while is_keyframe and len(self._fed) > 1 and self._fed[0] < pts:
                heapq.heappop(self._fed)
            pts = heapq.heappop(self._fed)
        if pts is not None:
            seconds = self._timeline.seconds(pts)
        elif otherwise is not None:
            seconds = otherwise
        else:
            seconds = 0.0 if self._last == -math.inf else self._last + self._last_length
        self._last_length = self._timeline.picture_seconds(length)
        self.went_back_seconds = max(0.0, self._last - seconds)
        self._last = max(self._last, seconds)
        return self._last


def _origin(container: InputContainer) -> Fraction:
    if container.format.name in _TIMELINE_FORMATS or container.start_time is None:
        return Fraction(0)
    start = container.start_time * MICROSECOND
    # The container's start is a stream's start rounded to microseconds; the stream has it exactly.
    exact = (
        stream.start_time * stream.time_base
        for stream in container.streams
        if stream.start_time is not None and stream.time_base
    )
    return min((value for value in exact if abs(value - start) <= MICROSECOND), default=start)
