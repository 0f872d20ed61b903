"""Odd streams in a clip, through the whole pipeline, with a model that sees red things."""

import av
import pytest
from red_clips import RedModel, grey, scan, with_red, write
from usual_priority import usual_priority

from detector.errors import NoDecodableFrame
from detector.scanner import Scanner, ScanOptions


def test_another_video_stream_is_told_of(tmp_path):
    path = tmp_path / "two.mkv"
    with av.open(str(path), "w") as container:
        streams = [container.add_stream("libx264", rate=10) for _ in range(2)]
        for stream in streams:
            stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        for stream, picture in zip(streams, (with_red(-1, -1), with_red(0, 19)), strict=True):
            for number in range(20):
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture(number), format="rgb24")))
            container.mux(stream.encode(None))
    report, _ = scan(path)
    (told,) = [each for each in report.errors if each.code == "other_video_streams"]
    assert "1 more video stream (h264)" in told.message


def test_of_an_animated_picture_all_pictures_are_looked_at(tmp_path):
    """An AVIF sequence holds its first picture twice: by itself, for what shows stills, and in the sequence."""
    path = tmp_path / "animated.avif"
    with usual_priority(), av.open(str(path), "w", format="avif") as container:
        stream = container.add_stream("libsvtav1", rate=10, options={"preset": "12"})
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        for number in range(12):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(grey(number, (320, 240)), format="rgb24")))
        container.mux(stream.encode(None))
    report, _ = scan(path, plan="every-frame")
    assert report.coverage.samples == 12
    assert report.errors == ()


@pytest.mark.parametrize("threads", [1, 4])
@pytest.mark.parametrize("gop", [4, 20])
def test_keyframes_are_those_of_the_container_where_the_decoder_calls_none_so(tmp_path, gop, threads):
    path = write(tmp_path / "refreshed.mp4", 100, with_red(41, 63), gop=gop, x264="intra-refresh=1")
    report = Scanner(RedModel(), ScanOptions(plan="keyframes-only"), threads=threads).scan(path).report
    assert report.coverage.samples == 100 // gop
    assert report.coverage.guarantee_s <= gop / 10
    assert len(report.appearances) == 1


@pytest.mark.parametrize("plan", ["adaptive", "every-frame", "keyframes-only"])
def test_a_clip_that_is_encrypted_is_called_so(tmp_path, plan):
    """Decoders make noise of some of its packets, which are no pictures to look at."""
    path = tmp_path / "bought.mp4"
    keys = {"encryption_key": "76a6c65c5ea762046bd749a2e632ccbb", "encryption_kid": "a7e61c373e219033c21091fa607bf3b8"}
    with av.open(str(path), "w", options={"encryption_scheme": "cenc-aes-ctr", **keys}) as container:
        stream = container.add_stream("libx264", rate=10, options={"g": "10"})
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        for number in range(40):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(grey(number, (320, 240)), format="rgb24")))
        container.mux(stream.encode(None))
    with pytest.raises(NoDecodableFrame, match=r"^bought\.mp4: this video is encrypted.*; get a copy that is not\.$"):
        scan(path, plan=plan)
