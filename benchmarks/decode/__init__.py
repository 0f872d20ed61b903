"""`ordnance bench decode`: our reader beside PyAV, OpenCV, decord and torchcodec."""
