"""How long it takes to find something in an archive of many scans."""
