from __future__ import annotations

import wave
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from detector.errors import ClipNotFound, ClipUnreadable, NotAVideo, NoVideoStream, TooLarge
from detector.video import open_video, probe, sha256_file

from .clips import MakeClip

ONE_PIXEL_GIF = bytes.fromhex("47494638396101000100800000ffffff00000021f90401000000002c00000000010001000002024401003b")


def test_facts_of_a_plain_clip(make_clip: MakeClip) -> None:
    path = make_clip(frames=50, gop=25)
    facts = probe(path)
    assert (facts.container, facts.codec) == ("mov,mp4,m4a,3gp,3g2,mj2", "h264")
    assert (facts.width, facts.height) == (facts.coded_width, facts.coded_height) == (128, 96)
    assert facts.bytes == path.stat().st_size
    assert facts.duration_seconds == pytest.approx(2.0)
    assert facts.first_pts_seconds == 0.0
    assert facts.promised_end_seconds is None
    assert facts.pts_seconds == pytest.approx(np.arange(50) * 0.04)
    assert facts.keyframe_seconds == pytest.approx([0.0, 1.0])
    assert facts.pts_seconds.dtype == np.float64
    assert "array" not in repr(facts)


def test_variable_frame_rate_is_read_from_the_packets(make_clip: MakeClip) -> None:
    times = [0, 10, 500, 540, 3000, 3007, 9000]
    facts = probe(make_clip(pts_ms=times))
    assert facts.pts_seconds * 1000 == pytest.approx(times)


@pytest.mark.parametrize(
    ("name", "first_seconds"), [("late.mp4", 5.0), ("late.mkv", 5.0), ("late.ts", 0.0), ("late.flv", 0.0)]
)
def test_zero_is_what_a_player_shows(make_clip: MakeClip, name: str, first_seconds: float) -> None:
    path = make_clip(name, pts_ms=range(5000, 7000, 40))
    with open_video(path) as video:
        times = [frame.pts_seconds for frame in video]
    assert video.probe.first_pts_seconds == pytest.approx(first_seconds, abs=1e-6)
    assert times == pytest.approx(first_seconds + np.arange(50) * 0.04, abs=1e-6)


def test_the_file_cut_at_60_percent_says_what_it_promised(make_clip: MakeClip, tmp_path: Path) -> None:
    whole = make_clip(frames=100, container_options={"movflags": "faststart"})
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size * 6 // 10])
    facts = probe(cut)
    assert facts.promised_end_seconds == pytest.approx(4.0)
    assert 1.0 < facts.duration_seconds < 4.0
    with open_video(cut) as video:
        (before,) = video.errors
        times = [frame.pts_seconds for frame in video]
        (after,) = video.errors
    assert before.from_seconds == pytest.approx(facts.duration_seconds)
    assert times[-1] - 0.2 < after.from_seconds <= times[-1] + 0.04
    assert after.to_seconds == pytest.approx(4.0)
    assert "cut off" in after.reason


def test_sound_longer_than_the_pictures_is_no_cut(tmp_path: Path) -> None:
    path = tmp_path / "sound.mkv"
    with av.open(str(path), "w") as container:
        pictures = container.add_stream("mpeg4", rate=25)
        pictures.width, pictures.height = 64, 64
        sound = container.add_stream("pcm_s16le", rate=8000)
        sound.layout = "mono"
        for number in range(10):
            frame = av.VideoFrame(64, 64, "yuv420p")
            frame.pts = number
            container.mux(pictures.encode(frame))
        container.mux(pictures.encode())
        noise = av.AudioFrame.from_ndarray(np.zeros((1, 40000), np.int16), format="s16", layout="mono")
        noise.rate = 8000
        noise.pts = 0
        container.mux(sound.encode(noise))
        container.mux(sound.encode())
    facts = probe(path)
    assert facts.duration_seconds == pytest.approx(0.4)
    assert facts.promised_end_seconds is None
    assert [(other.kind, other.codec) for other in facts.other_streams] == [("audio", "pcm_s16le")]


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(ClipNotFound, match=r"gone\.mp4: there is no such file; check the path\.$"):
        probe(tmp_path / "gone.mp4")


def test_folder(tmp_path: Path) -> None:
    with pytest.raises(ClipNotFound, match="this is a folder"):
        probe(tmp_path)


def test_no_permission(make_clip: MakeClip, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make_clip(frames=2)

    def deny(*arguments: object, **options: object) -> None:
        raise PermissionError(13, "Permission denied")

    # Root may read everything, so the refusal is staged.
    monkeypatch.setattr(Path, "open", deny)
    with pytest.raises(ClipUnreadable, match=r"clip\.mp4: there is no permission to read"):
        probe(path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "this file is empty"),
        (b"Dear diary, no film today.\n" * 9, "this is a text file"),
        ("Жук\n".encode() * 2000, "this is a text file"),
        (b"ffconcat version 1.0\nfile clip.mp4\n", "this is a playlist"),
        (b"\xef\xbb\xbf#EXTM3U\n#EXT-X-TARGETDURATION:5\n", "this is a playlist"),
        (b'<?xml version="1.0"?>\n<MPD xmlns="urn:mpeg:dash:schema:mpd:2011"/>', "this is a playlist"),
        (b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nm=video 5000 RTP/AVP 96\n", "this is a text file"),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF\x00", r"this is a still picture \(JPEG\)"),
        (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", r"this is a still picture \(PNG\)"),
        (b"\x00\x00\x00\x18ftypisom\x00\x00\x02\x00isommp42\x00\x00\x10\x00mdat" + bytes(4000), "lacks its index"),
        (b"P6\n320 240\n255\n" + bytes(320 * 240 * 3), r"not a video that can be read \(FFmpeg takes it for 'ppm'\)"),
        (np.random.default_rng(6).bytes(9000), "this is not a video that can be read"),
    ],
)
def test_not_a_video(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "upload.mp4"
    path.write_bytes(content)
    with pytest.raises(NotAVideo, match=rf"^upload\.mp4: .*{words}.*; .*\.$") as refused:
        probe(path)
    assert "whitelist" not in str(refused.value)


def test_a_playlist_does_not_open_its_neighbour(
    make_clip: MakeClip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    neighbour = make_clip("neighbour.mp4", frames=3)
    assert len(probe(neighbour).pts_seconds) == 3
    attack = tmp_path / "attack.mp4"
    attack.write_text("ffconcat version 1.0\nfile neighbour.mp4\n")
    # The beginning must not be all that gives a playlist away: the list of formats has to hold by itself.
    monkeypatch.setattr("detector.video.opening._PLAYLIST_STARTS", ("nothing starts like this",))
    with pytest.raises(NotAVideo, match="this is a text file"):
        probe(attack)


def test_sound_only(tmp_path: Path) -> None:
    path = tmp_path / "voice.wav"
    with wave.open(str(path), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(bytes(16000))
    with pytest.raises(NoVideoStream, match="only sound"):
        probe(path)


def test_too_large_pictures_are_refused_before_they_take_memory(tmp_path: Path) -> None:
    path = tmp_path / "huge.gif"
    path.write_bytes(ONE_PIXEL_GIF[:6] + b"\xff\xff\xff\xff" + ONE_PIXEL_GIF[10:])
    with pytest.raises(TooLarge, match=r"^huge\.gif: .*65535x65535.* above the limit of 67 megapixels; .*\.$"):
        probe(path)


def test_the_limit_on_pixels(make_clip: MakeClip, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make_clip(frames=2)
    monkeypatch.setattr("detector.video.probing.MAX_PICTURE_PIXELS", 128 * 96)
    assert probe(path).width == 128
    monkeypatch.setattr("detector.video.probing.MAX_PICTURE_PIXELS", 128 * 96 - 1)
    with pytest.raises(TooLarge, match="128x96 pixels"):
        probe(path)


def test_nothing_is_printed_for_damaged_files(
    make_clip: MakeClip, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    damaged = tmp_path / "damaged.ts"
    content = bytearray(make_clip("clip.ts").read_bytes())
    for place in range(3000, len(content), 997):
        content[place] ^= 0xFF
    damaged.write_bytes(content)
    with open_video(damaged) as video:
        assert sum(1 for _ in video) > 0
        assert video.errors
    assert capfd.readouterr() == ("", "")


def test_sample_aspect_is_turned_into_square_pixels(make_clip: MakeClip) -> None:
    path = make_clip(frames=2, sample_aspect=Fraction(64, 45))
    facts = probe(path)
    assert facts.pixel_aspect == Fraction(64, 45)
    assert (facts.coded_width, facts.width, facts.height) == (128, 182, 96)
    with open_video(path) as video:
        assert next(video.frames()).image.shape == (96, 182, 3)


def test_sha256(tmp_path: Path) -> None:
    path = tmp_path / "abc"
    path.write_bytes(b"abc")
    assert sha256_file(path) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    with pytest.raises(ClipNotFound):
        sha256_file(tmp_path / "gone")
