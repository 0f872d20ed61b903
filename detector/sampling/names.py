"""Names and defaults of the plans, apart from them so that `ordnance --help` need not load NumPy."""

PLAN_NAMES = ("interval", "keyframes", "every-frame")
DEFAULT_CADENCE_SECONDS = 0.5
