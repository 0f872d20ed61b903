"""`ordnance bench scan`: whole scans beside ultralytics, a loop by hand and PySceneDetect; and what limits them."""
