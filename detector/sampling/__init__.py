"""Which frames are looked at (`plan`), and what that covers (`coverage`)."""
