"""Whether time and memory of a scan grow along a straight line with what there is to scan."""
