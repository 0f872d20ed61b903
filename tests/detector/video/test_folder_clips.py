"""Which files of a folder count as clips, and that those of rarer kinds are read to their last picture."""

from __future__ import annotations

from pathlib import Path

import av
import pytest
from usual_priority import usual_priority

from detector.batch_clip import Failure
from detector.clip_files import find_clips
from detector.errors import NotAVideo
from detector.video import open_video

from .clips import HEIGHT, WIDTH, number_shown, numbered_picture

FRAMES = 12


def write_stream(
    path: Path,
    codec: str,
    form: str,
    pixels: str = "yuv420p",
    size: tuple[int, int] = (WIDTH, HEIGHT),
    **options: str,
) -> Path:
    with usual_priority(), av.open(str(path), "w", format=form) as container:
        stream = container.add_stream(codec, rate=25, options=options)
        stream.width, stream.height = size
        stream.pix_fmt = pixels
        for number in range(FRAMES):
            picture = av.VideoFrame.from_ndarray(numbered_picture(number, *size), format="rgb24")
            picture.pts = number
            container.mux(stream.encode(picture.reformat(format=pixels)))
        container.mux(stream.encode(None))
    return path


def write_recorder_file(path: Path) -> Path:
    """A file as Dahua recorders make it (.dav): each picture in a block of its own, in the order of
    display, which FFmpeg cannot write.
    """
    raw = write_stream(path.with_suffix(".tmp"), "libx264", "h264", bf="0")
    blocks = []
    with av.open(str(raw), format="h264") as container:
        for number, packet in enumerate(each for each in container.demux(video=0) if each.size):
            extra = bytes([0x80, 0, WIDTH // 8, HEIGHT // 8, 0x81, 0, 2, 25])
            length = 24 + len(extra) + packet.size + 8
            block = b"DHAV" + bytes([0xFD if packet.is_keyframe else 0xFC, 0, 0, 0])
            block += number.to_bytes(4, "little") + length.to_bytes(4, "little")
            block += (26 << 26 | 1 << 22 | 1 << 17).to_bytes(4, "little") + (number * 40).to_bytes(2, "little")
            blocks.append(
                block + bytes([len(extra), 0]) + extra + bytes(packet) + b"dhav" + length.to_bytes(4, "little")
            )
    raw.unlink()
    path.write_bytes(b"".join(blocks))
    return path


MAKERS = {
    ".264": lambda path: write_stream(path, "libx264", "h264"),
    ".265": lambda path: write_stream(path, "libx265", "hevc"),
    ".apng": lambda path: write_stream(path, "apng", "apng", "rgb24"),
    ".dav": write_recorder_file,
    ".dv": lambda path: write_stream(path, "dvvideo", "dv", size=(720, 576)),
    ".h265": lambda path: write_stream(path, "libx265", "hevc"),
    ".m2t": lambda path: write_stream(path, "libx264", "mpegts"),
    ".mjpeg": lambda path: write_stream(path, "mjpeg", "mjpeg", "yuvj420p"),
    ".mjpg": lambda path: write_stream(path, "mjpeg", "mjpeg", "yuvj420p"),
    ".obu": lambda path: write_stream(path, "libsvtav1", "obu"),
    ".wtv": lambda path: write_stream(path, "mpeg2video", "wtv"),
}


@pytest.mark.parametrize("suffix", MAKERS)
def test_a_folder_gives_clips_of_rarer_kinds_and_all_their_pictures(suffix: str, tmp_path: Path) -> None:
    path = MAKERS[suffix](tmp_path / f"clip{suffix}")
    assert find_clips([str(tmp_path)]) == ([path], [])
    with open_video(path) as video:
        times = video.probe.pts_seconds.tolist()
        assert [number_shown(frame.image) for _, frame in video.frames_at(times)] == list(range(FRAMES))


def test_a_failure_that_names_its_clip_by_path_or_name_is_told_once() -> None:
    for named in ("deep/a.mp4", "a.mp4"):
        assert (
            Failure("x", f"{named}: there is no such file.").reason_for(Path("deep/a.mp4")) == "there is no such file."
        )


def jpegs(tmp_path: Path) -> list[bytes]:
    content = write_stream(tmp_path / "stream.tmp", "mjpeg", "mjpeg", "yuvj420p").read_bytes()
    return [b"\xff\xd8\xff" + each for each in content.split(b"\xff\xd8\xff")[1:]]


def test_pictures_padded_with_zeros_and_pictures_of_any_name_are_a_stream(tmp_path: Path) -> None:
    path = tmp_path / "stream.bin"
    path.write_bytes(b"\x00\x00\x00".join(jpegs(tmp_path)))
    with open_video(path) as video:
        assert len(video.probe.pts_seconds) == FRAMES


def test_a_still_is_refused_as_one_also_where_previews_follow_it(tmp_path: Path) -> None:
    first, second, *_ = jpegs(tmp_path)
    preview = b"\xff\xe1" + (len(second) + 8).to_bytes(2, "big") + b"Exif\x00\x00" + second
    views = b"\xff\xe2\x00\x08MPF\x00\x00\x00"
    for content in (first, first[:2] + preview + first[2:], first[:2] + views + first[2:] + second):
        (tmp_path / "still.mjpeg").write_bytes(content)
        with pytest.raises(NotAVideo, match=r"^still\.mjpeg: this is a still picture \(JPEG\)"):
            open_video(tmp_path / "still.mjpeg")


def test_a_file_that_only_contains_pictures_is_no_stream(tmp_path: Path) -> None:
    path = tmp_path / "album.mjpeg"
    path.write_bytes(b"PK\x03\x04" + bytes(60) + b"".join(jpegs(tmp_path)))
    with pytest.raises(NotAVideo, match="not a video"):
        open_video(path)
