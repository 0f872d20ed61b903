from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from detector.errors import BadOption
from detector.report import Report, write, write_report

WHOLE = {"report.json", "report.html", "detections.csv", "thumbnails"}


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }


class Failing(Mapping[str, bytes]):
    """Pictures of which the last cannot be had."""

    def __init__(self, pictures: dict[str, bytes], error: BaseException) -> None:
        self._pictures, self._error = pictures, error

    def __getitem__(self, name: str) -> bytes:
        if name == list(self._pictures)[-1]:
            raise self._error
        return self._pictures[name]

    def __contains__(self, name: object) -> bool:
        return name in self._pictures

    def __iter__(self) -> Iterator[str]:
        return iter(self._pictures)

    def __len__(self) -> int:
        return len(self._pictures)


def test_a_folder_with_all_of_it(report: Report, thumbnails: dict[str, bytes], tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "down" / "patrol"
    assert write_report(report, thumbnails, folder) == folder
    assert {path.name for path in folder.iterdir()} == WHOLE
    assert {path.name: path.read_bytes() for path in (folder / "thumbnails").iterdir()} == thumbnails
    assert Report.from_json((folder / "report.json").read_bytes()) == report
    assert (folder / "report.html").read_text("utf-8").startswith("<!DOCTYPE html>")
    assert len((folder / "detections.csv").read_bytes().splitlines()) == 10
    assert os.listdir(folder.parent) == ["patrol"]


def test_the_folder_is_as_open_as_any_other(report: Report, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    folder = write_report(report, {}, tmp_path / "patrol")
    assert stat.S_IMODE(folder.stat().st_mode) == stat.S_IMODE((tmp_path / "other").stat().st_mode)


def test_only_the_formats_asked_for(report: Report, thumbnails: dict[str, bytes], tmp_path: Path) -> None:
    folder = write_report(report, thumbnails, tmp_path / "patrol", ("csv",))
    assert {path.name for path in folder.iterdir()} == {"detections.csv", "thumbnails"}
    write_report(report, {}, folder, ["json"])
    assert {path.name for path in folder.iterdir()} == {"report.json"}


@pytest.mark.parametrize("formats", [(), ("pdf",), ("json", "pdf")])
def test_formats_that_do_not_exist(report: Report, tmp_path: Path, formats: tuple[str, ...]) -> None:
    with pytest.raises(BadOption, match="json, html, csv"):
        write_report(report, {}, tmp_path / "patrol", formats)
    assert os.listdir(tmp_path) == []


def test_a_picture_that_is_missing_is_not_cited(report: Report, thumbnails: dict[str, bytes], tmp_path: Path) -> None:
    del thumbnails["a2-frame.jpg"]
    folder = write_report(report, thumbnails, tmp_path / "patrol")
    best = [one.best for one in Report.from_json((folder / "report.json").read_bytes()).appearances]
    assert [one.thumbnail for one in best] == ["thumbnails/a1-frame.jpg", None, "thumbnails/a3-frame.jpg"]
    assert best[1].crop == "thumbnails/a2-crop.jpg"


@pytest.mark.parametrize("earlier", [False, True])
@pytest.mark.parametrize("error", [RuntimeError("no"), KeyboardInterrupt(), OSError(28, "No space left on device")])
def test_a_write_that_fails_leaves_what_was_there(
    report: Report, make_report, thumbnails: dict[str, bytes], tmp_path: Path, error: BaseException, earlier: bool
) -> None:
    folder = tmp_path / "patrol"
    if earlier:
        write_report(make_report(name="earlier.mp4"), {}, folder)
    before = contents(tmp_path)
    expected = BadOption if isinstance(error, OSError) else type(error)
    with pytest.raises(expected):
        write_report(report, Failing(thumbnails, error), folder)
    assert contents(tmp_path) == before
    assert os.listdir(tmp_path) == (["patrol"] if earlier else [])


def test_a_rename_that_fails_puts_the_earlier_report_back(
    report: Report, make_report, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_report(make_report(name="earlier.mp4"), {}, tmp_path / "patrol")
    before = contents(tmp_path)
    rename = os.rename

    def refusing(source: Path, target: Path) -> None:
        if source.name.endswith(".partial"):
            raise KeyboardInterrupt
        rename(source, target)

    monkeypatch.setattr(write.os, "rename", refusing)
    with pytest.raises(KeyboardInterrupt):
        write_report(report, {}, folder)
    assert contents(tmp_path) == before


def test_what_a_killed_process_left_is_deleted_once_nobody_can_be_writing_it(
    report: Report, thumbnails: dict[str, bytes], tmp_path: Path
) -> None:
    def left(name: str, *, hours: float) -> None:
        folder = write_report(report, thumbnails, tmp_path / "patrol").rename(tmp_path / name)
        then = time.time() - hours * 3600
        os.utime(folder, (then, then))

    left(".ordnance-1.partial", hours=2)
    left(".ordnance-2.partial", hours=0)
    # Killed just as one report took the place of another: which belongs where is for a person to say.
    left(".ordnance-3.partial", hours=2)
    left(".ordnance-3.earlier", hours=2)
    left("mine.partial", hours=2)
    write.write_fetched({"report.json": b"{}", "report.csv": b"", "report.vtt": b""}, tmp_path / "f", tmp_path / "g")
    (tmp_path / "f").rename(tmp_path / ".ordnance-5.partial")
    os.utime(tmp_path / ".ordnance-5.partial", (0, 0))
    (tmp_path / ".ordnance-4.partial").mkdir()
    (tmp_path / ".ordnance-4.partial" / "notes.txt").write_text("mine")
    os.utime(tmp_path / ".ordnance-4.partial", (0, 0))
    write.remove_unfinished(tmp_path)
    assert sorted(os.listdir(tmp_path)) == [
        ".ordnance-2.partial",
        ".ordnance-3.earlier",
        ".ordnance-3.partial",
        ".ordnance-4.partial",
        "mine.partial",
    ]


def test_an_earlier_report_gives_way_wholly(
    report: Report, make_report, thumbnails: dict[str, bytes], tmp_path: Path
) -> None:
    folder = write_report(report, thumbnails, tmp_path / "patrol")
    write_report(make_report(name="later.mp4"), {}, folder)
    assert set(contents(folder)) == {"report.json", "report.html", "detections.csv"}
    assert b"later.mp4" in (folder / "report.json").read_bytes()
    assert os.listdir(tmp_path) == ["patrol"]


def test_an_empty_folder_is_taken(report: Report, tmp_path: Path) -> None:
    (tmp_path / "patrol").mkdir()
    assert (write_report(report, {}, tmp_path / "patrol") / "report.json").exists()


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("notes.txt", b"mine"),
        ("report.html", b"<html>my own report</html>"),
        ("report.json", b'{"mine": 1}'),
        ("detections.csv", b"a,b\n1,2\n"),
        ("thumbnails/holiday.jpg", b"\xff\xd8\xff\xe0"),
        ("thumbnails/a1-frame.jpg", b"not a picture"),
        ("thumbnails/a1-frame.jpg/deeper.txt", b"mine"),
        (".hidden", b""),
    ],
)
def test_what_is_not_ours_is_never_touched(report: Report, tmp_path: Path, name: str, data: bytes) -> None:
    folder = write_report(report, {}, tmp_path / "patrol")
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data)
    before = contents(tmp_path)
    with pytest.raises(BadOption, match="not a report of Ordnance") as caught:
        write_report(report, {}, folder)
    assert name.partition("/")[0] in str(caught.value)
    assert contents(tmp_path) == before


def test_links_are_not_followed(report: Report, tmp_path: Path) -> None:
    real = write_report(report, {}, tmp_path / "real")
    (tmp_path / "link").symlink_to(real)
    with pytest.raises(BadOption, match="not a folder"):
        write_report(report, {}, tmp_path / "link")
    (tmp_path / "holder").mkdir()
    (tmp_path / "holder" / "report.json").symlink_to(real / "report.json")
    with pytest.raises(BadOption, match="not a report"):
        write_report(report, {}, tmp_path / "holder")
    assert (real / "report.json").exists()


def test_a_file_in_the_way_is_one_clear_sentence(report: Report, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    for folder in (tmp_path / "file", tmp_path / "file" / "patrol"):
        with pytest.raises(BadOption, match="choose another"):
            write_report(report, {}, folder)
    assert (tmp_path / "file").read_text() == "mine"


def test_a_name_as_long_as_the_system_allows(report: Report, tmp_path: Path) -> None:
    folder = write_report(report, {}, tmp_path / ("n" * 255))
    assert (write_report(report, {}, folder) / "report.json").exists()


def test_what_came_in_while_writing_is_kept(report: Report, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_report(report, {}, tmp_path / "patrol")
    fill = write._fill

    def meanwhile(*given) -> None:
        fill(*given)
        (folder / "notes.txt").write_text("mine")

    monkeypatch.setattr(write, "_fill", meanwhile)
    write_report(report, {}, folder)
    assert [path.read_text() for path in tmp_path.rglob("notes.txt")] == ["mine"]


def test_a_fetched_report_that_cannot_be_written_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_one = write._write

    def full(path: Path, content: bytes) -> None:
        if path.name == "report.html":
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        write_one(path, content)

    monkeypatch.setattr(write, "_write", full)
    with pytest.raises(OSError) as refused:
        write.write_fetched({"report.json": b"{}", "report.html": b""}, tmp_path / "clip", tmp_path / "clip-1")
    assert (refused.value.filename, refused.value.strerror) == (str(tmp_path / "clip"), "No space left on device")
    assert os.listdir(tmp_path) == []
