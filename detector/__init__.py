"""Ordnance: finds weapons in video and says when, where and how surely."""
