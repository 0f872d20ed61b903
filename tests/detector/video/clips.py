"""Clips made on the spot. Every frame shows its own number, so a test can tell which one it was given."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

WIDTH, HEIGHT = 128, 96
BITS = 10

MakeClip = Callable[..., Path]


def numbered_picture(number: int, width: int = WIDTH, height: int = HEIGHT) -> NDArray[np.uint8]:
    """Grey, with `number` as black and white columns, lowest bit left, across the middle."""
    image = np.full((height, width, 3), 128, dtype=np.uint8)
    column = width // BITS
    for bit in range(BITS):
        image[height // 4 : -height // 4, bit * column : (bit + 1) * column] = 255 * (number >> bit & 1)
    return image


def number_shown(image: NDArray[np.uint8]) -> int:
    row = image[image.shape[0] // 2, :, 0]
    column = image.shape[1] // BITS
    return sum((int(row[bit * column + column // 2]) > 128) << bit for bit in range(BITS))


def damage_packets(path: Path, numbers: range) -> Path:
    """Overwrite the pictures of these packets (in file order) with zeros."""
    with av.open(str(path)) as container:
        places = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    content = bytearray(path.read_bytes())
    for number in numbers:
        position, size = places[number]
        content[position : position + size] = bytes(size)
    path.write_bytes(content)
    return path


def call_every_packet_a_keyframe(path: Path) -> Path:
    """Take away the list of keyframes of an MP4 file, which then says that all its pictures are."""
    content = path.read_bytes()
    assert content.count(b"stss") == 1
    path.write_bytes(content.replace(b"stss", b"free"))
    return path
