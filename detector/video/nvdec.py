"""Decoding on a CUDA device (NVDEC, through torchcodec), the pictures staying there.

It serves clips that torchcodec reads exactly as the reader beside it does; for all others it says why not.
Nothing of a scan uses it yet: written without a GPU at hand, it has never run on one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detector.errors import OrdnanceError
from detector.video.probing import Probe
from detector.video.reader import SAME_TIME_SECONDS

BATCH = 8
EXACT_CONTAINERS = frozenset(("mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm"))
"""Those in which torchcodec 0.17 gives the pictures and times that the reader gives; in MPEG-TS it loses the last."""


class NotForNvdec(OrdnanceError):
    """The clip, or this machine, is none for decoding on the GPU; PyAV reads it."""

    code = "not_for_nvdec"


@dataclass(frozen=True, slots=True, eq=False)
class DevicePictures:
    """Pictures in presentation order: `pixels` a uint8 tensor (n, height, width, 3) RGB, in the device's memory.

    `pts_seconds` float64 (n,), on the clip's timeline.
    """

    pixels: Any
    pts_seconds: NDArray[np.float64]


def device_pictures(probe: Probe, *, device: str = "cuda:0", batch: int = BATCH) -> Iterator[DevicePictures]:
    """All pictures of a clip, `batch` at a time; their times are exactly those of `Video.frames`.

    `device` may be `cpu`, which decodes there. Raises NotForNvdec before the first picture where the clip or the
    machine is not fit for it, and later should the times turn out to differ or a picture to be missing.
    """
    if reason := why_not(probe):
        raise NotForNvdec(f"{probe.path.name}: {reason}.")
    decoder = _open(probe, device)
    if len(decoder) != len(probe.pts_seconds):
        raise NotForNvdec(
            f"{probe.path.name}: torchcodec counts {len(decoder)} pictures, and there are {len(probe.pts_seconds)}."
        )
    return _pictures(probe, decoder, batch)


def why_not(probe: Probe) -> str | None:
    """Why the clip is not read on the GPU whatever the machine; None where it can be."""
    if probe.container not in EXACT_CONTAINERS:
        return f"torchcodec does not find every picture in a container such as {probe.container}"
    if probe.rotation_degrees or probe.mirrored:
        return "its pictures are to be turned"
    if (probe.width, probe.height) != (probe.coded_width, probe.coded_height):
        return "its pixels are not square"
    if probe.promised_end_seconds is not None:
        return "the file is cut off"
    if probe.unread_recordings:
        return "other recordings are joined to it"
    if probe.times != "stated":
        return "its times are not those of the container"
    if not len(probe.pts_seconds):
        return "it holds no video packets"
    if np.any(np.diff(probe.pts_seconds) <= SAME_TIME_SECONDS):
        return "two of its pictures have the same time"
    return None


def _open(probe: Probe, device: str) -> Any:
    try:
        from torchcodec.decoders import VideoDecoder

        decoder = VideoDecoder(
            probe.path, stream_index=probe.stream_index, dimension_order="NHWC", device=device, seek_mode="exact"
        )
    except ImportError as error:
        raise NotForNvdec("torchcodec is not installed; install it with: pip install 'ordnance[cuda]'.") from error
    except (OSError, RuntimeError, ValueError) as error:
        first = str(error).strip().splitlines()[0].rstrip(".")
        raise NotForNvdec(f"{probe.path.name}: torchcodec cannot read it ({first}).") from error
    if device != "cpu" and decoder.cpu_fallback:
        raise NotForNvdec(f"{probe.path.name}: {probe.codec} is not decoded by this GPU ({decoder.cpu_fallback}).")
    return decoder


def _pictures(probe: Probe, decoder: Any, batch: int) -> Iterator[DevicePictures]:
    for begin in range(0, len(decoder), batch):
        try:
            frames = decoder.get_frames_in_range(begin, min(begin + batch, len(decoder)))
        except (RuntimeError, IndexError) as error:
            first = str(error).strip().splitlines()[0].rstrip(".")
            at = probe.pts_seconds[begin]
            raise NotForNvdec(f"{probe.path.name}: torchcodec failed at {at:.3f} s ({first}).") from error
        listed = probe.pts_seconds[begin : begin + len(frames.pts_seconds)]
        times = frames.pts_seconds.cpu().numpy() - probe.timeline_origin_seconds
        if np.abs(times - listed).max() > SAME_TIME_SECONDS:
            raise NotForNvdec(f"{probe.path.name}: torchcodec's times differ from the container's.")
        # The decoder's answer differs from the container's time by the rounding of a subtraction.
        yield DevicePictures(frames.data, listed)
