"""One pass over a clip's packets that yields pictures with their times and notes what went wrong."""

from __future__ import annotations

import math
from collections import deque
from enum import Enum, auto
from typing import NamedTuple, cast

import av
import numpy as np
from av import VideoFrame
from av.packet import Packet
from av.video.stream import VideoStream

from detector.video.display import name_converted_matrix
from detector.video.limits import (
    MAX_CONSECUTIVE_DEMUX_FAILURES,
    MAX_CONSECUTIVE_FAILURES,
    MISSING_GAP_SECONDS,
)
from detector.video.opening import open_container
from detector.video.probing import Probe, prepare_decoder
from detector.video.problems import DecodeProblem, ProblemLog
from detector.video.reasons import ENCRYPTED, is_encrypted, libav_reasons, reason_of
from detector.video.timeline import FrameClock, JoinedTimes, PacketClock, Timeline, place_of

SAME_TIME_SECONDS = 1e-6
_MAX_FLUSH_FAILURES = 32
_WENT_BACK_SECONDS = 1.0


class Picture(NamedTuple):
    """A decoded picture that is not converted yet."""

    frame: VideoFrame
    seconds: float
    is_keyframe: bool


class Sought(Enum):
    """Where a seek led: to the keyframe, past it, as its picture is damaged, or where the container says none of it."""

    THERE = auto()
    LOST = auto()
    ELSEWHERE = auto()


class Reader:
    """Reads a clip's video packets in order through one decoder. Not for several threads at once.

    `frames_decoded` counts the pictures that came out.
    `last_read` is what `read` returned last, None at the beginning and after a seek.

    `skip_before_seconds` allows the decoder to leave out pictures that are shown before that time and that no
    other picture refers to (FFmpeg's `skip_frame` NONREF); what is shown from then on is not changed by it. It is
    minus infinity at the beginning and after a seek. Half of the decoding of H.264 with B-pyramids is saved:
    3.6 ms a packet became 1.9 ms on 1080p, one thread, FFmpeg 8.1.
    """

    def __init__(self, probe: Probe, problems: ProblemLog, *, threads: int, keyframes_only: bool = False) -> None:
        self._probe = probe
        self._problems = problems
        self.keyframes_only = keyframes_only
        self.frames_decoded = 0
        self.last_reason = "the file holds no video packets"
        self.last_read: Picture | None
        self._container = open_container(probe.path, end=probe.end_byte if probe.unread_recordings else None)
        stream = self._container.streams[probe.stream_index]
        if not isinstance(stream, VideoStream):
            self._container.close()
            raise RuntimeError(f"{probe.path.name} changed while it was read")
        self._stream = stream
        self._codec = stream.codec_context
        prepare_decoder(stream, threads=threads)
        self._fed_packets = 0
        self._keyframe_packets = np.flatnonzero(probe.is_keyframe)
        self._timeline = Timeline(self._container, stream)
        self._frame_clock = FrameClock(self._timeline)
        self._is_skipping = False
        self._counts_frames = self._timeline.decode_order
        self._begin_at(0, -math.inf)

    def close(self) -> None:
        self._pending.clear()
        self.last_read = None
        self._container.close()

    @property
    def next_packet(self) -> int:
        """How many entries of `probe.pts_seconds` lie before the read position in presentation order."""
        return self._expected

    @property
    def fed_packets(self) -> int:
        """How many packets went to the decoder so far, seeks included."""
        return self._fed_packets

    @property
    def may_have_skipped(self) -> bool:
        """Whether pictures may have been left out since the last seek because of `skip_before_seconds`."""
        return self._skipped_until > -math.inf

    @property
    def reorders_times(self) -> bool:
        """Whether times depend on all packets before (AVI with B-frames, joined recordings, pictures without times), so
        that seeking would shift them."""
        if self._probe.times != "stated":
            return True
        return self._timeline.decode_order and bool(self._codec.has_b_frames)

    def read(self) -> Picture | None:
        """The next picture in presentation order, or None at the end of the clip."""
        while not self._pending:
            if self._ended:
                return None
            self._feed_one_packet()
        self.last_read = self._pending.popleft()
        return self.last_read

    def seek(self, keyframe: int) -> Sought:
        """Go to the given keyframe (its number in `probe.keyframe_seconds`); the next `read` returns it.

        Unless it is THERE the position is undefined and the reader is of no more use.
        """
        packet_number = int(self._keyframe_packets[keyframe])
        wanted_seconds = float(self._probe.pts_seconds[packet_number])
        if not self._fed_packets:
            # The first packet may tell which encoder made the clip; without it FFmpeg decodes the 4:4:4 H.264 of
            # old x264 versions wrongly from there on (corpus: plain__cockatoo.mp4).
            self._feed_one_packet()
        with libav_reasons():
            try:
                self._container.seek(int(self._probe.keyframe_seek_ticks[keyframe]), stream=self._stream)
            except (av.FFmpegError, ValueError):
                return Sought.ELSEWHERE
        self._begin_at(packet_number, wanted_seconds)
        problems, self._problems = self._problems, ProblemLog()
        sought = self._leads_to(wanted_seconds)
        if sought is Sought.THERE:
            # What is no place to begin at is no damage; what is, is found again by who reads up to here.
            problems.take(self._problems)
        self._problems = problems
        return sought

    def _leads_to(self, wanted_seconds: float) -> Sought:
        """Whether the first picture from that time on is shown then, and a keyframe; it is the next to be read."""
        while (picture := self.read()) is not None:
            if picture.seconds >= wanted_seconds - SAME_TIME_SECONDS:
                self._pending.appendleft(picture)
                self.last_read = None
                if picture.seconds > wanted_seconds + SAME_TIME_SECONDS:
                    return Sought.LOST
                return Sought.THERE if picture.is_keyframe else Sought.ELSEWHERE
        return Sought.ELSEWHERE

    def _begin_at(self, packet_number: int, trusted_from_seconds: float) -> None:
        self._packets = self._container.demux(self._stream)
        self._packet_clock = PacketClock(self._timeline)
        self._joined = JoinedTimes(self._timeline)
        self.last_read = None
        self._frame_clock.reset()
        self._pending: deque[Picture] = deque()
        self._ended = False
        self._failures = 0
        self._demux_failures = 0
        self._expected = packet_number
        self.skip_before_seconds = -math.inf
        self._skipped_until = -math.inf
        # After a seek, pictures before the keyframe may lack what they refer to: that is no damage.
        self._trusted_from = trusted_from_seconds

    def _feed_one_packet(self) -> None:
        packet = self._next_packet()
        if packet is None:
            if not self.keyframes_only:
                self._flush()
            self._end()
            return
        if packet.size == 0:
            # An empty packet (a dropped frame in AVI) would tell the decoder that the stream has ended.
            return
        if self._probe.times == "joined":
            self._joined.move(packet)
            packet = _not_discarded(packet)
        elif self._probe.times == "nominal":
            packet.pts = packet.dts = packet.duration = None
        if self._probe.strays and packet.pts is not None:
            packet.pts = self._probe.strays.get((packet.pts, place_of(packet)), packet.pts)
        seconds = self._packet_clock.seconds(packet.pts, packet.dts, packet.duration)
        if self.keyframes_only and not packet.is_keyframe:
            return
        if not self.keyframes_only:
            self._frame_clock.feed(None if packet.is_discard else packet.pts)
            self._skip_what_nobody_needs(packet, seconds)
        self._fed_packets += 1
        if is_encrypted(packet):
            self._note_failure(seconds, ENCRYPTED)
            return
        with libav_reasons():
            try:
                frames = self._decode_alone(packet) if self.keyframes_only else self._codec.decode(packet)
            except (av.FFmpegError, ValueError) as error:
                self._frame_clock.lose(packet.pts)
                self._note_failure(seconds, reason_of(error))
                return
        if frames:
            self._failures = 0
        for frame in frames:
            self._accept(frame, seconds if self.keyframes_only else None)

    def _skip_what_nobody_needs(self, packet: Packet[VideoStream], seconds: float) -> None:
        # Frames that take their times from the packets fed (AVI) or from the frame before would get wrong ones if some
        # were left out.
        self._counts_frames |= packet.pts is None
        skips = not self._counts_frames and seconds < self.skip_before_seconds
        if skips != self._is_skipping:
            self._codec.skip_frame = "NONREF" if skips else "DEFAULT"
            self._is_skipping = skips
        if skips:
            self._skipped_until = max(self._skipped_until, self.skip_before_seconds)

    def _decode_alone(self, packet: Packet[VideoStream]) -> list[VideoFrame]:
        """Decode a keyframe with nothing before or after it.

        FFmpeg's own way of leaving out the rest (`skip_frame`) loses half of the keyframes of interlaced H.264
        and hands the others out backwards (corpus: interlaced__fate_interlaced_crop.mp4).
        """
        try:
            return self._codec.decode(packet) + self._codec.decode(None)
        finally:
            self._codec.flush_buffers()

    def _next_packet(self) -> Packet[VideoStream] | None:
        while True:
            with libav_reasons():
                try:
                    packet = next(self._packets, None)
                except (av.FFmpegError, ValueError) as error:
                    self._demux_failures += 1
                    self._note_failure(self._position_seconds(), reason_of(error))
                    if self._ended or self._demux_failures >= MAX_CONSECUTIVE_DEMUX_FAILURES:
                        return None
                    self._packets = self._container.demux(self._stream)
                    continue
            self._demux_failures = 0
            is_flush = packet is not None and packet.size == 0 and packet.pts is None and packet.dts is None
            return None if is_flush else packet

    def _flush(self) -> None:
        """Take out what the decoder holds back for reordering, also past a picture that fails."""
        for _ in range(_MAX_FLUSH_FAILURES):
            with libav_reasons():
                try:
                    frames = self._codec.decode(None)
                except EOFError:
                    return
                except (av.FFmpegError, ValueError) as error:
                    self._note_failure(self._position_seconds(), reason_of(error))
                    continue
            for frame in frames:
                self._accept(frame)
            return

    def _end(self) -> None:
        self._ended = True
        end = self._probe.duration_seconds
        if not self.keyframes_only:
            self._note_gap(len(self._probe.pts_seconds), end)
            if self._frame_clock.last_seconds > -math.inf:
                end = min(end, self._frame_clock.last_seconds + self._timeline.step_seconds)
        if self._probe.promised_end_seconds is not None:
            self._problems.add(cut_off(end, self._probe.promised_end_seconds))

    def _accept(self, frame: VideoFrame, packet_seconds: float | None = None) -> None:
        name_converted_matrix(frame)
        is_keyframe = bool(frame.key_frame)
        seconds = self._frame_clock.seconds(frame.pts, frame.duration, is_keyframe, otherwise=packet_seconds)
        self.frames_decoded += 1
        trusted = seconds >= self._trusted_from - SAME_TIME_SECONDS
        step = self._timeline.step_seconds
        if trusted and not self.keyframes_only:
            first_after = int(np.searchsorted(self._probe.pts_seconds, seconds - SAME_TIME_SECONDS, side="left"))
            self._note_gap(first_after, seconds)
            after = int(np.searchsorted(self._probe.pts_seconds, seconds + SAME_TIME_SECONDS, side="right"))
            self._expected = max(self._expected, after)
        if trusted and frame.is_corrupt:
            reason = "damaged pictures, shown as far as the decoder could repair them"
            self._problems.add(DecodeProblem(seconds, seconds + step, reason, decoded=True))
        if self._frame_clock.went_back_seconds > _WENT_BACK_SECONDS:
            back = self._frame_clock.went_back_seconds
            reason = f"the file's times go back by {back:.1f} s; the pictures carry the time before the jump"
            self._problems.add(DecodeProblem(seconds, seconds + step, reason, decoded=True))
        self._pending.append(Picture(frame, seconds, is_keyframe))

    def _note_gap(self, first_after: int, until_seconds: float) -> None:
        expected = self._expected
        if self.may_have_skipped:
            # What was left out on purpose is not missing.
            skipped = np.searchsorted(self._probe.pts_seconds, self._skipped_until - SAME_TIME_SECONDS, side="left")
            expected = max(expected, int(skipped))
        missing = first_after - expected
        if missing <= 2:
            return
        from_seconds = float(self._probe.pts_seconds[expected])
        if until_seconds - from_seconds > MISSING_GAP_SECONDS:
            reason = f"{missing} pictures could not be decoded"
            self._problems.add(DecodeProblem(from_seconds, until_seconds, reason))

    def _note_failure(self, seconds: float, reason: str) -> None:
        self.last_reason = reason
        if seconds < self._trusted_from - SAME_TIME_SECONDS:
            return
        self._failures += 1
        until = seconds + self._timeline.step_seconds
        if self._failures >= MAX_CONSECUTIVE_FAILURES:
            self._ended = True
            until = max(until, self._probe.duration_seconds)
            reason = f"given up after {self._failures} packets in a row that could not be decoded ({reason})"
        self._problems.add_failed(seconds, DecodeProblem(seconds, until, reason))

    def _position_seconds(self) -> float:
        pts = self._probe.pts_seconds
        return float(pts[min(self._expected, len(pts) - 1)]) if len(pts) else 0.0


def _not_discarded(packet: Packet[VideoStream]) -> Packet[VideoStream]:
    """The packet as one that is shown: where times begin anew in an MP4, FFmpeg takes what comes for cut away."""
    if not packet.is_discard:
        return packet
    shown = cast("Packet[VideoStream]", Packet(bytes(packet)))
    shown.pts, shown.dts, shown.duration, shown.time_base = packet.pts, packet.dts, packet.duration, packet.time_base
    shown.is_keyframe = packet.is_keyframe
    return shown


def cut_off(from_seconds: float, promised_end_seconds: float) -> DecodeProblem:
    """The problem of a file that ends before its header says."""
    return DecodeProblem(from_seconds, promised_end_seconds, "the file is cut off here")
