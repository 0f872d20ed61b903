"""One pass over all packets of a clip: their times, what is missing, the end, and the first picture that comes out."""

from __future__ import annotations

from array import array
from pathlib import Path
from typing import Literal

import av
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.stream import VideoStream
from numpy.typing import NDArray

from detector.video.limits import MAX_CONSECUTIVE_DEMUX_FAILURES, MAX_FIRST_PICTURE_PACKETS, MISSING_GAP_SECONDS
from detector.video.reasons import ENCRYPTED, count_streams, is_encrypted, libav_reasons, reason_of
from detector.video.stated_length import last_fragment_ticks, stated_seconds
from detector.video.timeline import (
    MAX_REORDERED_PACKETS,
    MICROSECOND,
    JoinedTimes,
    PacketClock,
    Timeline,
    place_of,
    stray_times,
)

_DTS_SEEK_FORMATS = frozenset(("mpegts", "mpeg", "flv", "live_flv"))
"""Containers that are searched by decoding time; the others keep an index of presentation times."""

FEWEST_EQUAL_TIMES = 3
"""So many pictures that all have one time have none at all."""

_ABSOLUTE_DURATION_FORMATS = frozenset(("matroska,webm", "asf"))
"""Containers in which FFmpeg's muxers write the time of the end as the duration, however late the first picture is."""

_CUT_OFF_SECONDS = 0.5
_FEWEST_MISSING = 5
"""Pictures that a hole in a file has room for, so that it is not what comes of packets in decoding order."""
_LONGEST_LOSS_SECONDS = 60.0
"""Where transport packets are missing and more time is, a recording was made after a pause and joined to the other."""
_FLAWED, _DAMAGED, _PASSED_OVER = 1, 2, 3
"""Just before a packet, transport packets were missing, or the container had something that could not be read, or it
lists packets that were not found."""
_CHUNK_HEADER_BYTES = 8
"""Between the place that an AVI file's index states and that of the packet."""
_PACKETS_AT_ONCE = 256
_GAPLESS_FORMATS = frozenset(("matroska,webm", "mpeg", "flv"))
"""Containers in which next to nothing but packets lies between packets, in the order of the file."""
_PACKET_HEADER_BYTES = 64
_LOST_BYTES, _BYTES_OF_LOSS = 4096, 0.5
"""Where so many bytes were passed over, and that part of what pictures usually take, they were lost: it is no pause."""

Times = Literal["stated", "joined", "nominal"]


class PacketScan:
    """One pass over all packets: their times, and the first picture that can be decoded."""

    def __init__(self, timeline: Timeline, stream: VideoStream, *, is_joined: bool) -> None:
        self._timeline = timeline
        self._is_joined = is_joined
        self._stream = stream
        self._clock = PacketClock(timeline)
        self._joined = JoinedTimes(timeline)
        self.times: Times = "stated"
        self._by_dts = stream.container.format.name in _DTS_SEEK_FORMATS
        self._seconds = array("d")
        self._keyframes = bytearray()
        self._sizes = array("I")
        self._seek_ticks = array("q")
        self._positions = array("q")
        self._lengths = array("f")
        self._damage_before = bytearray()
        self._last: tuple[float, float] = (0.0, 0.0)
        self._index = iter(stream.index_entries if timeline.decode_order else ())
        self._listed = next(self._index, None)
        self._passed_over = 0
        self._is_behind_hole = False
        self._counted_wrongly: dict[tuple[int, int], int] = {}
        self._discarded_end_seconds = self._other_end_seconds = 0.0
        self._stray_ends_seconds: list[float] = []
        self._decoded_packets = 0
        self.first_picture: av.VideoFrame | None = None
        self._is_gapless = stream.container.format.name in _GAPLESS_FORMATS
        self._read_to = 0
        self._pause_before: int | None = None
        self._other_bytes = 0
        self._passed_bytes: dict[int, int] = {}
        self._packets_since_damage = self._packets_since_flaw = MAX_REORDERED_PACKETS + 1
        self.last_reason = ""
        self.has_late_streams = False

    def run(self, container: InputContainer) -> None:
        self._read_all(container)
        self.has_late_streams |= count_streams(container) > len(container.streams)

    def _read_all(self, container: InputContainer) -> None:
        failures = 0
        packets = container.demux()
        while failures < MAX_CONSECUTIVE_DEMUX_FAILURES:
            # FFmpeg's words are gathered while this is open, and those of a damaged clip are many.
            with libav_reasons() as messages:
                for _ in range(_PACKETS_AT_ONCE):
                    said = len(messages)
                    try:
                        packet = next(packets, None)
                    except IndexError:
                        # How PyAV (18.1) mostly ends a file, all of it read, in which a stream began on the way.
                        self.has_late_streams = True
                        return
                    except (av.FFmpegError, ValueError):
                        failures += 1
                        packets = container.demux()
                        break
                    failures = 0
                    if packet is None:
                        return
                    if any(component == container.format.name for _, component, _ in messages[said:]):
                        self._packets_since_damage = 0
                    self._take(packet)

    def _take(self, packet: Packet[Stream]) -> None:
        if packet.stream_index == self._stream.index:
            if self._is_joined or not self._timeline.is_listed:
                self._joined.move(packet)
            if self._timeline.decode_order and packet.dts is not None and packet.pts is not None:
                self._count_by_index(packet, packet.dts, packet.pts)
            self._look_for_picture(packet)
            self._note(packet)
            return
        self._other_bytes += packet.size + _PACKET_HEADER_BYTES
        if packet.stream.type == "audio" and packet.pts is not None and packet.time_base:
            end = (packet.pts + (packet.duration or 0)) * packet.time_base - self._timeline.origin
            self._other_end_seconds = max(self._other_end_seconds, float(end))

    def _count_by_index(self, packet: Packet[Stream], dts: int, pts: int) -> None:
        """Give a packet of an AVI file the number that it has in the file's index.

        FFmpeg counts those that it finds: behind a damaged part all would come too early.
        """
        place = place_of(packet)
        while self._listed is not None and self._listed.pos + _CHUNK_HEADER_BYTES < place:
            self._listed = next(self._index, None)
        if self._listed is not None and self._listed.pos + _CHUNK_HEADER_BYTES == place:
            self._is_behind_hole |= self._listed.timestamp - dts > self._passed_over
            self._passed_over = max(self._passed_over, self._listed.timestamp - dts)
        if self._passed_over:
            self._counted_wrongly[pts, place] = packet.pts = pts + self._passed_over
            packet.dts = dts + self._passed_over

    def _note(self, packet: Packet[Stream]) -> None:
        if packet.size == 0:
            return
        seconds = self._clock.seconds(packet.pts, packet.dts, packet.duration)
        length = max(0.0, self._timeline.length_seconds(packet.duration or 0))
        if packet.is_discard and not self._is_joined:
            self._discarded_end_seconds = max(self._discarded_end_seconds, seconds + length)
            return
        self._note_damage(packet)
        if self._is_gapless:
            self._note_bytes(packet, seconds)
        self._seconds.append(seconds)
        self._lengths.append(length)
        self._keyframes.append(packet.is_keyframe)
        self._sizes.append(min(packet.size, 2**32 - 1))
        self._positions.append(place_of(packet))
        if packet.is_keyframe:
            ticks = packet.dts if self._by_dts or packet.pts is None else packet.pts
            self._seek_ticks.append(ticks or 0)
        if seconds >= self._last[0]:
            self._last = (seconds, length)

    def _note_damage(self, packet: Packet[Stream]) -> None:
        if packet.is_corrupt:
            self._packets_since_flaw = 0
        is_damaged = self._packets_since_damage <= MAX_REORDERED_PACKETS
        is_flawed = self._packets_since_flaw <= MAX_REORDERED_PACKETS
        flawed = _DAMAGED if is_damaged else _FLAWED if is_flawed else 0
        self._damage_before.append(_PASSED_OVER if self._is_behind_hole else flawed)
        self._is_behind_hole = False
        self._packets_since_damage += 1
        self._packets_since_flaw += 1

    def _note_bytes(self, packet: Packet[Stream], seconds: float) -> None:
        """Note how many bytes that are no packets lie before the packet, if no picture was shown for long before it."""
        if seconds - sum(self._last) > MISSING_GAP_SECONDS:
            self._pause_before = len(self._seconds)
        place = place_of(packet)
        if place >= 0 and self._pause_before is not None:
            self._passed_bytes[self._pause_before] = place - self._read_to - self._other_bytes
            self._pause_before = None
        if place >= 0:
            self._read_to, self._other_bytes = max(place, self._read_to), 0
        self._read_to += packet.size

    def missing(self, pts_seconds: NDArray[np.float64]) -> tuple[tuple[float, float], ...]:
        """See Probe; `pts_seconds` are all times, ascending.

        A long time without packets is a pause, but just after a damaged part of the file: there they were lost.
        """
        if len(self._seconds) < 2 or not (any(self._damage_before) or self._passed_bytes):
            return ()
        step = self._timeline.step_seconds
        seconds, lengths = np.array(self._seconds), np.array(self._lengths)
        before = np.frombuffer(bytes(self._damage_before), dtype=np.uint8)[1:]
        shown_to = np.maximum.accumulate(seconds + np.where(lengths > 0, lengths, step))[:-1]
        absent = seconds[1:] - shown_to
        is_long = absent > max(MISSING_GAP_SECONDS, _FEWEST_MISSING * step)
        is_lost = (before == _DAMAGED) | ((before == _FLAWED) & (absent <= _LONGEST_LOSS_SECONDS))
        places, passed = np.array(list(self._passed_bytes.items()), dtype=np.int64).reshape(-1, 2).T
        usual = sum(self._sizes) / max(float(np.ptp(seconds)), step)
        is_lost[places - 1] |= passed >= np.maximum(_LOST_BYTES, _BYTES_OF_LOSS * usual * absent[places - 1])
        starts = shown_to[(is_long & is_lost) | (before == _PASSED_OVER)]
        places = np.searchsorted(pts_seconds, starts - step / 2)
        ranges = ((float(start), float(pts_seconds[place])) for start, place in zip(starts, places, strict=True))
        return tuple(each for each in ranges if each[0] < each[1])

    def unreached(self, path: Path, container: InputContainer, end_byte: int) -> tuple[tuple[float, float], ...]:
        """The stretch at the end whose fragments FFmpeg did not get to, as it ends at what is no box of an MP4 file."""
        is_fragmented = container.format.name.startswith("mov") and not self._stream.frames
        if not is_fragmented or not self._seconds or self.times != "stated":
            return ()
        ticks = last_fragment_ticks(path, end_byte, self._stream.id)
        seen = self._seen_end_seconds()
        if ticks is None or (begins := self._timeline.seconds(ticks)) <= seen + MISSING_GAP_SECONDS:
            return ()
        return ((seen, begins),)

    def _look_for_picture(self, packet: Packet[Stream]) -> None:
        if self.first_picture is not None or self._decoded_packets >= MAX_FIRST_PICTURE_PACKETS:
            return
        self._decoded_packets += 1
        if is_encrypted(packet):
            self.last_reason = ENCRYPTED
            return
        fed = packet if packet.size else None
        self.first_picture = self._decoded(fed)
        if self.first_picture is None and fed is not None and fed.is_keyframe:
            # A decoder holds pictures back that may not be the next to be shown; the end of the stream brings them out.
            self.first_picture = self._decoded(None)
            self._stream.codec_context.flush_buffers()
            if self.first_picture is None:
                self._decoded(fed)

    def _decoded(self, packet: Packet[Stream] | None) -> av.VideoFrame | None:
        """The first picture that the packet brings, None at the end of the stream bringing those held back."""
        with libav_reasons():
            try:
                pictures = self._stream.codec_context.decode(packet)
            except (av.FFmpegError, ValueError) as error:
                self.last_reason = reason_of(error)
                return None
        return next(iter(pictures), None)

    def spread_equal_times(self) -> None:
        """Give pictures that all have the same time those that they would have at the nominal frame rate."""
        self.times = "joined" if self._joined.found else "stated"
        count = len(self._seconds)
        is_one = count >= FEWEST_EQUAL_TIMES and min(self._seconds) == max(self._seconds)
        if not is_one or self._timeline.is_listed:
            return
        self.times = "nominal"
        steps = np.full(count, self._timeline.step_seconds)
        steps[0] = 0.0
        self._seconds = array("d", np.cumsum(steps).tobytes())
        self._lengths = array("f", steps.tolist())
        self._last = (self._seconds[-1], self._timeline.step_seconds)

    def put_strays_right(self) -> dict[tuple[int, int], int]:
        """Give packets whose times are damaged better ones; see Probe.strays."""
        if self._timeline.decode_order:
            return self._counted_wrongly
        put_right = dict(self._joined.strays) if self.times == "stated" else {}
        for place, seconds in stray_times(np.array(self._seconds), self._timeline).items():
            damaged, better = self._timeline.ticks(self._seconds[place]), self._timeline.ticks(seconds)
            put_right[damaged, self._positions[place]] = better
            self._stray_ends_seconds.append(self._seconds[place] + self._lengths[place])
            self._seconds[place] = self._timeline.seconds(better)
            if self._keyframes[place]:
                # Seeking goes by the damaged time.
                del self._seek_ticks[sum(self._keyframes[:place])]
                self._keyframes[place] = False
        if put_right:
            self._last = (max(self._seconds), 0.0)
        return put_right

    def in_presentation_order(
        self,
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.int64], NDArray[np.uint32]]:
        seconds = np.frombuffer(self._seconds, dtype=np.float64) if self._seconds else np.empty(0)
        keyframes = np.frombuffer(bytes(self._keyframes), dtype=np.bool_)
        order = np.argsort(seconds, kind="stable")
        ticks = np.zeros(len(seconds), dtype=np.int64)
        ticks[keyframes] = np.array(self._seek_ticks, dtype=np.int64)
        sizes = np.array(self._sizes, dtype=np.uint32)
        return seconds[order], keyframes[order], ticks[order][keyframes[order]], sizes[order]

    def end_seconds(self, container: InputContainer) -> float:
        if not self._seconds:
            return 0.0
        last, length = self._last
        if length <= 0:
            distances = np.diff(np.sort(np.array(self._seconds)))
            length = float(np.median(distances)) if len(distances) else 0.0
        header = self._track_end_seconds(container)
        if header is not None and header > last and not self._ends_before(header):
            return header
        return last + (length or self._timeline.step_seconds)

    def promised_end_seconds(self, path: Path, container: InputContainer) -> float | None:
        """The end that the header promises, if the packets end clearly before it."""
        header = self._track_end_seconds(container)
        if header is not None:
            return header if self._ends_before(header) else None
        header = stated_seconds(path, container, self._stream)
        if header is None:
            return None
        if container.format.name in _ABSOLUTE_DURATION_FORMATS:
            header -= float(self._timeline.origin)
        else:
            header += float((container.start_time or 0) * MICROSECOND - self._timeline.origin)
        seen = max(self._seen_end_seconds(), self._other_end_seconds)
        is_cut_off = seen < header - _CUT_OFF_SECONDS and not self._counts_stray(header)
        return header if is_cut_off else None

    def _ends_before(self, track_end_seconds: float) -> bool:
        # Packets that an edit list discards count here: they are in the file, so it was not cut before them.
        slack = max(_CUT_OFF_SECONDS / 5, 2 * self._timeline.step_seconds)
        return self._seen_end_seconds() < track_end_seconds - slack and not self._counts_stray(track_end_seconds)

    def _seen_end_seconds(self) -> float:
        if not self._seconds:
            return self._discarded_end_seconds
        ends = np.frombuffer(self._seconds) + np.frombuffer(self._lengths, dtype=np.float32)
        return max(self._discarded_end_seconds, float(ends.max()))

    def _counts_stray(self, header_end_seconds: float) -> bool:
        """Whether the header's end is that of a damaged time: who wrote that may have counted it in the duration."""
        return any(abs(end - header_end_seconds) <= _CUT_OFF_SECONDS for end in self._stray_ends_seconds)

    def _track_end_seconds(self, container: InputContainer) -> float | None:
        """The end of the video track in MP4/MOV, the only container here that states it for each track."""
        stream = self._stream
        if not container.format.name.startswith("mov") or not stream.duration:
            return None
        # Of fragments FFmpeg tells the end's time, by decoding times mostly, and a piece of a stream begins late.
        end = self._timeline.seconds(stream.duration)
        reordering = MAX_REORDERED_PACKETS * self._timeline.step_seconds
        if not stream.frames and end >= self._seen_end_seconds() - reordering:
            return end
        return self._timeline.seconds((stream.start_time or 0) + stream.duration)
