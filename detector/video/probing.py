"""What a clip is and when its pictures are shown, learnt from its packets without decoding them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import numpy as np
from av.container import InputContainer
from av.stream import Disposition, Stream
from av.video.stream import VideoStream
from numpy.typing import NDArray

from detector.errors import NoDecodableFrame, TooLarge
from detector.video.display import Orientation, pixel_aspect, square_width
from detector.video.limits import MAX_PICTURE_PIXELS
from detector.video.opening import ASK_FOR_COPY, no_video_stream, open_container
from detector.video.packets import PacketScan, Times
from detector.video.recordings import Recordings, recordings_in, recordings_in_matroska
from detector.video.timeline import Timeline

_SIZE_REFUSED = "Picture size"
"""How libavutil's complaint begins about a picture that is larger than it was told to allow."""

_NOT_MOVING_PICTURES = Disposition.attached_pic | Disposition.timed_thumbnails


@dataclass(frozen=True, slots=True)
class OtherStream:
    """A stream that is not scanned: its kind (audio, video, picture, subtitle, data, attachment) and codec, or "".

    A `picture` is a cover, a thumbnail or the still that stands for an image sequence (AVIF), which lies in the file as
    a video stream.
    """

    kind: str
    codec: str


@dataclass(frozen=True, slots=True, eq=False)
class Probe:
    """Facts about a clip. Times are seconds on the clip's timeline (see `Timeline`).

    `pts_seconds` (float64, ascending), `is_keyframe` (bool) and `packet_bytes` (uint32) have one entry for every video
    packet that an edit list does not discard; `keyframe_seek_ticks` (int64) has one for every True of `is_keyframe`:
    where to seek, in the stream's `time_base`. A keyframe is what the container calls one.

    `duration_seconds` is the end of the last picture: in MP4/MOV that is not cut off the end of the track's edit
    list, elsewhere the time of the last packet plus its length (the median distance of the packets where the
    packet has none). It is 0.0 without packets, as is `first_pts_seconds`. `promised_end_seconds` is the end that the
    header promises, if the file was cut off before it, else None.

    `times` says where they come from: the container as it is (`stated`), moved where its parts' times begin anew
    (`joined`, see `JoinedTimes`), or the nominal frame rate, as the container gives all pictures the same (`nominal`).
    Other than stated ones depend on all packets before. `strays` are the packets whose damaged times (see
    `stray_times`), or numbers in an AVI file, were put right: presentation time and byte position in the file, and the
    time that it got, in ticks.
    `has_late_streams`: there are streams besides `other_streams`, which begin where FFmpeg does not look beforehand.
    `missing` are the stretches (from, to) whose packets were lost with a damaged part of the file.
    `unread_recordings` are joined to this one in such a way that they are not read with it (see `recordings_in`), from
    `end_byte` of the file on, which is its length where there are none.

    `width` and `height` are what a viewer sees: square pixels, after rotation. `coded_width` and
    `coded_height` are the picture's as it lies in the file. `rotation_degrees` is the clockwise turn (0, 90,
    180, 270) that follows the left-right mirroring if `mirrored`.
    """

    path: Path
    bytes: int
    container: str
    codec: str
    stream_index: int
    time_base: Fraction
    timeline_origin_seconds: float
    frame_rate_from_header: Fraction
    width: int
    height: int
    coded_width: int
    coded_height: int
    orientation: Orientation
    pixel_aspect: Fraction
    first_pts_seconds: float
    duration_seconds: float
    promised_end_seconds: float | None
    times: Times
    strays: Mapping[tuple[int, int], int]
    has_late_streams: bool
    missing: tuple[tuple[float, float], ...]
    unread_recordings: int
    end_byte: int
    other_streams: tuple[OtherStream, ...]
    pts_seconds: NDArray[np.float64] = field(repr=False)
    is_keyframe: NDArray[np.bool_] = field(repr=False)
    keyframe_seek_ticks: NDArray[np.int64] = field(repr=False)
    packet_bytes: NDArray[np.uint32] = field(repr=False)

    @property
    def rotation_degrees(self) -> int:
        return self.orientation.rotation_degrees

    @property
    def mirrored(self) -> bool:
        return self.orientation.mirrored

    @property
    def keyframe_seconds(self) -> NDArray[np.float64]:
        """The times of the keyframes, float64, ascending."""
        return self.pts_seconds[self.is_keyframe]


def probe(path: str | Path, admit: Callable[[InputContainer], None] | None = None) -> Probe:
    """Read every packet of a clip and decode one picture (for its orientation and size).

    `admit` is shown the open container before anything of it is decoded; what it raises ends the probe.

    Raises ClipNotFound, ClipUnreadable, NotAVideo, NoVideoStream, TooLarge (a picture above
    MAX_PICTURE_PIXELS), or NoDecodableFrame (no decoder, or no packet that tells the picture's size). A clip
    that passes may still turn out to have no decodable frame when it is read.
    """
    path = Path(path)
    facts = _probe(path, recordings_in(path), admit)
    if facts.times == "joined" and facts.container == "matroska,webm":
        recordings = recordings_in_matroska(path)
        return _probe(path, recordings, admit) if recordings.unread else facts
    return facts


def _probe(path: Path, recordings: Recordings, admit: Callable[[InputContainer], None] | None) -> Probe:
    with open_container(path, end=recordings.end if recordings.unread else None, for_packets=True) as container:
        if admit is not None:
            admit(container)
        stream = moving_pictures(path.name, container)
        prepare_decoder(stream, threads=1, skip_loop_filter="all")
        timeline = Timeline(container, stream)
        scan = PacketScan(timeline, stream, is_joined=recordings.read > 1)
        scan.run(container)
        scan.spread_equal_times()
        strays = scan.put_strays_right()
        coded_width, coded_height = _coded_size(path.name, stream, scan)
        aspect = pixel_aspect(stream.sample_aspect_ratio)
        square = square_width(coded_width, aspect)
        if max(coded_width, square) * coded_height > MAX_PICTURE_PIXELS:
            raise _too_large(path.name, f"{coded_width}x{coded_height} pixels")
        orientation = Orientation.of_frame(scan.first_picture) if scan.first_picture else Orientation()
        width, height = orientation.size(square, coded_height)
        pts_seconds, is_keyframe, keyframe_seek_ticks, packet_bytes = scan.in_presentation_order()
        missing = (*scan.missing(pts_seconds), *scan.unreached(path, container, recordings.end))
        duration = scan.end_seconds(container)
        return Probe(
            path=path,
            bytes=path.stat().st_size,
            container=container.format.name,
            codec=stream.codec_context.codec.canonical_name,
            stream_index=stream.index,
            time_base=timeline.time_base,
            timeline_origin_seconds=float(timeline.origin),
            frame_rate_from_header=1 / timeline.step,
            width=width,
            height=height,
            coded_width=coded_width,
            coded_height=coded_height,
            orientation=orientation,
            pixel_aspect=aspect,
            first_pts_seconds=float(pts_seconds[0]) if len(pts_seconds) else 0.0,
            duration_seconds=duration,
            promised_end_seconds=scan.promised_end_seconds(path, container),
            times=scan.times,
            strays=strays,
            missing=missing,
            unread_recordings=recordings.unread,
            end_byte=recordings.end,
            has_late_streams=scan.has_late_streams,
            other_streams=tuple(
                OtherStream(_kind(other), _codec_name(other))
                for other in container.streams
                if other.index != stream.index
            ),
            pts_seconds=pts_seconds,
            is_keyframe=is_keyframe,
            keyframe_seek_ticks=keyframe_seek_ticks,
            packet_bytes=packet_bytes,
        )


def moving_pictures(name: str, container: InputContainer) -> VideoStream:
    """The stream to scan: not a cover picture, nor the one picture that stands for a sequence (AVIF) where there is
    another; by default flag, then picture size, then order in the file.

    Raises NoVideoStream, or NoDecodableFrame if FFmpeg has no decoder for any of them.
    """
    moving = [stream for stream in container.streams.video if not stream.disposition & _NOT_MOVING_PICTURES]
    if not moving:
        raise no_video_stream(name, container)
    decodable = [stream for stream in moving if stream.codec_context is not None]
    if not decodable:
        raise NoDecodableFrame(
            f"{name}: there is no decoder for this file's video codec; convert it to H.264 in MP4 first."
        )

    def rank(stream: VideoStream) -> tuple[bool, bool, int, int]:
        codec = stream.codec_context
        return (
            stream.frames != 1,
            bool(stream.disposition & Disposition.default),
            codec.width * codec.height,
            -stream.index,
        )

    return max(decodable, key=rank)


def prepare_decoder(stream: VideoStream, *, threads: int, **options: str) -> None:
    """Set what a decoder may use, and FFmpeg's `options` for it; to be called before its first packet."""
    stream.codec_context.thread_count = threads
    stream.codec_context.options = {"max_pixels": str(MAX_PICTURE_PIXELS), **options}


def _coded_size(name: str, stream: VideoStream, scan: PacketScan) -> tuple[int, int]:
    # What the first picture really measures counts, not what the header claims; a header may say 65535x65535.
    if scan.first_picture is not None:
        return scan.first_picture.width, scan.first_picture.height
    width, height = stream.codec_context.width, stream.codec_context.height
    if width > 0 and height > 0:
        return width, height
    if _SIZE_REFUSED in scan.last_reason:
        raise _too_large(name, scan.last_reason)
    raise NoDecodableFrame(
        f"{name}: not one picture of this video could be decoded ({scan.last_reason or 'it has none'}); {ASK_FOR_COPY}."
    )


def _too_large(name: str, size: str) -> TooLarge:
    return TooLarge(
        f"{name}: its pictures ({size}) are above the limit of {MAX_PICTURE_PIXELS / 1e6:.0f} megapixels; "
        "scale the video down first."
    )


def _kind(stream: Stream) -> str:
    if not isinstance(stream, VideoStream):
        return stream.type
    is_timeless = stream.frames == 1 and stream.duration is None
    return "picture" if is_timeless or stream.disposition & _NOT_MOVING_PICTURES else stream.type


def _codec_name(stream: Stream) -> str:
    context = stream.codec_context
    return context.codec.canonical_name if context is not None else ""
