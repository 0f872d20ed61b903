"""Decoding by torchcodec gives the pictures and times of the reader; on the CPU here, on NVDEC where there is a GPU."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from detector.video import open_video
from detector.video.nvdec import NotForNvdec, device_pictures, why_not

FRAMES = 70
MOST_SHADES_APART = 3
"""torchcodec lets swscale convert with other flags."""


def write(path: Path, *, first_pts: int = 0, step: tuple[int, ...] = (1,), b_frames: int = 2) -> Path:
    """A clip at 25 ticks a second; `step` are the distances of its pictures in ticks, again and again."""
    columns, rows = np.meshgrid(np.arange(160), np.arange(96))
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"g": "20", "bf": str(b_frames)})
        stream.width, stream.height, stream.pix_fmt = 160, 96, "yuv420p"
        stream.codec_context.thread_count = 1
        stream.codec_context.time_base = Fraction(1, 25)
        pts = first_pts
        for number in range(FRAMES):
            grey = (128 + 90 * np.sin((columns + 3 * number) / 9 + rows / 7)).astype(np.uint8)
            frame = av.VideoFrame.from_ndarray(grey, format="gray")
            frame.pts, frame.time_base = pts, Fraction(1, 25)
            container.mux(stream.encode(frame))
            pts += step[number % len(step)]
        container.mux(stream.encode(None))
    return path


CLIPS = {
    "B-frames.mp4": {},
    "late.mp4": {"first_pts": 100},
    "variable.mkv": {"step": (1, 1, 3, 2)},
    "plain.mov": {"b_frames": 0},
}


@pytest.fixture(scope="module")
def torchcodec() -> None:
    """Skips where torchcodec, or the FFmpeg libraries that it looks for, are not there."""
    pytest.importorskip("torchcodec", reason="torchcodec is not installed (extra cuda)")
    from torchcodec.decoders import VideoDecoder

    demo = Path(__file__).parents[3] / "datasets" / "demo" / "demo.mp4"
    try:
        VideoDecoder(demo)
    except RuntimeError as error:
        pytest.skip(str(error).splitlines()[0])


def compare(clip: Path, device: str) -> None:
    with open_video(clip) as video:
        expected = [(frame.pts_seconds, frame.image) for frame in video.frames()]
        got = list(device_pictures(video.probe, device=device, batch=16))
    assert np.concatenate([each.pts_seconds for each in got]).tolist() == [pts for pts, _ in expected]
    pixels = np.concatenate([each.pixels.cpu().numpy() for each in got])
    assert pixels.shape == (len(expected), *expected[0][1].shape)
    for mine, (_, image) in zip(pixels, expected, strict=True):
        assert np.abs(mine.astype(int) - image).mean() < MOST_SHADES_APART


@pytest.mark.parametrize("name", CLIPS)
def test_on_the_cpu_pictures_and_times_are_those_of_the_reader(torchcodec: None, tmp_path: Path, name: str) -> None:
    compare(write(tmp_path / name, **CLIPS[name]), "cpu")


@pytest.mark.needs_gpu
@pytest.mark.parametrize("name", CLIPS)
def test_on_nvdec_pictures_and_times_are_those_of_the_reader(cuda_device: str, tmp_path: Path, name: str) -> None:
    compare(write(tmp_path / name, **CLIPS[name]), cuda_device)


@pytest.mark.parametrize("name", ["clip.avi", "clip.ts"])
def test_containers_in_which_it_loses_pictures_are_left_to_the_reader(tmp_path: Path, name: str) -> None:
    with open_video(write(tmp_path / name, b_frames=0)) as video:
        assert "does not find every picture" in (why_not(video.probe) or "")
        with pytest.raises(NotForNvdec, match="does not find every picture"):
            device_pictures(video.probe)
