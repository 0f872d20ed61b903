"""`ordnance bench infer`: the model alone, on pictures that lie in memory, beside ultralytics and a loop by hand."""
