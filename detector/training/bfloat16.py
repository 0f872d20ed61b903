"""Training in bfloat16 on processors that compute in it."""

from __future__ import annotations

from typing import Any


def compute_in_bfloat16(trainer: Any) -> None:
    """On a processor that computes in bfloat16, let the network do so; the loss stays in float32.

    ultralytics mixes precisions on CUDA alone. Measured on two cores of an EPYC with AVX512-BF16, a batch of 16
    at 416 px: 0.9 s against 1.4 s in float32. On two cores of a Xeon with AMX, a step of 16 pictures at 512 px took
    1.8 and 1.9 s, and 1.4 and 1.5 s with channels last, as its convolutions want them.
    """
    import torch

    if trainer.device.type != "cpu" or not torch.cpu.get_capabilities().get("avx512_bf16"):
        return
    trainer.model.to(memory_format=torch.channels_last)
    predict = trainer.model.predict

    def predict_in_bfloat16(pictures: Any, *inputs: Any, **options: Any) -> Any:
        with torch.autocast("cpu", torch.bfloat16):
            outputs = predict(pictures.contiguous(memory_format=torch.channels_last), *inputs, **options)
        return _in_float32(outputs)

    trainer.model.predict = predict_in_bfloat16


def _in_float32(outputs: Any) -> Any:
    if isinstance(outputs, dict):
        return {key: _in_float32(value) for key, value in outputs.items()}
    if isinstance(outputs, (list, tuple)):
        return type(outputs)(_in_float32(value) for value in outputs)
    return outputs.float()
