"""The time benchmark: what each sampling plan finds, when it says it was seen, and what that costs."""
