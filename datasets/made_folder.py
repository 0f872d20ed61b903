"""A folder of pictures that a command makes: what they are is said before the first, and no file is half one."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from detector.errors import DataError
from detector.training.whole_file import write_whole

MANIFEST = "manifest.json"
JPEG_QUALITY = 90


def begin_folder(out: Path, made: Mapping[str, Any]) -> None:
    """Make `out` and its folders, and say in its manifest how its pictures are `made`.

    Raises DataError where it holds pictures that were made otherwise or that nothing is known of, or a manifest of
    something else, or cannot be written.
    """
    has_pictures = any((out / "images").glob("*"))
    known = read_made(out)
    if known is None and (out / MANIFEST).exists() and not has_pictures:
        raise DataError(f"{out} holds a {MANIFEST} that is not of pictures; choose another --out.")
    earlier = known if has_pictures else None
    for name, value in made.items():
        if earlier is not None and name in earlier and earlier[name] != value:
            raise DataError(
                f"{out} holds pictures made with {name} {_shown(earlier[name])}, not {_shown(value)}; remove it, or "
                "choose another --out."
            )
    if earlier is None and has_pictures:
        raise DataError(f"{out} holds pictures without a {MANIFEST}; remove it, or choose another --out.")
    try:
        for folder in ("images", "labels"):
            (out / folder).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise not_written(out, error) from error
    if earlier is None:
        finish_folder(out, made, [])


def read_made(out: Path) -> dict[str, Any] | None:
    """What the manifest of `out` says; None where there is none, or none of ours."""
    try:
        manifest = json.loads((out / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    is_ours = isinstance(manifest, dict) and {"seed", "classes", "images"} <= manifest.keys()
    return manifest if is_ours else None


def finish_folder(out: Path, made: Mapping[str, Any], images: Sequence[Mapping[str, Any]]) -> None:
    """Write the manifest, now with a record of each picture. Raises DataError where that cannot be."""
    _write(out / MANIFEST, json.dumps({**made, "images": images}, indent=1))


def write_picture(path: Path, bgr: NDArray[np.uint8]) -> None:
    """Write uint8 (height, width, 3) BGR as JPEG, all or nothing. Raises DataError where that cannot be."""
    _, coded = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    _write(path, coded.tobytes())


def write_text(path: Path, text: str) -> None:
    """Write what is said of a picture, all or nothing. Raises DataError where that cannot be."""
    _write(path, text)


def not_written(path: Path, error: OSError) -> DataError:
    """The error for a file or folder that cannot be written."""
    return DataError(f"{path} cannot be written: {error.strerror or error}; mend that, then the same command goes on.")


def _write(path: Path, content: str | bytes) -> None:
    try:
        write_whole(path, content)
    except OSError as error:
        raise not_written(path, error) from error


def _shown(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)
