"""Opening a clip that nobody vouches for: what it is, in words, and a container that reads this one file only."""

from __future__ import annotations

import re
import stat
from io import BufferedReader
from pathlib import Path

import av
from av.container import InputContainer

from detector.errors import ClipNotFound, ClipUnreadable, NotAVideo, NoVideoStream
from detector.video.limits import MAX_JPEG_BYTES, MAX_PICTURE_PIXELS, SNIFF_BYTES
from detector.video.reasons import libav_reasons, reason_of

VIDEO_FORMATS = (
    *("mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "avi", "flv", "live_flv", "asf", "mpegts", "mpeg", "ogg"),
    *("mxf", "nut", "wtv", "rm", "dv", "dhav", "gif", "apng", "webp_pipe", "yuv4mpegpipe"),
    *("h264", "hevc", "vvc", "av1", "obu", "ivf", "m4v", "mpegvideo"),
)
SOUND_FORMATS = ("mp3", "wav", "w64", "flac", "aac", "ac3", "eac3", "aiff", "amr", "caf", "dts")
"""Opened so that the answer is "only sound" instead of "not a video"."""

FORMAT_WHITELIST = ",".join(VIDEO_FORMATS + SOUND_FORMATS)
"""No concat, HLS, DASH, SDP or numbered image list: those are texts that make FFmpeg open other files."""

ASK_FOR_COPY = "play it to check, and copy or export it again from the original"

_NOT_ALLOWED = "Format not on whitelist"
_JPEG_START = b"\xff\xd8\xff"
_JPEG_AFTER_JPEG = re.compile(rb"\xff\xd9\x00*" + _JPEG_START)
_STILL_PICTURES = {
    _JPEG_START: "JPEG",
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"BM": "BMP",
    b"II*\x00": "TIFF",
    b"MM\x00*": "TIFF",
}
_STILL_BRANDS = {b"heic": "HEIC", b"heix": "HEIC", b"mif1": "HEIF", b"avif": "AVIF"}
_PLAYLIST_STARTS = ("#extm3u", "ffconcat version", "[playlist]", "<smil", "<asx")


def open_bytes(path: Path) -> BufferedReader:
    """Open an ordinary file for reading.

    Raises ClipNotFound (no such file, or a folder), ClipUnreadable (the operating system refuses) and
    NotAVideo (a device, pipe or socket, reading which might never end).
    """
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise ClipNotFound(f"{path.name}: this is a folder, not a clip; name a file in it.")
        if not stat.S_ISREG(mode):
            raise NotAVideo(f"{path.name}: this is a device or pipe, not a file; save the video to a file first.")
        return path.open("rb")
    except FileNotFoundError:
        raise ClipNotFound(f"{path}: there is no such file; check the path.") from None
    except PermissionError:
        raise ClipUnreadable(
            f"{path.name}: there is no permission to read this file; change its permissions or its owner."
        ) from None
    except (OSError, ValueError) as error:
        raise ClipUnreadable(
            f"{path.name}: the file cannot be opened ({reason_of(error)}); check the path and the disk."
        ) from None


def open_container(path: Path, *, end: int | None = None, for_packets: bool = False) -> InputContainer:
    """Open a clip's container without following any reference to another file.

    FFmpeg decodes the first pictures of a stream to learn what its header may not say. `for_packets` saves that where
    the container itself has what packets need (MP4, MOV: size, codec, presentation times). Pictures decoded from such
    a container may come in a wrong order, for the decoder was not told how many it must hold back. Nothing is read from
    the byte `end` on.

    Raises ClipNotFound, ClipUnreadable, or NotAVideo with what the file is instead.
    """
    with open_bytes(path) as file:
        head = file.read(SNIFF_BYTES)
        is_jpeg_stream = head.startswith(_JPEG_START) and _is_jpeg_stream(head + file.read(MAX_JPEG_BYTES))
    if not is_jpeg_stream:
        _refuse_what_is_known(path.name, head)
    options = {"max_pixels": str(MAX_PICTURE_PIXELS)}
    if for_packets and head[4:8] == b"ftyp":
        options["skip_frame"] = "all"
    allowed = "mjpeg" if is_jpeg_stream else FORMAT_WHITELIST
    whole = f"file:{path.absolute()}"
    with libav_reasons():
        try:
            return av.open(
                whole if end is None else f"subfile,,start,0,end,{end},,:{whole}",
                mode="r",
                # Named and not found out: FFmpeg would take other files for it, too, in which JPEGs lie.
                format="mjpeg" if is_jpeg_stream else None,
                options=options,
                container_options={"format_whitelist": allowed, "protocol_whitelist": "file,subfile"},
                metadata_errors="replace",
            )
        except (av.FFmpegError, ValueError) as error:
            raise _not_a_video(path.name, head, error) from None


def no_video_stream(name: str, container: InputContainer) -> NoVideoStream:
    """The error for a container without moving pictures, told by what it holds instead."""
    kinds = {stream.type for stream in container.streams}
    if "video" in kinds:
        holds = "only sound and a cover picture" if "audio" in kinds else "only a cover picture"
    else:
        holds = "only sound" if "audio" in kinds else "no pictures at all"
    return NoVideoStream(f"{name}: this file holds {holds}, no video; choose a file with a video track.")


def _is_jpeg_stream(start: bytes) -> bool:
    """Whether a file that starts like a JPEG goes on with another, as raw Motion JPEG does.

    A still picture may, too, where a camera adds previews or a second view; it says so beforehand (CIPA DC-007, "MPF").
    """
    seam = _JPEG_AFTER_JPEG.search(start)
    return seam is not None and start.find(b"MPF\x00", 0, seam.start()) < 0


def _refuse_what_is_known(name: str, head: bytes) -> None:
    if not head:
        raise NotAVideo(f"{name}: this file is empty; copy or upload it again.")
    still = next((kind for magic, kind in _STILL_PICTURES.items() if head.startswith(magic)), None)
    if head[4:8] == b"ftyp":
        still = _STILL_BRANDS.get(head[8:12])
    if still and not (still == "PNG" and b"acTL" in head):
        raise NotAVideo(f"{name}: this is a still picture ({still}), not a video; give a video file.")
    if head[:4] == b"RIFF" and head[8:16] == b"WEBPVP8X" and head[20] & 0x02:
        raise NotAVideo(
            f"{name}: this is an animated WebP, which FFmpeg cannot decode; convert it to GIF or MP4 first."
        )
    text = _as_text(head)
    if text and (text.lower().startswith(_PLAYLIST_STARTS) or "<MPD" in text):
        raise NotAVideo(f"{name}: this is a playlist that names other files, not a video; give the video itself.")


def _not_a_video(name: str, head: bytes, error: Exception) -> NotAVideo:
    if _as_text(head):
        return NotAVideo(f"{name}: this is a text file, not a video; give a video file.")
    if head[4:8] in (b"ftyp", b"mdat", b"moof", b"styp"):
        return NotAVideo(
            f"{name}: this MP4 file lacks its index, as when a recording or copy was cut off; {ASK_FOR_COPY}."
        )
    reason = reason_of(error)
    if _NOT_ALLOWED in reason:
        # FFmpeg's own words are the list of all that are.
        kind = reason.partition(":")[0].removesuffix("_pipe")
        return NotAVideo(
            f"{name}: this is not a video that can be read (FFmpeg takes it for '{kind}'); give a video file."
        )
    return NotAVideo(f"{name}: this is not a video that can be read ({reason}); {ASK_FOR_COPY}.")


def _as_text(head: bytes) -> str:
    """The beginning of a text file without leading blanks; empty if the bytes are no text."""
    if b"\x00" in head:
        return ""
    try:
        # The end may lie within a character of up to four bytes.
        return (head[:-4] if len(head) == SNIFF_BYTES else head).decode("utf-8-sig").lstrip()
    except UnicodeDecodeError:
        return ""
