"""`ordnance submit`: what it sends, fetches and says."""

import json
import os
import re
import socket
import subprocess
import sys
from types import SimpleNamespace

import pytest

from service.client import Client, ServerError


def test_submit_uploads_follows_and_fetches(server, humvee, tmp_path):
    server.wait_ready()
    done = subprocess.run(
        [sys.executable, "-m", "service", "submit", str(humvee), "--server", server.url, "--format", "json,vtt"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "ORDNANCE_KEY": server.key("frank")},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "ordnance-report" / "humvee"
    assert "humvee" in {each["class"] for each in json.loads((folder / "report.json").read_text())["appearances"]}
    assert (folder / "report.vtt").read_text().startswith("WEBVTT")
    assert "appearance" in done.stdout


def test_submit_says_in_a_sentence_what_went_wrong(server, humvee, tmp_path):
    (tmp_path / "text.mp4").write_text("no film\n" * 30)
    for arguments, word in (
        ((str(humvee), "--server", server.url, "--plan", "hourly"), "interval"),
        (("missing.mp4", "--server", server.url), "missing.mp4"),
        (("text.mp4", "--server", server.url), "text file"),
    ):
        done = subprocess.run(
            [sys.executable, "-m", "service", "submit", *arguments],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            check=False,
        )
        assert done.returncode == 3
        assert word in done.stderr
        assert "Traceback" not in done.stderr


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such names")
def test_a_name_cannot_give_orders_to_the_terminal(server, tmp_path):
    name = "[red]e\x1b[31mvil\x1b]0;title\x07.mp4"
    (tmp_path / name).write_text("no film\n" * 30)
    done = subprocess.run(
        [sys.executable, "-m", "service", "submit", name, "--server", server.url, "--plan", "hourly"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 3
    assert r"[red]e\x1b[31mvil\x1b]0;title\x07.mp4: upload" in done.stderr
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", done.stderr)


def test_a_scan_that_is_no_longer_followed_is_named(server, humvee, tmp_path, monkeypatch, capsys):
    from service.commands import run

    followed = []

    def events(self, scan_id):
        followed.append(scan_id)
        raise KeyboardInterrupt

    monkeypatch.setattr(Client, "events", events)
    key = server.key("victor")
    assert run(["submit", str(humvee), "--server", server.url, "--key", key, "--out", str(tmp_path / "out")]) == 130
    assert f"Its scan {followed[0]} goes on at the server." in capsys.readouterr().err


def test_a_clip_whose_name_is_no_utf_8_is_sent_like_any_other(server, bands, tmp_path):
    server.wait_ready()
    name = os.fsdecode(b"bad\xff.mp4")
    for each in (name, "good.mp4"):
        (tmp_path / each).write_bytes(bands.read_bytes())
    done = subprocess.run(
        [sys.executable, "-m", "service", "submit", name, "good.mp4", "--server", server.url],
        capture_output=True,
        cwd=tmp_path,
        check=False,
        env={**os.environ, "PYTHONIOENCODING": "utf-8:strict"},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.decode().startswith("bad\N{REPLACEMENT CHARACTER}.mp4: 0 appearances")
    assert "good.mp4: 0 appearances" in done.stdout.decode()


def test_a_report_that_cannot_be_written_ends_no_batch(server, bands, tmp_path):
    server.wait_ready()

    def submitted(*arguments):
        return subprocess.run(
            [sys.executable, "-m", "service", "submit", *arguments, "--server", server.url],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            check=False,
        )

    scan_id = submitted(str(bands), "--no-wait").stdout.split()[-1]
    (tmp_path / "out").mkdir()
    for taken in (bands.stem, f"{bands.stem}-{scan_id[:12]}"):
        (tmp_path / "out" / taken).write_text("no folder")
    done = submitted(str(bands), os.path.relpath(bands, tmp_path), "--out", "out")
    assert done.returncode == 3
    assert done.stderr.count("cannot be read or written (Not a directory)") == 2
    assert "fault of ours" not in done.stderr


def test_a_server_that_is_away_is_waited_for_once_and_said_to_be(tmp_path, monkeypatch, capsys):
    from service.commands import run

    monkeypatch.setattr("service.client.asking.ATTEMPTS", 2)
    clips = [tmp_path / name for name in ("a.mp4", "b.mp4", "missing.mp4")]
    for each in clips[:2]:
        each.write_bytes(b"clip")
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{deaf.getsockname()[1]}"
        code = run(["submit", *map(str, clips), "--server", address, "--out", str(tmp_path / "out")])
    assert code == 3
    said = [line.strip() for line in capsys.readouterr().err.splitlines()]
    assert [line for line in said if line.endswith("Trying again.")] == [
        "The server does not answer ([Errno 111] Connection refused); check its address. Trying again."
    ]
    assert f"{clips[0]}: The server does not answer ([Errno 111] Connection refused); check its address." in said
    assert f"{clips[1]}: The server still does not answer; the clip was not sent." in said
    assert f"{clips[2]}: There is no file {clips[2]}; check the path." in said


@pytest.mark.parametrize("stem", ["clip", "c" * 250])
def test_a_report_is_there_in_all_formats_or_not_at_all(stem, tmp_path, monkeypatch, capsys):
    from service.commands import run

    clip, out, plain = tmp_path / f"{stem}.mp4", tmp_path / "out", stem[:200]
    clip.write_bytes(b"clip")
    links = {f"report.{form}": form for form in ("json", "csv", "vtt")}
    scan = SimpleNamespace(
        id="7" * 32, state="done", links=links, progress=SimpleNamespace(appearances=1), coverage=None
    )
    away: set[str] = set()

    def fetch(_, form):
        if form in away:
            raise ServerError("no_answer", "The server does not answer.", 0)
        return form.encode()

    for name, found in (("submit", scan), ("scan", scan), ("events", ())):
        monkeypatch.setattr(Client, name, lambda *_, found=found, **__: found)
    monkeypatch.setattr(Client, "fetch", fetch)

    def submitted(formats):
        code = run(["submit", str(clip), "--out", str(out), "--format", formats, "--server", "http://127.0.0.1:1"])
        there = {str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*") if path.is_file()}
        return code, there, capsys.readouterr()

    away.add("csv")
    code, there, said = submitted("json,csv")
    assert (code, there) == (3, {})
    assert f"{clip}: The server does not answer." in said.err
    away.clear()
    first = {f"{plain}/report.json": b"json", f"{plain}/report.csv": b"csv"}
    assert submitted("json,csv")[:2] == (0, first)
    second = {**first, f"{plain}-777777777777/report.json": b"json"}
    assert submitted("json")[:2] == (0, second)
    code, there, said = submitted("vtt")
    assert (code, there) == (0, {**second, f"{plain}-777777777777/report.vtt": b"vtt"})
    assert "report in " + str(out / f"{plain}-777777777777") in said.out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--out", "clip.mp4"], "'clip.mp4' is not a folder"),
        (["--out", ""], "An empty name was given for --out"),
        (["--format", ""], "'' is not an output format"),
        (["--format", "json,pdf"], "'pdf' is not an output format"),
    ],
)
def test_submit_refuses_what_it_could_not_write_before_it_sends_anything(
    arguments, words, tmp_path, monkeypatch, capsys
):
    from service.commands import run

    monkeypatch.chdir(tmp_path)
    (tmp_path / "clip.mp4").write_bytes(b"clip")
    monkeypatch.setattr(Client, "submit", lambda *_, **__: pytest.fail("it was sent"))
    assert run(["submit", "clip.mp4", *arguments]) == 2
    assert words in capsys.readouterr().err


def test_submit_takes_folders_passes_over_options_without_a_value_and_sends_no_empty_clip(server, bands, tmp_path):
    server.wait_ready()
    for folder in ("tree/deeper", "bare"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "tree" / "deeper" / "one.mp4").write_bytes(bands.read_bytes())
    (tmp_path / "tree" / "none.mp4").write_bytes(b"")
    (tmp_path / "tree" / "notes.txt").write_text("no clip")
    options = ("--classes", "", "--plan", "", "--quiet", "--server", server.url)
    done = subprocess.run(
        [sys.executable, "-m", "service", "submit", "tree", "bare", *options],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 3
    assert done.stdout.splitlines() == ["tree/deeper/one.mp4: 0 appearances, report in ordnance-report/one"]
    assert done.stderr.splitlines() == [
        "bare: The folder bare holds no clip; give clips by name.",
        "tree/none.mp4: none.mp4 is empty; copy it again.",
    ]
    assert (tmp_path / "ordnance-report" / "one" / "report.html").is_file()
