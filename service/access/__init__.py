"""Who may do what: API keys, their limits, and the record of what was done."""
