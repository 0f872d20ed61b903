"""Bytes on their way to the disk while more arrive, so that the sync at their end finds little left to do."""

from __future__ import annotations

import ctypes

_BEGIN = 2
"""SYNC_FILE_RANGE_WRITE of sync_file_range(2): begin to write what is changed there, wait for nothing. Unlike fsync it
does not take notice of errors either: those are told to whoever syncs the file later."""


def _found() -> ctypes._NamedFuncPointer | None:
    try:
        call = ctypes.CDLL(None).sync_file_range
    except (AttributeError, OSError, TypeError):
        return None
    call.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)
    return call


_SYNC_FILE_RANGE = _found()


def begin_writeback(handle: int, begin: int, size: int) -> None:
    """Have the system begin to write these bytes of an open file to the disk; nothing happens where it cannot."""
    if _SYNC_FILE_RANGE is not None and size > 0:
        _SYNC_FILE_RANGE(handle, begin, size, _BEGIN)
