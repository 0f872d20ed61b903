"""All eight ways in which a picture can lie, against arithmetic on corner colours."""

from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from detector.video import Orientation, open_video
from detector.video.display import pixel_aspect, square_width

from .clips import HEIGHT, WIDTH, MakeClip

ONE = 1 << 16
RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)
CORNERS = "RGBW"
"""The corners of the coded picture: top left, top right, bottom left, bottom right."""

ORIENTATIONS = {
    "upright": ((ONE, 0, 0, ONE), "RGBW", 0, False),
    "turned 90": ((0, ONE, -ONE, 0), "BRWG", 90, False),
    "turned 180": ((-ONE, 0, 0, -ONE), "WBGR", 180, False),
    "turned 270": ((0, -ONE, ONE, 0), "GWRB", 270, False),
    "mirrored": ((-ONE, 0, 0, ONE), "GRWB", 0, True),
    "mirrored, turned 90": ((0, -ONE, -ONE, 0), "WGBR", 90, True),
    "mirrored, turned 180": ((ONE, 0, 0, -ONE), "BWRG", 180, True),
    "mirrored, turned 270": ((0, ONE, ONE, 0), "RBGW", 270, True),
}


def corner_picture(_number: int) -> NDArray[np.uint8]:
    image = np.empty((HEIGHT, WIDTH, 3), np.uint8)
    half_height, half_width = HEIGHT // 2, WIDTH // 2
    image[:half_height, :half_width], image[:half_height, half_width:] = RED, GREEN
    image[half_height:, :half_width], image[half_height:, half_width:] = BLUE, WHITE
    return image


def corners_of(image: NDArray[np.uint8]) -> str:
    colours = {RED: "R", GREEN: "G", BLUE: "B", WHITE: "W"}
    points = (image[8, 8], image[8, -8], image[-8, 8], image[-8, -8])
    return "".join(colours[tuple(255 * (int(value) > 128) for value in point)] for point in points)


def with_matrix(path: Path, a: int, b: int, c: int, d: int) -> Path:
    """Write a display matrix into the track header (version 0) of an MP4 file."""
    content = bytearray(path.read_bytes())
    place = content.index(b"tkhd") + 44
    content[place : place + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(("matrix", "shown", "degrees", "mirrored"), ORIENTATIONS.values(), ids=ORIENTATIONS)
def test_orientation(
    make_clip: MakeClip, matrix: tuple[int, int, int, int], shown: str, degrees: int, mirrored: bool
) -> None:
    path = with_matrix(make_clip(frames=3, picture=corner_picture), *matrix)
    with open_video(path) as video:
        image = next(video.frames()).image
    assert corners_of(image) == shown
    assert (video.probe.rotation_degrees, video.probe.mirrored) == (degrees, mirrored)
    assert image.shape == (video.probe.height, video.probe.width, 3)
    assert (image.shape[0] > image.shape[1]) == (degrees in (90, 270))
    assert image.flags.c_contiguous


def test_the_documented_rotation_and_mirroring_reproduce_every_orientation() -> None:
    coded = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    for transpose in (False, True):
        for flip_x in (False, True):
            for flip_y in (False, True):
                orientation = Orientation(transpose, flip_x, flip_y)
                expected = coded[:, ::-1] if orientation.mirrored else coded
                expected = np.rot90(expected, k=-orientation.rotation_degrees // 90)
                assert np.array_equal(orientation.apply(coded), expected)


@pytest.mark.parametrize("matrix", [(0, 0, 0, 0), (ONE, 0, ONE, 0)])
def test_a_matrix_that_shows_nothing_is_ignored(make_clip: MakeClip, matrix: tuple[int, int, int, int]) -> None:
    path = with_matrix(make_clip(frames=2, picture=corner_picture), *matrix)
    with open_video(path) as video:
        assert corners_of(next(video.frames()).image) == CORNERS


def test_rotation_and_pixel_aspect_together(make_clip: MakeClip) -> None:
    path = with_matrix(make_clip(frames=2, sample_aspect=Fraction(2, 1)), 0, ONE, -ONE, 0)
    with open_video(path) as video:
        assert next(video.frames()).image.shape == (256, 96, 3)


@pytest.mark.parametrize(
    ("width", "aspect", "square"),
    [(176, Fraction(128, 117), 193), (720, Fraction(64, 45), 1024), (161, Fraction(484, 483), 161)],
)
def test_square_width(width: int, aspect: Fraction, square: int) -> None:
    assert square_width(width, aspect) == square


@pytest.mark.parametrize("nonsense", [None, Fraction(0), Fraction(4_000_000_000), Fraction(1, 4_000_000_000)])
def test_nonsense_pixel_aspect_is_square(nonsense: Fraction | None) -> None:
    assert pixel_aspect(nonsense) == 1


@pytest.mark.parametrize(("full_range", "black", "white"), [(False, 16, 235), (True, 0, 255)])
@pytest.mark.parametrize(("codec", "pixels"), [("libx265", "gray"), ("ffv1", "gray"), ("libx265", "gray10le")])
def test_black_and_white_of_a_clip_without_colours(
    tmp_path: Path, codec: str, pixels: str, full_range: bool, black: int, white: int
) -> None:
    path = tmp_path / "grey.mkv"
    quiet = {"x265-params": "log-level=none:pools=1", "crf": "5"} if codec == "libx265" else {}
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options=quiet)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, pixels
        stream.codec_context.color_range = 2 if full_range else 1
        frame = av.VideoFrame(WIDTH, HEIGHT, pixels)
        frame.color_range = 2 if full_range else 1
        luma = np.full(
            (HEIGHT, WIDTH), black << (2 if "10" in pixels else 0), np.uint16 if "10" in pixels else np.uint8
        )
        luma[:, WIDTH // 2 :] = white << (2 if "10" in pixels else 0)
        frame.planes[0].update(luma.tobytes())
        container.mux([*stream.encode(frame), *stream.encode(None)])
    with open_video(path) as video:
        (shown,) = video.frames()
    assert shown.image[8, 8].tolist() == pytest.approx([0] * 3, abs=3)
    assert shown.image[8, -8].tolist() == pytest.approx([255] * 3, abs=3)
