"""The clips of a run: small ones that vary what a sampling plan can trip over, and 1080p ones for the clock."""

from __future__ import annotations

from benchmarks.time.script import ClipSpec

SHORT_TO_LONG = (0.3, 0.3, 0.5, 0.5, 0.8, 1.0, 1.0, 1.5, 2.0, 3.0, 4.0, 8.0, 15.0)
QUICK = (0.3, 0.3, 0.5, 0.7, 1.0, 1.0, 2.0, 4.0)
WEAPON_SHARE = 0.05


def accuracy_clips(*, quick: bool) -> tuple[ClipSpec, ...]:
    """640x360, in and out of step with the keyframes; times that do not start at zero; bars at the sides."""
    if quick:
        return (
            ClipSpec("tv-25-gop2", 640, 360, "25", 2.0, True, QUICK),
            ClipSpec("phone-vfr-gop10-late", 640, 360, "variable", 10.0, False, QUICK, start_seconds=5.0),
            ClipSpec("ts-29-gop1-bars", 640, 360, "30000/1001", 1.0, False, QUICK[2:6], "ts", 10.0, letterbox=True),
        )
    return (
        ClipSpec("tv-25-gop2", 640, 360, "25", 2.0, True, SHORT_TO_LONG),
        ClipSpec("film-24-gop10", 640, 360, "24", 10.0, False, (*SHORT_TO_LONG, 60.0)),
        ClipSpec("ts-29-gop1", 640, 360, "30000/1001", 1.0, True, SHORT_TO_LONG, "ts", 10.0),
        ClipSpec("sport-60-gop10-late", 640, 360, "60", 10.0, True, SHORT_TO_LONG[:-1], start_seconds=5.0),
        ClipSpec("phone-vfr-gop10", 640, 360, "variable", 10.0, False, SHORT_TO_LONG),
        ClipSpec("bars-25-gop2", 640, 360, "25", 2.0, False, SHORT_TO_LONG, letterbox=True),
        ClipSpec("ts-vfr-gop2", 640, 360, "variable", 2.0, False, SHORT_TO_LONG, "ts", 3600.0),
    )


def speed_clips(*, quick: bool) -> tuple[ClipSpec, ...]:
    """1080p with a weapon in view for about a twentieth of the time; keyframes at fixed distances only."""
    appearances = (0.5, 0.8) if quick else (0.5, 1.0, 2.0, 3.0)
    return tuple(
        ClipSpec(f"1080p-gop{gop:g}", 1920, 1080, "25", gop, False, appearances, weapon_share=WEAPON_SHARE)
        for gop in (2.0, 10.0)
    )
