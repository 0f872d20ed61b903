"""`ordnance bench --check`: counts and ratios that must not grow, held against limits.yaml."""
