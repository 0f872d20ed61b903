"""How fast the scan page is in a real browser against a real server."""
