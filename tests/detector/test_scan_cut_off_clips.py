"""Clips whose end is missing, or only seems to be, through the whole pipeline, with a model that sees red things."""

from types import SimpleNamespace

import av
import numpy as np
import pytest
from red_clips import grey, scan, with_red, write


def boxes(content):
    """Those of an MP4 file, one after the other: kind and bytes."""
    while content:
        size = int.from_bytes(content[:4])
        yield content[4:8], content[:size]
        content = content[size:]


@pytest.mark.parametrize("movflags", ["frag_keyframe+empty_moov+default_base_moof", "dash+delay_moov"])
def test_a_piece_of_a_stream_with_its_header_is_not_cut_off(tmp_path, movflags):
    """As players fetch them (HLS, DASH): the header, and fragments from the middle on."""
    whole = write(tmp_path / "whole.mp4", 60, with_red(-1, -1), gop=10, movflags=movflags)
    parts = list(boxes(whole.read_bytes()))
    third = [number for number, (kind, _) in enumerate(parts) if kind == b"mdat"][2]
    head, fragments = [part for kind, part in parts if kind in (b"ftyp", b"moov")], [part for _, part in parts[third:]]
    path = tmp_path / "piece.mp4"
    path.write_bytes(b"".join(head + fragments[1:]))
    report, _ = scan(path, plan="every-frame")
    assert report.coverage.samples == 30
    assert report.clip.first_pts_s >= 3.0
    assert report.clip.duration_s - report.clip.first_pts_s == pytest.approx(3.0, abs=0.01)
    assert report.coverage.undecoded == report.errors == ()
    content = path.read_bytes()
    path.write_bytes(content[: (content.rindex(b"mdat") + len(content)) // 2])
    lost = scan(path, plan="every-frame")[0].coverage.undecoded[-1]
    assert "cut off" in lost.reason
    assert lost.to_s == pytest.approx(6.0, abs=0.31)


@pytest.mark.parametrize(
    ("suffix", "codec"), [("mxf", "mpeg2video"), ("wmv", "wmv2"), ("avi", "mpeg4"), ("ivf", "libvpx")]
)
def test_an_end_that_is_missing_is_told_of_where_ffmpeg_does_not(tmp_path, suffix, codec):
    path = write(tmp_path / f"clip.{suffix}", 250, with_red(-1, -1), rate=25, gop=12, codec=codec)
    assert scan(path)[0].errors == ()
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 6 // 10])
    lost = scan(path)[0].coverage.undecoded[-1]
    assert "cut off" in lost.reason
    assert lost.to_s == pytest.approx(10.0, abs=0.05)


def test_a_recording_that_has_not_ended_is_not_cut_off(tmp_path):
    """Of an MXF file whose header says no length FFmpeg makes one up of the bit rates."""
    path = tmp_path / "growing.mxf"
    with path.open("wb") as file, av.open(SimpleNamespace(write=file.write), "w", format="mxf") as container:
        rates = dict.fromkeys(("b", "minrate", "maxrate"), "2M") | {"bufsize": "1M"}
        stream = container.add_stream("mpeg2video", rate=25, options=rates)
        stream.width, stream.height, stream.pix_fmt = 640, 360, "yuv422p"
        sound = container.add_stream("pcm_s16le", rate=48000, layout="stereo")
        for number in range(250):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(grey(number, (640, 360)), format="rgb24")))
            silence = av.AudioFrame.from_ndarray(np.zeros((1, 2 * 1920), np.int16), format="s16", layout="stereo")
            silence.sample_rate, silence.pts = 48000, 1920 * number
            container.mux(sound.encode(silence))
        container.mux(stream.encode(None))
    with av.open(str(path)) as container:
        assert container.duration > 10_500_000
    report, _ = scan(path)
    assert report.clip.duration_s == pytest.approx(10.0, abs=0.05)
    assert report.errors == ()
