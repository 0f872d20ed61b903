"""Names and defaults of the plans, apart from them so that `ordnance --help` need not load NumPy."""

PLAN_NAMES = ("adaptive", "interval", "keyframes", "keyframes-only", "every-frame")
DEFAULT_PLAN = "adaptive"
DEFAULT_CADENCE_SECONDS = {"adaptive": 1.0, "interval": 0.5, "keyframes": 0.5}
"""By plan; the others have no cadence."""
SHORTEST_SHOT_SECONDS = 0.25
"""Shots that last at least this long get a sample of their own. A shot of a quarter of a second is about the shortest
in which a viewer recognises an object; most shots in edited film last longer than a second."""
