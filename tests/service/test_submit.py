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
    (tmp_path / "taken").write_text("no folder")
    done = subprocess.run(
        [sys.executable, "-m", "service", "submit", str(bands), str(bands), "--server", server.url, "--out", "taken"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
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


def test_a_report_is_there_in_all_formats_or_not_at_all(tmp_path, monkeypatch, capsys):
    from service.commands import run

    clip, out = tmp_path / "clip.mp4", tmp_path / "out"
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
    first = {"clip/report.json": b"json", "clip/report.csv": b"csv"}
    assert submitted("json,csv")[:2] == (0, first)
    second = {**first, "clip-777777777777/report.json": b"json"}
    assert submitted("json")[:2] == (0, second)
    code, there, said = submitted("vtt")
    assert (code, there) == (0, {**second, "clip-777777777777/report.vtt": b"vtt"})
    assert "report in " + str(out / "clip-777777777777") in said.out
