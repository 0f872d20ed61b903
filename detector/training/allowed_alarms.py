"""The rate that thresholds are chosen for, apart from how, so that `ordnance --help` need not load NumPy."""

from __future__ import annotations

FALSE_ALARMS_PER_100 = 1.25
"""Boxes reported on 100 weapon-free pictures, all classes together. The aim on pictures that were not chosen on is 3:
the test split has had 1.2 to 2.4 times what cross-validation on the val split promised, and this rate promises 1.7."""
