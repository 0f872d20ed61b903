"""The clips that are meant by what a user names: files, folders and glob patterns."""

from __future__ import annotations

import glob
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from detector.errors import ClipNotFound, ClipUnreadable, VideoError

CLIP_SUFFIXES = frozenset(
    {
        *(".264", ".265", ".3g2", ".3gp", ".apng", ".asf", ".avi", ".dav", ".divx", ".dv", ".f4v", ".flv", ".gif"),
        *(".h264", ".h265", ".hevc", ".ivf", ".m1v", ".m2t", ".m2ts", ".m2v", ".m4v", ".mjpeg", ".mjpg", ".mkv"),
        *(".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".mxf", ".nut", ".obu", ".ogm", ".ogv", ".rm", ".rmvb", ".ts"),
        *(".vob", ".webm", ".wmv", ".wtv", ".y4m"),
    }
)
"""Files taken from a folder; a clip named on the command line may have any suffix."""


def find_clips(patterns: Sequence[str]) -> tuple[list[Path], list[tuple[Path, VideoError]]]:
    """The clips that files, folders and glob patterns name, each once, and what names nothing."""
    clips: dict[Path, None] = {}
    missing: list[tuple[Path, VideoError]] = []
    for pattern in patterns:
        path = Path(pattern)
        if not pattern:
            words = "An empty name was given; name a clip, or the folder that is meant (. for this one)."
            missing.append((path, ClipNotFound(words)))
            continue
        if os.path.isdir(path):
            found, shut = _clips_in(path)
            missing += shut
            if not found and not shut:
                missing.append((path, ClipNotFound(f"The folder {path} holds no clip; give clips by name.")))
        elif os.path.lexists(path) or not glob.has_magic(pattern):
            found = [path]
        else:
            found = sorted(Path(name) for name in glob.glob(pattern, recursive=True) if not os.path.isdir(name))
            if not found:
                missing.append((path, ClipNotFound(f"No file matches the pattern {pattern}.")))
        clips.update(dict.fromkeys(found))
    return list(clips), missing


def _clips_in(folder: Path) -> tuple[list[Path], list[tuple[Path, VideoError]]]:
    """The clips below `folder`, and the folders there that the operating system does not let be read."""
    shut: list[OSError] = []
    found = [
        Path(place, name)
        for place, names in _folders_below(folder, shut.append)
        for name in names
        if Path(name).suffix.lower() in CLIP_SUFFIXES and _may_be_clip(Path(place, name))
    ]
    words = "The folder {} cannot be read ({}), so its clips are not scanned; change its permissions or its owner."
    return sorted(found), [
        (Path(each.filename), ClipUnreadable(words.format(each.filename, each.strerror))) for each in shut
    ]


def _folders_below(folder: Path, on_error: Callable[[OSError], None]) -> Iterator[tuple[str, list[str]]]:
    """`folder` and all below it with the names of what is no folder, each once, linked ones too."""
    known = set()
    for place, folders, names in os.walk(folder, onerror=on_error, followlinks=True):
        try:
            facts = os.stat(place)
        except OSError as error:
            on_error(error)
            folders.clear()
            continue
        if (facts.st_dev, facts.st_ino) in known:
            folders.clear()
            continue
        known.add((facts.st_dev, facts.st_ino))
        yield place, names


def _may_be_clip(path: Path) -> bool:
    """Whether it is a file, or cannot be told, as where a link leads nowhere: opening it says why."""
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except OSError:
        return True
