"""What reading on and what seeking cost in the clip at hand."""

from __future__ import annotations

from detector.video.limits import SEEK_COST_PACKETS

MEASURED_PACKETS = 25
"""Packets after which their measured time is believed."""


class ReadingCost:
    """Mean times of a decoded packet and of a seek, measured while the clip is read.

    The choice between the two changes how long reading takes, never which pictures come out.
    """

    def __init__(self) -> None:
        self._packets = 0
        self._packets_seconds = 0.0
        self._seeks = 0
        self._seeks_seconds = 0.0

    def read_on(self, packets: int, seconds: float) -> None:
        """So many packets were decoded in so many seconds of wall clock."""
        self._packets += packets
        self._packets_seconds += seconds

    def sought(self, seconds: float) -> None:
        """A seek, up to the picture that it led to, took so many seconds of wall clock."""
        self._seeks += 1
        self._seeks_seconds += seconds

    def is_seek_cheaper(self, packets: int) -> bool:
        """Whether a seek costs less than decoding the `packets` that it would leave out."""
        if not self._seeks or self._packets < MEASURED_PACKETS:
            return packets > SEEK_COST_PACKETS
        return packets * self._packets_seconds / self._packets > self._seeks_seconds / self._seeks
