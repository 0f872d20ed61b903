"""A scan that is ended before its time: nothing half-written, no process left, one line."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from made_clips import DEMO, write_clip
from scan_process import TRACEBACK, begun, children_of, scanning


def test_a_report_that_is_being_written_is_written_to_its_end_before_sigterm_ends_the_scan(tmp_path):
    program = """
import sys
from pathlib import Path
from types import SimpleNamespace
import detector.batch_clip as batch_clip
import detector.report.write as write

def filled(folder, report, pictures, formats):
    print("writing", flush=True)
    sys.stdin.readline()
    (folder / "report.json").write_text("whole")

batch_clip._folder_of, write._fill = (lambda report, out: out / "clip"), filled
scanner = SimpleNamespace(scan=lambda path, progress: SimpleNamespace(report=None, pictures={}))
batch_clip.scan_one(scanner, Path("clip.mp4"), SimpleNamespace(out=Path("out"), formats=("json",)), 1)
print("went on")
"""
    with begun(program, tmp_path) as running:
        assert running.stdout.readline() == "writing\n"
        running.terminate()
        time.sleep(0.2)
        assert running.communicate("\n", timeout=60)[0] == ""
    assert running.returncode == -signal.SIGTERM
    assert (tmp_path / "out" / "clip" / "report.json").read_text() == "whole"


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere no process imports beforehand")
def test_a_worker_writes_its_report_to_the_end_when_the_command_is_ended(tmp_path):
    program = """
import sys, time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from types import SimpleNamespace
import detector.batch_clip as batch_clip
import detector.batch_workers as batch_workers
import detector.report.write as write

def filled(folder, report, pictures, formats):
    Path("writing").touch()
    time.sleep(1)
    (folder / "report.json").write_text("whole")

def scan():
    batch_workers._end_with_parent()
    batch_clip._folder_of, write._fill = (lambda report, out: out / "clip"), filled
    scanner = SimpleNamespace(scan=lambda path, progress: SimpleNamespace(report=None, pictures={}))
    batch_clip.scan_one(scanner, Path("clip.mp4"), SimpleNamespace(out=Path("out"), formats=("json",)), 1)
    time.sleep(60)

if __name__ == "__main__":
    with ProcessPoolExecutor(1, batch_workers._process_context()) as pool:
        pool.submit(scan).result()
"""
    (tmp_path / "parent.py").write_text(program)
    with subprocess.Popen(
        [sys.executable, "parent.py"],
        stdout=subprocess.PIPE,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    ) as running:
        while not (tmp_path / "writing").exists():
            assert running.poll() is None
            time.sleep(0.05)
        running.terminate()
        # The worker has the pipe, too: it ends with the last of the two.
        running.communicate(timeout=60)
    assert running.returncode == -signal.SIGTERM
    assert (tmp_path / "out" / "clip" / "report.json").read_text() == "whole"


def test_an_interrupt_leaves_no_half_written_report(tmp_path):
    write_clip(tmp_path / "long.mp4", seconds=120.0, rate=10, size=(640, 480))
    running = scanning(tmp_path, "long.mp4", "--plan", "every-frame", "--out", "out")
    time.sleep(4)
    running.send_signal(signal.SIGINT)
    _, stderr = running.communicate(timeout=60)
    assert running.returncode == 130, stderr
    assert TRACEBACK not in stderr
    assert "interrupted; what is finished is kept" in stderr
    assert not list((tmp_path / "out").glob("*")) if (tmp_path / "out").exists() else True


@pytest.mark.skipif(not os.path.exists("/proc/self/fdinfo"), reason="Linux tells how far a file was read")
@pytest.mark.parametrize("arguments", [["big.mp4"], ["big.mp4", "copy.mp4", "--resume"]], ids=["scan", "resume"])
def test_an_interrupt_while_a_large_file_is_hashed_ends_the_scan(ordnance, tmp_path, arguments):
    if "--resume" in arguments:
        write_clip(tmp_path / "small.mp4", seconds=1.0)
        assert ordnance("scan", "small.mp4", "--out", "out").returncode == 0
        large_report(tmp_path / "out" / "small" / "report.json")
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.json")}
    for name in ("big.mp4", "copy.mp4"):
        write_clip(tmp_path / name, seconds=1.0)
        os.truncate(tmp_path / name, LARGE_BYTES)
    with scanning(tmp_path, *arguments, "--out", "out") as running:
        while not any(read > LARGE_BYTES / 100 for read in read_of(children_of(running.pid), "big.mp4")):
            assert running.poll() is None, running.stderr.read()
            time.sleep(0.05)
        running.send_signal(signal.SIGINT)
        _, stderr = running.communicate(timeout=60)
    assert running.returncode == 130, stderr
    assert [line for line in stderr.splitlines() if line.startswith("ordnance: ")] == [
        "ordnance: interrupted; what is finished is kept, and the same command goes on (scan: with --resume)."
    ]
    assert TRACEBACK not in stderr
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.json")} == before
    assert not list(tmp_path.rglob(".ordnance-*"))


LARGE_BYTES = 64 * 1024**3
"""So much is hashed for a minute at least; it is a hole that takes no room."""


def large_report(path):
    """Have a report be one of a clip of LARGE_BYTES, so that --resume hashes those."""
    report = json.loads(path.read_text(encoding="utf-8"))
    report["clip"]["bytes"] = LARGE_BYTES
    path.write_text(json.dumps(report), encoding="utf-8")


def read_of(processes, name):
    """How many bytes of the file the processes have read, for each time that they have it open."""
    with suppress(OSError):
        for each in (entry for process in processes for entry in (Path("/proc") / process / "fd").iterdir()):
            with suppress(OSError):
                if os.readlink(each).endswith(f"/{name}"):
                    yield int((each.parents[1] / "fdinfo" / each.name).read_text().split()[1])


@pytest.fixture(params=["1", "2"])
def batch_at_work(tmp_path, request):
    """A scan that has done the first of three clips. Its output ends when the last of its processes does."""
    write_clip(tmp_path / "a.mp4", seconds=1.0)
    for name in ("b.mp4", "c.mp4"):
        shutil.copyfile(DEMO, tmp_path / name)
    running = scanning(tmp_path, ".", "--jobs", request.param, "--plan", "every-frame", "--out", "out")
    while not (tmp_path / "out" / "a" / "report.json").exists():
        assert running.poll() is None, running.stderr.read()
        time.sleep(0.1)
    yield running
    running.kill()


def test_an_interrupted_batch_ends_without_its_clips_at_hand(batch_at_work, tmp_path):
    batch_at_work.send_signal(signal.SIGINT)
    _, stderr = batch_at_work.communicate(timeout=60)
    assert batch_at_work.returncode == 130, stderr
    assert TRACEBACK not in stderr
    assert [folder.name for folder in (tmp_path / "out").iterdir()] == ["a"]


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere no process imports beforehand")
def test_ctrl_c_in_a_terminal_reaches_all_processes_and_one_answers(clip, tmp_path):
    shutil.copyfile(clip, tmp_path / "second.mp4")
    running = scanning(tmp_path, ".", "--jobs", "2", "--out", "out")

    def has_forkserver():
        begun = [each for child in children_of(running.pid) for each in children_of(child)]
        return any(b"forkserver" in (Path("/proc") / each / "cmdline").read_bytes() for each in begun)

    while not has_forkserver():
        time.sleep(0.01)
    time.sleep(0.1)
    os.killpg(running.pid, signal.SIGINT)
    _, stderr = running.communicate(timeout=60)
    assert running.returncode == 130, stderr
    assert [line for line in stderr.splitlines() if line] == [
        "ordnance: interrupted; what is finished is kept, and the same command goes on (scan: with --resume)."
    ]


INTERRUPTED_AS_A_WORKER_BEGINS = """
import os, signal
from multiprocessing import forkserver

connect = forkserver.connect_to_new_process

def interrupted(fds):
    made = connect(fds)
    os.kill(os.getpid(), signal.SIGINT)
    return made

forkserver.connect_to_new_process = interrupted
from service.cli import main
main()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere no process imports beforehand")
def test_an_interrupt_as_a_worker_begins_is_told_by_one_process(clip, tmp_path):
    shutil.copyfile(clip, tmp_path / "second.mp4")
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED_AS_A_WORKER_BEGINS, "scan", str(tmp_path), "--jobs", "2"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert done.returncode == 130, done.stderr
    assert [line for line in done.stderr.splitlines() if line] == [
        "ordnance: interrupted; what is finished is kept, and the same command goes on (scan: with --resume)."
    ]


def test_a_batch_whose_output_nobody_reads_any_more_ends(clip, tmp_path):
    shutil.copyfile(clip, tmp_path / "a.mp4")
    shutil.copyfile(DEMO, tmp_path / "c.mp4")
    with scanning(tmp_path, ".", "--plan", "every-frame", "--out", "out") as running:
        assert running.stdout.readline().startswith("a.mp4")
        running.stdout.close()
        # Its processes have stderr, too: it ends with the last of them.
        stderr = running.stderr.read()
    assert running.returncode == 1
    assert TRACEBACK not in stderr
    assert (tmp_path / "out" / "a").exists()
    assert not (tmp_path / "out" / "c").exists()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_batch_leaves_no_process_behind(batch_at_work, tmp_path, number):
    batch_at_work.send_signal(number)
    _, stderr = batch_at_work.communicate(timeout=60)
    assert "resource_tracker" not in stderr
    assert [folder.name for folder in (tmp_path / "out").iterdir()] == ["a"]
