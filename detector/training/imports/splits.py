"""The splits that a source itself states: by folders, by lists of pictures, or by a word such as CVAT's subset."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from pathlib import PurePosixPath
from typing import TypeVar

SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}
YEAR = re.compile(r"[-_]?(19|20)\d\d$")

Key = TypeVar("Key")


def split_named(word: str) -> str | None:
    """train, val or test where a word says so, as Train, valid or test2017 do."""
    return SPLIT_NAMES.get(YEAR.sub("", word.lower()))


def split_of_folders(folders: Iterable[str]) -> str | None:
    """What the first of `folders` that names a split says."""
    return next((split for split in map(split_named, folders) if split), None)


def split_of_name(name: str) -> str | None:
    """What the folders in a picture's name say; nothing of an absolute path, whose folders are not the source's."""
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or name[1:2] == ":":
        return None
    return split_of_folders(path.parts[:-1])


def split_listed(keys: Collection[Key], lists: Mapping[str, set[Key]]) -> str | None:
    """The split whose list holds one of `keys`: test where val does too, none where train and another do."""
    found = {split for split, listed in lists.items() if not listed.isdisjoint(keys)}
    if "train" in found and len(found) > 1:
        return None
    return next((split for split in ("test", "val", "train") if split in found), None)
