"""What every reader of annotations returns, and what they share: finding pictures, reading text, JSON and XML."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from unicodedata import normalize
from urllib.parse import unquote

from pydantic import ValidationError

from detector.errors import BackendUnavailable, DataError
from detector.training.photographs import PICTURE_SUFFIXES

ENDINGS = tuple(each for suffix in sorted(PICTURE_SUFFIXES) for each in (suffix, suffix.upper()))


@dataclass(frozen=True, slots=True)
class SourceBox:
    """A box in the source's words: corners in 0..1 of the upright picture, and `where` it is written.

    `fault` says why it cannot be used; that is an error only if the class map wants its label.
    """

    label: str
    x1: float
    y1: float
    x2: float
    y2: float
    where: str
    fault: str = ""


@dataclass(frozen=True, slots=True)
class AnnotatedPicture:
    """A picture and its boxes; `size` is (width, height) as annotated, `split` as the source states it."""

    path: Path
    boxes: tuple[SourceBox, ...]
    size: tuple[int, int] | None = None
    split: str | None = None


def find_picture(name: str, folders: Sequence[Path], where: str) -> Path:
    """The picture `name` below one of `folders`: by its whole path, by less and less of it, by its bare name at last.

    A name without the ending of a picture is also looked for with each. A name that is not found is looked for without
    its percent codes, and with accents as other systems write them. Raises DataError that names it.
    """
    endings = ("",) if Path(name).suffix.lower() in PICTURE_SUFFIXES else ("", *ENDINGS)
    for tail in (tail for spelling in _spellings(name) for tail in tails(spelling)):
        for folder in folders:
            for ending in endings:
                path = folder / (tail + ending)
                if _is_file_below(path, folder):
                    return path
    looked = ", ".join(str(folder) for folder in folders)
    raise DataError(f"{where} names the picture '{name}', which is not in {looked}; give its folder with --images.")


def _spellings(name: str) -> Iterable[str]:
    texts = dict.fromkeys((name, unquote(name)))
    return dict.fromkeys((*texts, *(normalize(form, text) for text in texts for form in ("NFC", "NFD"))))


def tails(name: str) -> list[str]:
    """A path without its root, then without its first folder, and so on to its bare name; `..` is left out."""
    parts = [part for part in PurePosixPath(name.replace("\\", "/")).parts if part not in ("/", "//", "..")]
    return ["/".join(parts[start:]) for start in range(len(parts))]


def picture_folders(annotations: Path, images: Path | None) -> list[Path]:
    """Where the pictures of an annotation file may lie: `images`, or beside the file, or in images/ beside it."""
    if images is not None:
        return [images]
    return [annotations.parent, annotations.parent / "images"]


def files_below(folder: Path) -> list[Path]:
    """All files below a folder, also in linked folders; what is hidden (.ipynb_checkpoints, ._one.jpg) is none.

    Raises DataError for a folder that cannot be read.
    """
    found = []
    for place, folders, names in os.walk(folder, onerror=_unreadable, followlinks=True):
        here = Path(place)
        above = {each.resolve() for each in (here, *here.parents)}
        folders[:] = [name for name in folders if name[0] != "." and (here / name).resolve() not in above]
        found += [here / name for name in names if name[0] != "."]
    return sorted(found)


def _unreadable(error: OSError) -> None:
    raise DataError(f"The folder {error.filename} cannot be read: {error.strerror}.") from error


def finite(text: str | None, what: str) -> float:
    """The number that `text`, the value of `what`, is. Raises DataError where it is none or not finite."""
    try:
        value = float(text or "")
    except ValueError as error:
        raise DataError(f"{what}='{text}' is not a number.") from error
    if not math.isfinite(value):
        raise DataError(f"{what}='{text}' is not a finite number.")
    return value


def read_text(path: Path) -> str:
    """The text of a file. Raises DataError that names it."""
    try:
        return _read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"The annotations {path} are not text in UTF-8; save them as such.") from error


def read_json(path: Path) -> Any:
    """The content of a JSON file. Raises DataError that names it."""
    try:
        return json.loads(read_text(path))
    except ValueError as error:
        raise DataError(f"The annotations {path} are not JSON: {error}.") from error


def read_xml(path: Path) -> Any:
    """The root element of an XML file without entities. Raises DataError that names it."""
    try:
        from defusedxml import ElementTree
    except ImportError as error:
        raise BackendUnavailable(
            "Reading XML annotations needs the extra 'data'; install it with: pip install 'ordnance[data]'."
        ) from error
    try:
        return ElementTree.fromstring(_read_bytes(path))
    except (SyntaxError, ValueError, LookupError) as error:
        raise DataError(f"The annotations {path} are not plain XML: {error}.") from error


def first_fault(error: ValidationError) -> str:
    """Where and how a document first breaks its form."""
    first = error.errors()[0]
    return f"'{'.'.join(str(part) for part in first['loc'])}': {first['msg']}"


def turned_corners(
    x: float, y: float, width: float, height: float, degrees: float, about: tuple[float, float]
) -> tuple[float, float, float, float]:
    """x1, y1, x2, y2 of the upright box around a rectangle turned clockwise about a point; all in pixels."""
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    corners = [(x, y), (x + width, y), (x, y + height), (x + width, y + height)]
    xs = [about[0] + (cx - about[0]) * cosine - (cy - about[1]) * sine for cx, cy in corners]
    ys = [about[1] + (cx - about[0]) * sine + (cy - about[1]) * cosine for cx, cy in corners]
    return min(xs), min(ys), max(xs), max(ys)


def turned_about_centre(
    x1: float, y1: float, x2: float, y2: float, degrees: float
) -> tuple[float, float, float, float]:
    """x1, y1, x2, y2 of the upright box around a rectangle that CVAT turned: clockwise about its centre, in pixels."""
    return turned_corners(x1, y1, x2 - x1, y2 - y1, degrees, ((x1 + x2) / 2, (y1 + y2) / 2))


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except IsADirectoryError as error:
        raise DataError(f"{path} is a folder; give the annotation file in it.") from error
    except OSError as error:
        raise DataError(f"The annotations {path} cannot be read: {error.strerror}.") from error


def _is_file_below(path: Path, folder: Path) -> bool:
    """False also for what can be no path: a name that is too long or holds a NUL."""
    try:
        return path.is_file() and path.resolve().is_relative_to(folder.resolve())
    except (OSError, ValueError):
        return False
