"""Benchmark suites and their recorded results; the issue on speed fills this room."""
