"""What a CUDA machine can do: model alone, decoding alone, and both together."""
