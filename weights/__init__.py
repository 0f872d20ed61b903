"""The weights that ship: `manifest.json`, the ONNX files that it describes and MODEL_CARD.md. No code."""
