"""`ordnance bench service`: what the service adds to a scan, and whether it holds under many uploads at once."""
