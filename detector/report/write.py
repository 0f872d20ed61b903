"""A report as a folder of files that is there as a whole or not at all."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import signal
import time
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path

from detector.errors import BadOption
from detector.report.detections_csv import COLUMNS, detections_csv
from detector.report.html import render_html
from detector.report.schema import AppearanceInfo, Report
from detector.signals import held_back

FORMATS = ("json", "html", "csv")

OWN_PREFIX = ".ordnance-"
"""How the names of folders begin in which a report is made, or lies until it is deleted."""

MOST_NAME_BYTES = 200
"""Of a folder that is named after a clip: systems take 255, and a clip's own name may be as long. Marks follow it."""

UNFINISHED_SECONDS = 3600.0
"""Nobody takes longer to write a report: a folder in the making that has not changed for so long never will be one."""

_FILE_OF = {"json": "report.json", "html": "report.html", "csv": "detections.csv"}
_OF_DESKTOPS = (".DS_Store", "Thumbs.db", "desktop.ini")
_FETCHED = ("report.csv", "report.vtt")
"""What a report that a server made has instead or beside."""
_PICTURE = re.compile(r"[A-Za-z0-9_-]+-(frame|crop)\.jpg")
_JPEG_START = b"\xff\xd8\xff"
_SNIFFED_BYTES = 4096


def folder_name(clip: str) -> str:
    """What the folder with the report of a clip of that file name is called: as its stem, as far as a folder can be."""
    stem = Path(clip).stem
    if not stem.strip(".") or stem.startswith(OWN_PREFIX):
        return "clip"
    while len(stem.encode(errors="surrogatepass")) > MOST_NAME_BYTES:
        stem = stem[:-1]
    return stem


@held_back(signal.SIGTERM)
def write_report(
    report: Report, thumbnails: Mapping[str, bytes], folder: Path, formats: Collection[str] = FORMATS
) -> Path:
    """Write the report into `folder`, which takes the place of an earlier report there, and return `folder`.

    `thumbnails` holds JPEGs by the names of `thumbnail_name` and `crop_name`; each that the report cites is
    written under `thumbnails/`, and one that is missing is cited as null. Everything is written beside
    `folder`, flushed to the disk and then renamed: whoever looks sees the earlier report or the new one.
    SIGTERM waits until it is there.
    Raises BadOption where `folder` holds anything but a report of Ordnance, or cannot be written.
    """
    unknown = sorted(set(formats) - set(FORMATS))
    if unknown or not formats:
        raise BadOption(f"'{', '.join(unknown)}' is not a format of a report; use some of: {', '.join(FORMATS)}.")
    folder = Path(os.path.abspath(folder))
    _refuse_foreign(folder)
    mark = secrets.token_hex(6)
    staging, earlier = folder.parent / f"{OWN_PREFIX}{mark}.partial", folder.parent / f"{OWN_PREFIX}{mark}.earlier"
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        staging.mkdir()
        try:
            _fill(staging, report, thumbnails, formats)
            _swap_in(staging, folder, earlier)
        except BaseException:
            shutil.rmtree(staging, ignore_errors=True)
            raise
        _sync_folder(folder.parent)
    except OSError as error:
        raise BadOption(
            f"The report cannot be written to '{folder}' ({error.strerror or error}); choose another folder."
        ) from error
    _delete_report(earlier)
    return folder


@held_back(signal.SIGTERM)
def write_fetched(files: Mapping[str, bytes], folder: Path, spare: Path) -> Path:
    """Write a report that a server made, as `files` by their names, and return its folder: `folder`, or where something
    has that name `spare`, whose files can only be of the same scan and give way.

    A folder is there with every file or not at all, and SIGTERM waits until it is. Raises OSError.
    """
    staging = folder.parent / f"{OWN_PREFIX}{secrets.token_hex(6)}.partial"
    try:
        staging.mkdir(parents=True)
        try:
            for name, content in files.items():
                _write(staging / name, content)
            _sync_folder(staging)
            folder = _rename_to_free(staging, folder, spare)
        except BaseException:
            shutil.rmtree(staging, ignore_errors=True)
            raise
        _sync_folder(folder.parent)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(folder)) from error
    return folder


def add_formats(report: Report, folder: Path, formats: Collection[str]) -> None:
    """Write the files of `formats` that `report`, which lies in `folder`, lacks there; those that it has stay.

    Raises as `write_report` does.
    """
    there = {name for name, file in _FILE_OF.items() if (folder / file).is_file()}
    if not there.issuperset(formats):
        pictures = {path.name: path.read_bytes() for path in (folder / "thumbnails").glob("*.jpg")}
        write_report(report, pictures, folder, there.union(formats))


def check_out(out: Path) -> None:
    """Raises BadOption where no report can be written below `out`, which need not exist; leaves nothing behind."""
    if os.path.lexists(out) and not out.is_dir():
        raise BadOption(f"'{out}' is not a folder, so no report can be written below it; choose another --out.")
    trial = out / f"{OWN_PREFIX}{secrets.token_hex(6)}.partial"
    made = [folder for folder in (trial, *trial.parents) if not os.path.lexists(folder)]
    try:
        trial.mkdir(parents=True)
    except OSError as error:
        raise BadOption(
            f"No report can be written below '{out}' ({error.strerror or error}); choose another --out."
        ) from error
    finally:
        for folder in made:
            with suppress(OSError):
                folder.rmdir()


def remove_unfinished(out: Path) -> None:
    """Delete what processes that were killed left below `out` while they wrote reports.

    Where they were killed just as a report took the place of an earlier one, both stay as they are.
    """
    for staging in out.glob(f"{OWN_PREFIX}*.partial"):
        with suppress(OSError):
            is_old = time.time() - staging.stat().st_mtime > UNFINISHED_SECONDS
            if is_old and not os.path.lexists(staging.with_suffix(".earlier")):
                _delete_report(staging)


def _fill(staging: Path, report: Report, thumbnails: Mapping[str, bytes], formats: Collection[str]) -> None:
    report = _without_missing(report, thumbnails)
    names = [
        path.removeprefix("thumbnails/")
        for each in report.appearances
        for path in (each.best.thumbnail, each.best.crop)
        if path is not None
    ]
    if names:
        (staging / "thumbnails").mkdir()
        for name in names:
            _write(staging / "thumbnails" / name, thumbnails[name])
        _sync_folder(staging / "thumbnails")
    if "json" in formats:
        _write(staging / _FILE_OF["json"], f"{report.to_json()}\n".encode())
    if "html" in formats:
        _write(staging / _FILE_OF["html"], render_html(report, thumbnails).encode())
    if "csv" in formats:
        _write(staging / _FILE_OF["csv"], detections_csv(report).encode())
    _sync_folder(staging)


def _without_missing(report: Report, thumbnails: Mapping[str, bytes]) -> Report:
    """The report without citations of pictures that there are none of."""

    def there(path: str | None) -> str | None:
        return path if path is not None and path.removeprefix("thumbnails/") in thumbnails else None

    def cleaned(one: AppearanceInfo) -> AppearanceInfo:
        pictures = {"thumbnail": there(one.best.thumbnail), "crop": there(one.best.crop)}
        return one.model_copy(update={"best": one.best.model_copy(update=pictures)})

    return report.model_copy(update={"appearances": tuple(cleaned(one) for one in report.appearances)})


def _swap_in(staging: Path, folder: Path, earlier: Path) -> None:
    if not folder.exists():
        os.rename(staging, folder)
        return
    os.rename(folder, earlier)
    try:
        os.rename(staging, folder)
    except BaseException:
        os.rename(earlier, folder)
        raise


def _rename_to_free(staging: Path, folder: Path, spare: Path) -> Path:
    try:
        os.rename(staging, folder)
        return folder
    except OSError:
        if not os.path.lexists(folder):
            raise
    if spare.is_dir():
        for path in sorted(staging.iterdir()):
            os.replace(path, spare / path.name)
        _sync_folder(spare)
        staging.rmdir()
    else:
        os.rename(staging, spare)
    return spare


def _refuse_foreign(folder: Path) -> None:
    if not os.path.lexists(folder):
        return
    if folder.is_symlink() or not folder.is_dir():
        raise BadOption(f"'{folder}' is not a folder; choose another one for the report.")
    foreign = foreign_in(folder)
    if foreign is not None:
        raise BadOption(
            f"'{folder}' holds something that is not a report of Ordnance ({foreign.name}); choose another folder."
        )


def foreign_in(folder: Path) -> Path | None:
    """Something in a report's folder that is not Ordnance's, nor what a desktop leaves in any folder that it shows."""
    return next((path for path in sorted(folder.iterdir()) if not _is_ours(path)), None)


def _is_ours(path: Path) -> bool:
    """Whether Ordnance wrote `path`: a file is known by its name and by how it begins."""
    if path.is_symlink():
        return False
    if path.name in _OF_DESKTOPS:
        return path.is_file()
    if path.name == "thumbnails" and path.is_dir():
        return all(
            _PICTURE.fullmatch(each.name) is not None and _start(each).startswith(_JPEG_START)
            for each in path.iterdir()
        )
    start = _start(path)
    if path.name == _FILE_OF["json"]:
        return re.match(rb'\{\s*"schema_version":', start) is not None
    if path.name == _FILE_OF["html"]:
        return b'<meta name="generator" content="Ordnance ' in start
    return path.name == _FILE_OF["csv"] and start.startswith(",".join(COLUMNS).encode())


def _start(path: Path) -> bytes:
    if path.is_symlink() or not path.is_file():
        return b""
    with path.open("rb") as file:
        return file.read(_SNIFFED_BYTES)


def _delete_report(folder: Path) -> None:
    """Delete the files of a report by their names; anything else that came in meanwhile stays where it is."""
    with suppress(OSError):
        for picture in (folder / "thumbnails").glob("*.jpg"):
            if _PICTURE.fullmatch(picture.name):
                picture.unlink()
    with suppress(OSError):
        (folder / "thumbnails").rmdir()
    for name in (*_FILE_OF.values(), *_FETCHED, *_OF_DESKTOPS):
        with suppress(OSError):
            (folder / name).unlink()
    with suppress(OSError):
        folder.rmdir()


def _write(path: Path, data: bytes) -> None:
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    """Make renames and new names in `folder` last; Windows has no way to and needs none."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
