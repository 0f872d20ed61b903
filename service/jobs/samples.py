"""Samples as bytes and back, exactly: what is read again after a crash must give the same report to the last digit."""

from __future__ import annotations

import base64
import json
import zlib
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

from detector.appearances import Look
from detector.frame import Detection
from detector.sampling.plan import Sample

_KINDS: dict[str, type] = {"sample": Sample, "look": Look, "detection": Detection}
_NAMES = {kind: name for name, kind in _KINDS.items()}


def pack(content: Any) -> bytes:
    """Plain values, bytes, tuples, numpy arrays and the dataclasses of a sample, compressed."""
    return zlib.compress(json.dumps(_plain(content), allow_nan=False, separators=(",", ":")).encode(), 1)


def unpack(content: bytes) -> Any:
    return _live(json.loads(zlib.decompress(content)))


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return {"~": "array", "type": value.dtype.str, "shape": value.shape, "data": _text(value.tobytes())}
    if isinstance(value, bytes):
        return {"~": "bytes", "data": _text(value)}
    if isinstance(value, np.generic):
        return value.item()
    if is_dataclass(value) and not isinstance(value, type):
        columns = {each.name: _plain(getattr(value, each.name)) for each in fields(value)}
        return {"~": _NAMES[type(value)], **columns}
    if isinstance(value, tuple | list):
        return [_plain(each) for each in value]
    if isinstance(value, dict):
        return {str(name): _plain(each) for name, each in value.items()}
    return value


def _live(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_live(each) for each in value)
    if not isinstance(value, dict):
        return value
    kind = value.get("~")
    if kind is None:
        return {name: _live(each) for name, each in value.items()}
    if kind == "bytes":
        return base64.b64decode(value["data"])
    if kind == "array":
        data = base64.b64decode(value["data"])
        return np.frombuffer(data, np.dtype(value["type"])).reshape(value["shape"]).copy()
    return _KINDS[kind](**{name: _live(each) for name, each in value.items() if name != "~"})


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
