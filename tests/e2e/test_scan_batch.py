"""Many clips: bad ones, several processes, what was scanned before, folders that are there."""

import hashlib
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from made_clips import write_clip
from scan_process import TRACEBACK, begun, report_of


def test_a_bad_clip_does_not_end_the_batch(ordnance, clip, tmp_path):
    (tmp_path / "aaa.mp4").write_bytes(b"not a film")
    done = ordnance("scan", tmp_path, "--out", "out")
    assert done.returncode == 3
    assert "1 of 2 clips could not be scanned" in done.stderr
    assert report_of(tmp_path / "out" / "bands")["clip"]["name"] == "bands.mp4"


def test_resuming_without_anything_kept_is_refused(ordnance, clip):
    done = ordnance("scan", clip, "--json", "--resume")
    assert done.returncode == 2
    assert "With --json nothing is kept that --resume could go on from; give --out, too." in done.stderr


def test_several_jobs_give_the_same_reports(ordnance, clip, tmp_path):
    write_clip(tmp_path / "second.mp4", seconds=1.0)
    (tmp_path / "third.mp4").write_bytes(b"not a film")
    done = ordnance("scan", tmp_path, "--out", "out", "--jobs", "2")
    assert done.returncode == 3
    assert {folder.name for folder in (tmp_path / "out").iterdir()} == {"bands", "second"}


def test_a_folder_in_which_somebody_keeps_something_gets_no_report_and_loses_none(ordnance, clip, tmp_path):
    ordnance("scan", clip, "--out", "out")
    (tmp_path / "out" / "bands" / ".DS_Store").write_bytes(b"of a desktop")
    assert ordnance("scan", clip, "--out", "out", "--every", "0.5").returncode == 0
    assert [folder.name for folder in (tmp_path / "out").iterdir()] == ["bands"]
    (tmp_path / "out" / "bands" / "notes.txt").write_text("mine")
    before = (tmp_path / "out" / "bands" / "report.json").read_bytes()
    digest = report_of(tmp_path / "out" / "bands")["clip"]["sha256"][:12]
    for every in ("0.4", "0.3"):
        assert ordnance("scan", clip, "--out", "out", "--every", every).returncode == 0
        assert report_of(tmp_path / "out" / f"bands-{digest}")["scan"]["plan"]["options"]["every_s"] == float(every)
    (tmp_path / "out" / f"bands-{digest}" / "more.txt").write_text("mine too")
    assert ordnance("scan", clip, "--out", "out").returncode == 0
    assert {folder.name for folder in (tmp_path / "out").iterdir()} == {"bands", f"bands-{digest}", f"bands-{digest}-2"}
    assert (tmp_path / "out" / "bands" / "report.json").read_bytes() == before
    assert (tmp_path / "out" / "bands" / "notes.txt").read_text() == "mine"


def test_linked_folders_are_scanned_once_and_links_that_lead_nowhere_are_told(ordnance, clip, tmp_path):
    (tmp_path / "archive").mkdir()
    (tmp_path / "disk" / "2023").mkdir(parents=True)
    clip.rename(tmp_path / "disk" / "2023" / "bands.mp4")
    (tmp_path / "archive" / "2023").symlink_to(tmp_path / "disk" / "2023")
    (tmp_path / "archive" / "again").symlink_to(tmp_path / "disk")
    (tmp_path / "disk" / "2023" / "back").symlink_to(tmp_path / "archive")
    (tmp_path / "archive" / "gone.mp4").symlink_to(tmp_path / "disk" / "gone.mp4")
    done = ordnance("scan", "archive", "--out", "out")
    assert done.returncode == 3
    assert "1 of 2 clips could not be scanned" in done.stderr
    assert "archive/gone.mp4  [clip_not_found]" in done.stderr
    assert [folder.name for folder in (tmp_path / "out").iterdir()] == ["bands"]


FAULT_WITH_ONE = """
from detector.scanner import Scanner
scan = Scanner.scan

def failing(self, path, on_progress=None):
    if path.name == "a.mp4":
        [][0]
    return scan(self, path, on_progress)

Scanner.scan = failing
"""


def with_site(folder, program):
    """The environment in which every Python begins with `program`."""
    (folder / "site").mkdir()
    (folder / "site" / "sitecustomize.py").write_text(program)
    return {"PYTHONPATH": os.pathsep.join((str(folder / "site"), str(Path(__file__).parents[2])))}


def test_a_fault_of_ours_with_one_clip_does_not_end_the_batch(ordnance, clip, tmp_path):
    shutil.copyfile(clip, tmp_path / "a.mp4")
    site = with_site(tmp_path, FAULT_WITH_ONE)
    done = ordnance("scan", ".", "--out", "out", **site)
    assert done.returncode == 3
    assert (
        "a.mp4  [internal_error] unexpected IndexError: list index out of range. This is a fault of ours" in done.stderr
    )
    assert TRACEBACK not in done.stderr
    assert [folder.name for folder in (tmp_path / "out").iterdir()] == ["bands"]
    details = ordnance("scan", ".", "--out", "out", ORDNANCE_DEBUG="1", **site)
    assert "[][0]" in details.stderr


ENDS_WHO_READS_IT = """
import os, signal, sys

def hook(event, arguments):
    if event == "open" and str(arguments[0]).endswith("deadly.mp4"):
        os.kill(os.getpid(), int(os.environ.get("DEADLY", signal.SIGKILL)))

sys.addaudithook(hook)
"""


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_clip_that_ends_its_process_does_not_end_the_batch(ordnance, clip, tmp_path, jobs):
    for name in ("a", "deadly", "e", "f", "g", "h"):
        shutil.copyfile(clip, tmp_path / f"{name}.mp4")
    done = ordnance("scan", tmp_path, "--out", "out", "--jobs", jobs, **with_site(tmp_path, ENDS_WHO_READS_IT))
    assert done.returncode == 3
    assert "1 of 7 clips could not be scanned" in done.stderr
    assert "deadly.mp4  [worker_died] The process that scanned this clip was ended" in done.stderr
    assert {folder.name for folder in (tmp_path / "out").iterdir()} == {"a", "bands", "e", "f", "g", "h"}


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing watches over a scan")
@pytest.mark.parametrize(
    ("number", "code", "said"),
    [
        (signal.SIGSEGV, 3, "crashed (SIGSEGV): a clip may be damaged"),
        (signal.SIGKILL, 3, "was ended from outside (SIGKILL), as a system does that runs out of memory"),
        (signal.SIGTERM, -signal.SIGTERM, None),
    ],
)
def test_a_single_clip_that_ends_its_process_ends_in_a_sentence(ordnance, clip, tmp_path, number, code, said):
    clip.rename(tmp_path / "deadly.mp4")
    site = with_site(tmp_path, ENDS_WHO_READS_IT)
    done = ordnance("scan", "deadly.mp4", "--out", "out", DEADLY=str(int(number)), **site)
    assert done.returncode == code
    assert re.fullmatch(rf"ordnance: the process that scanned {re.escape(said)}[^\n]*\n" if said else "", done.stderr)
    assert not (tmp_path / "out").exists()


CANNOT_LOAD = """
import multiprocessing, sys

def hook(event, arguments):
    if event == "open" and str(arguments[0]).endswith(".onnx") and multiprocessing.parent_process() is not None:
        raise OSError(5, "Input/output error", str(arguments[0]))

sys.addaudithook(hook)
"""


NO_ROOM_FOR_IT = CANNOT_LOAD.replace("raise OSError", "raise MemoryError")
ENDED_AS_IT_LOADS = CANNOT_LOAD.replace("raise OSError", "import os; os.kill(os.getpid(), 9); raise OSError")


@pytest.mark.parametrize(
    ("program", "words"),
    [
        (CANNOT_LOAD, r"The weights file \S+ cannot be read \(Input/output error\)"),
        (NO_ROOM_FOR_IT, "there is not enough memory for this; end other programs"),
        (ENDED_AS_IT_LOADS, "The process that was loading the model was ended from outside or crashed"),
    ],
)
@pytest.mark.parametrize("jobs", ["1", "2"])
def test_where_no_process_can_load_the_model_one_sentence_says_why(ordnance, clip, tmp_path, jobs, program, words):
    shutil.copyfile(clip, tmp_path / "second.mp4")
    done = ordnance("scan", ".", "--out", "out", "--jobs", jobs, **with_site(tmp_path, program))
    assert done.returncode == 1
    assert re.fullmatch(rf"ordnance: {words}[^\n]*\n", done.stderr)


ROOM_FOR_ONE_MODEL = """
import multiprocessing, os, sys

def lives(number):
    try:
        os.kill(number, 0)
    except OSError:
        return False
    return True

def hook(event, arguments):
    if event == "open" and str(arguments[0]).endswith("ordnance-n.onnx") and multiprocessing.parent_process():
        holder = os.readlink("holder") if os.path.islink("holder") else ""
        if holder and int(holder) != os.getpid() and lives(int(holder)):
            raise MemoryError
        if holder != str(os.getpid()):
            if holder:
                os.unlink("holder")
            os.symlink(str(os.getpid()), "holder")

sys.addaudithook(hook)
"""


@pytest.mark.skipif(os.name == "nt", reason="it remembers who has the model by a link")
def test_where_there_is_room_for_fewer_models_than_jobs_all_clips_are_scanned(ordnance, clip, tmp_path):
    for name in ("a", "b", "c", "d", "e"):
        shutil.copyfile(clip, tmp_path / f"{name}.mp4")
    done = ordnance("scan", ".", "--out", "out", "--jobs", "2", **with_site(tmp_path, ROOM_FOR_ONE_MODEL))
    assert done.returncode == 0, done.stderr
    assert {folder.name for folder in (tmp_path / "out").iterdir()} == {"a", "b", "bands", "c", "d", "e"}


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere no process imports beforehand")
def test_where_no_process_can_be_started_clips_are_scanned_one_after_the_other(ordnance, clip, tmp_path):
    shutil.copyfile(clip, tmp_path / "second.mp4")
    too_long = tmp_path / ("t" * 110)
    too_long.mkdir()
    assert ordnance("scan", ".", "--out", "out", TMPDIR=str(too_long)).returncode == 0
    assert {folder.name for folder in (tmp_path / "out").iterdir()} == {"bands", "second"}
    refused = ordnance("scan", ".", "--out", "out", "--jobs", "2", TMPDIR=str(too_long))
    assert refused.returncode == 2
    assert "No process can be started for --jobs here (AF_UNIX path too long)" in refused.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="how many files are opened was tried on Linux")
def test_where_too_few_files_may_be_opened_for_processes_one_sentence_says_so(clip, tmp_path):
    shutil.copyfile(clip, tmp_path / "second.mp4")
    command = shlex.join([sys.executable, "-m", "service", "scan", "."])
    done = subprocess.run(
        ["/bin/sh", "-c", f"ulimit -n 14; {command}"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    words = "no more files can be opened (Too many open files); raise the limit (ulimit -n) or end other programs."
    assert done.stderr == f"ordnance: {words}\n"


def on_terminal(folder, *arguments, **environment):
    """What `ordnance scan` of all clips in `folder` says on stderr, a terminal, while it does well."""
    import pty

    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "service", "scan", ".", "--plan", "every-frame", "--json", *arguments],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "120", **environment},
    ) as running:
        os.close(theirs)
        shown = b""
        with suppress(OSError):
            while some := os.read(ours, 65536):
                shown += some
    os.close(ours)
    assert running.returncode == 0, shown
    return shown.decode()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such terminals")
@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_batch_shows_on_a_terminal_how_far_each_clip_is(clip, tmp_path, jobs):
    shutil.copyfile(clip, tmp_path / "second.mp4")
    shown = on_terminal(tmp_path, "--jobs", jobs)
    for name in ("bands.mp4", "second.mp4"):
        assert re.search(rf"{name} .+ of 00:02.0, .+ samples/s, 0 found", shown)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such terminals")
def test_a_terminal_that_can_only_be_written_on_gets_a_line_a_clip(clip, tmp_path):
    shown = on_terminal(tmp_path, TERM="dumb")
    assert re.search(r"^bands.mp4: 20 samples in .+ s, 0 found", shown, re.MULTILINE)
    assert "opening" not in shown


def test_resume_skips_what_this_scan_has_done_and_only_that(ordnance, clip, tmp_path):
    ordnance("scan", clip, "--out", "out")
    before = (tmp_path / "out" / "bands" / "report.json").stat().st_mtime_ns
    again = ordnance("scan", clip, "--out", "out", "--resume")
    assert "already scanned" in again.stderr
    assert (tmp_path / "out" / "bands" / "report.json").stat().st_mtime_ns == before
    ordnance("scan", clip, "--out", "out", "--resume", "--every", "0.2")
    assert report_of(tmp_path / "out" / "bands")["scan"]["plan"]["options"] == {"every_s": 0.2, "shortest_shot_s": 0.25}


def test_resume_does_not_read_beforehand_what_has_no_report_of_its_size(ordnance, clip, tmp_path):
    ordnance("scan", clip, "--out", "out")
    write_clip(tmp_path / "second.mp4", seconds=1.0)
    site = with_site(tmp_path, TELLS_WHAT_IT_READS)
    again = ordnance("scan", clip, "second.mp4", "--out", "out", "--resume", "--quiet", **site)
    assert again.returncode == 0
    assert again.stderr.splitlines() == ["read: bands.mp4"]


TELLS_WHAT_IT_READS = """
import multiprocessing, sys

def hook(event, arguments):
    if event == "open" and str(arguments[0]).endswith(".mp4") and multiprocessing.parent_process() is None:
        print("read:", str(arguments[0]).rpartition("/")[2], file=sys.stderr)

sys.addaudithook(hook)
"""


def test_resume_takes_all_options_of_the_plan_in(ordnance, clip):
    ordnance("scan", clip, "--out", "out")
    for options in (["--shortest-shot", "0.5"], ["--budget", "60s"], ["--plan", "keyframes-only"]):
        assert "already scanned" not in ordnance("scan", clip, "--out", "out", "--resume", *options).stderr
        assert "already scanned" in ordnance("scan", clip, "--out", "out", "--resume", *options).stderr


def test_resume_makes_the_formats_that_are_missing(ordnance, clip, tmp_path):
    ordnance("scan", clip, "--out", "out", "--format", "html")
    before = report_of(tmp_path / "out" / "bands")
    again = ordnance("scan", clip, "--out", "out", "--resume", "--format", "csv")
    assert "already scanned" in again.stderr
    files = {path.name for path in (tmp_path / "out" / "bands").iterdir()}
    assert files >= {"report.json", "report.html", "detections.csv"}
    assert report_of(tmp_path / "out" / "bands") == before


def test_clips_whose_names_begin_with_dots_have_folders_of_their_own_and_are_resumed(ordnance, tmp_path):
    for number, name in enumerate(("..mp4", "...mp4", ".hidden.mp4", ".ordnance-1.partial.mp4")):
        write_clip(tmp_path / "clips" / name, seconds=0.5 + number / 10)
    first = ordnance("scan", "clips", "--out", "deep/out")
    assert first.returncode == 0, first.stderr
    folders = {path.parent for path in tmp_path.rglob("report.json")}
    assert {folder.parent for folder in folders} == {tmp_path / "deep" / "out"}
    assert len(folders) == 4
    assert tmp_path / "deep" / "out" / ".hidden" in folders
    again = ordnance("scan", "clips", "--out", "deep/out", "--resume")
    assert again.stderr.count("already scanned") == 4, again.stderr


def test_clips_of_one_name_do_not_overwrite_each_other(ordnance, tmp_path):
    for number, folder in enumerate(("a", "b")):
        (tmp_path / folder).mkdir()
        write_clip(tmp_path / folder / "same.mp4", seconds=1.0 + number)
    done = ordnance("scan", "a", "b", "--out", "out")
    assert done.returncode == 0
    assert len(list((tmp_path / "out").iterdir())) == 2


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such names")
@pytest.mark.parametrize(("letter", "shown"), [("x", "x"), ("й", "й"), ("\udce9", "\ufffd")])
def test_clips_with_names_as_long_as_they_may_be_get_a_report_each(ordnance, tmp_path, letter, shown):
    name = letter * (250 // len(os.fsencode(letter)))
    for number, folder in enumerate(("a", "b")):
        write_clip(tmp_path / folder / "clip.mp4", seconds=1.0 + number).rename(tmp_path / folder / f"{name}.mp4")
    done = ordnance("scan", "a", "b", "--out", "out")
    assert done.returncode == 0, done.stderr
    assert {report_of(folder)["clip"]["duration_s"] for folder in (tmp_path / "out").iterdir()} == {1.0, 2.0}
    assert {folder.name[:60] for folder in (tmp_path / "out").iterdir()} == {shown * 60}


def test_clips_of_one_name_scanned_at_the_same_time_do_not_overwrite_each_other(ordnance, tmp_path):
    names = ("a/x.mp4", "b/x.mp4", "c/x.ts", "d/x.ts")
    for number, name in enumerate(names):
        write_clip(tmp_path / name, seconds=0.5 + number / 10)
    shutil.copytree(tmp_path / "d", tmp_path / "e")
    done = ordnance("scan", "a", "b", "c", "d", "e", "--out", "out", "--jobs", "5")
    assert done.returncode == 0, done.stderr
    reports = [report_of(folder) for folder in (tmp_path / "out").iterdir()]
    assert {report["clip"]["sha256"] for report in reports} == {
        hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() for name in names
    }
    assert len(reports) == 4


@pytest.mark.skipif(not os.path.exists("/proc/locks"), reason="Linux tells who waits for a lock")
def test_two_commands_with_one_out_choose_their_folders_in_turn(tmp_path):
    program = """
import sys
from pathlib import Path
from types import SimpleNamespace
import detector.batch_clip as batch_clip

def chosen(report, out):
    print("chosen", flush=True)
    sys.stdin.readline()
    return out / "clip"

def written(*arguments):
    print("written", flush=True)

batch_clip._folder_of, batch_clip.write_report = chosen, written
scanner = SimpleNamespace(scan=lambda path, progress: SimpleNamespace(report=None, pictures={}))
options = SimpleNamespace(out=Path("out"), formats=("json",))
print("begun", flush=True)
outcome = batch_clip.scan_one(scanner, Path("clip.mp4"), options, 1)
assert outcome.failure is None, outcome
"""

    with begun(program, tmp_path) as first:
        assert [first.stdout.readline(), first.stdout.readline()] == ["begun\n", "chosen\n"]
        with begun(program, tmp_path) as second:
            assert second.stdout.readline() == "begun\n"
            for _ in range(600):
                if re.search(rf"-> FLOCK +ADVISORY +WRITE {second.pid} ", Path("/proc/locks").read_text()):
                    break
                time.sleep(0.05)
            else:
                pytest.fail("the second did not wait for the first")
            first.communicate("\n", timeout=60)
            assert second.communicate("\n", timeout=60)[0] == "chosen\nwritten\n"
    assert (first.returncode, second.returncode) == (0, 0)
