"""What a clip may ask of this machine. Every number is a decision; its reason stands beside it."""

from __future__ import annotations

MAX_PICTURE_PIXELS = 8192 * 8192
"""The largest picture that is decoded, in pixels, before and after square-pixel correction. 67 Mpx is the
largest that H.264 level 6.2 cameras and 8K panoramas produce; as RGB one such picture takes 201 MB."""

MAX_PIXEL_ASPECT = 10
"""A pixel more than this many times wider than high (or higher than wide) is a damaged header, not a format;
it is read as square. Real anamorphic formats stay below 3."""

MAX_FIRST_PICTURE_PACKETS = 1000
"""How many packets `probe` tries to decode before it believes the header's size and orientation: files cut
out of a longer recording begin up to one group of pictures (some seconds) before their first keyframe."""

MAX_CONSECUTIVE_FAILURES = 3000
"""So many undecodable packets in a row end the reading of a file: 100 s at 30 frames a second, longer than
the holes that damaged recordings show."""

MAX_CONSECUTIVE_DEMUX_FAILURES = 8
"""So many failed reads of the container in a row end it; a reader that fails may fail at the same byte for ever."""

MAX_PROBLEMS = 1000
"""More ranges than this are not told apart: neighbours become one. Keeps reports of badly damaged days readable."""

PROBLEM_MERGE_SECONDS = 1.0
"""Problems of the same kind that lie closer together than this are one range."""

MISSING_GAP_SECONDS = 0.5
"""Packets that gave neither a picture nor an error are reported when they span more than this."""

SEEK_COST_PACKETS = 15
"""Until a clip's own costs are measured, a seek is taken to cost as much as decoding this many packets. Measured on
1080p H.264, one thread, FFmpeg 8.1: seek, flush and first keyframe 23 ms in MP4 and 27 ms in MPEG-TS against
2.0 ms a packet read straight on."""

MAX_JPEG_BYTES = 16 * 1024**2
"""How far a file that starts with a JPEG is searched for the next one, which makes it a video: as long as a picture of
67 Mpx takes at two bits a pixel."""

SNIFF_BYTES = 4096
"""How much of a file is looked at to say in words what it is."""
