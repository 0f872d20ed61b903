import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from made_clips import DEMO, write_clip

TRACEBACK = "Traceback"


def report_of(folder):
    return json.loads((folder / "report.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def demo_scan(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    done = subprocess.run(
        [sys.executable, "-m", "service", "scan", str(DEMO), "--out", "out"],
        capture_output=True,
        text=True,
        encoding="utf-8",
        cwd=folder,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done, folder / "out" / DEMO.stem


@pytest.fixture(scope="module")
def truth():
    return json.loads((DEMO.parent / "truth.json").read_text(encoding="utf-8"))


def found(report, name):
    return [each for each in report["appearances"] if each["class"] == name]


@pytest.mark.parametrize("name", ["tow_launcher", "humvee"])
def test_the_demo_clip_is_found_within_half_a_second(demo_scan, truth, name):
    shown = next(each for each in truth["appearances"] if each["class"] == name)
    seen = found(report_of(demo_scan[1]), name)
    assert min(abs(each["first_seen_s"] - shown["first_seen_s"]) for each in seen) <= 0.5
    assert min(abs(each["last_seen_s"] - shown["last_seen_s"]) for each in seen) <= 1.0


def test_the_surest_launcher_is_the_real_one(demo_scan, truth):
    shown = next(each for each in truth["appearances"] if each["class"] == "tow_launcher")
    surest = max(found(report_of(demo_scan[1]), "tow_launcher"), key=lambda each: each["confidence"])
    assert shown["first_seen_s"] - 0.5 <= surest["first_seen_s"]
    assert surest["last_seen_s"] <= shown["last_seen_s"] + 0.5


def test_the_table_names_the_launcher_and_its_times(demo_scan):
    assert re.search(r"02:2[78]\.\d → 02:\d\d\.\d  tow_launcher +0\.\d\d", demo_scan[0].stdout)
    assert "report.html" in demo_scan[0].stdout


def test_the_report_follows_the_published_schema(demo_scan, ordnance):
    schema = json.loads(ordnance("schema").stdout)
    jsonschema.validate(report_of(demo_scan[1]), schema)


def test_every_cited_picture_exists(demo_scan):
    report = report_of(demo_scan[1])
    cited = [each["best"][kind] for each in report["appearances"] for kind in ("thumbnail", "crop")]
    assert cited
    for name in cited:
        assert (demo_scan[1] / name).read_bytes().startswith(b"\xff\xd8")


def test_the_launcher_is_reported_from_the_very_frame_on_which_the_model_sees_it(demo_scan, truth):
    from detector import load_model, open_video

    model = load_model()
    name = "tow_launcher"
    shown = next(each for each in truth["appearances"] if each["class"] == name)
    with open_video(DEMO) as video:
        pts = video.probe.pts_seconds
        around = pts[(pts >= shown["first_seen_s"] - 1e-6) & (pts < shown["first_seen_s"] + 2)]
        frames = [frame for _, frame in video.frames_at(around.tolist())]
    enough = model.thresholds[name] / 2
    fires = [
        frame.pts_seconds
        for frame in frames
        for boxes in model.detect([frame.image])
        if any(
            model.classes[which] == name and score >= enough
            for which, score in zip(boxes.class_ids, boxes.scores, strict=True)
        )
    ]
    seen = min((each["first_seen_s"] for each in found(report_of(demo_scan[1]), name)), key=lambda s: abs(s - fires[0]))
    assert report_of(demo_scan[1])["scan"]["plan"]["name"] == "adaptive"
    assert seen == pytest.approx(fires[0], abs=max(np.diff(around)) + 0.001)


def test_coverage_promises_the_cadence(demo_scan):
    coverage = report_of(demo_scan[1])["coverage"]
    assert coverage["samples"] < 3144 / 5
    assert coverage["promise_s"] == 1.0
    assert 0 < coverage["guarantee_s"] <= 1.0
    assert coverage["undecoded"] == []


def test_json_goes_to_stdout_alone_and_writes_nothing(ordnance, clip, tmp_path):
    done = ordnance("scan", clip, "--json")
    report = json.loads(done.stdout)
    assert report["clip"]["name"] == "bands.mp4"
    assert report["schema_version"] == "1.0"
    assert not (tmp_path / "ordnance-report").exists()


def test_several_clips_give_a_line_each(ordnance, clip, tmp_path):
    write_clip(tmp_path / "second.mp4", seconds=1.0)
    done = ordnance("scan", clip, tmp_path / "second.mp4", "--json", "--quiet")
    assert [json.loads(line)["clip"]["name"] for line in done.stdout.splitlines()] == ["bands.mp4", "second.mp4"]
    assert done.stderr == ""


def test_every_frame_is_counted(ordnance, clip):
    report = json.loads(ordnance("scan", clip, "--plan", "every-frame", "--json").stdout)
    assert report["coverage"]["samples"] == 20
    assert report["coverage"]["longest_gap_s"] == 0


def test_a_truncated_clip_is_scanned_as_far_as_it_goes_and_says_so(ordnance, tmp_path):
    whole = write_clip(tmp_path / "whole.mp4", seconds=10.0, rate=25).read_bytes()
    (tmp_path / "cut.mp4").write_bytes(whole[: len(whole) * 6 // 10])
    done = ordnance("scan", "cut.mp4", "--plan", "every-frame", "--json")
    report = json.loads(done.stdout)
    assert done.returncode == 0
    assert 0 < report["coverage"]["samples"] < 250
    (lost,) = [r for r in report["coverage"]["undecoded"] if r["to_s"] > 9]
    assert lost["to_s"] == pytest.approx(10.0, abs=0.1)
    assert report["errors"][0]["code"] == "decode_errors"


def write_audio_only(path):
    import av
    import numpy as np

    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=44100)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.rate = 44100
        for _ in range(40):
            frame.pts = None
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def write_png(path):
    import cv2
    import numpy as np

    cv2.imwrite(str(path), np.zeros((64, 64, 3), np.uint8))


BAD_FILES = {
    "empty.mp4": lambda path: path.write_bytes(b""),
    "text.mp4": lambda path: path.write_text("this is no film\n" * 50),
    "picture.png": write_png,
    "sound.m4a": write_audio_only,
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_file_that_is_no_video_gets_one_sentence(ordnance, tmp_path, name):
    BAD_FILES[name](tmp_path / name)
    done = ordnance("scan", name, "--quiet")
    assert done.returncode == 3
    assert name in done.stderr
    assert TRACEBACK not in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (["missing.mp4"], 3, "missing.mp4"),
        (["."], 3, "holds no clip"),
        (["no-*.mp4"], 3, "No file matches"),
        ([""], 3, "An empty name was given"),
        (["x.mp4", "--plan", "hourly"], 2, "interval, keyframes, keyframes-only, every-frame"),
        (["x.mp4", "--every", "0"], 2, "cadence"),
        (["x.mp4", "--every", "-1"], 2, "cadence"),
        (["x.mp4", "--every", "nan"], 2, "cadence"),
        (["x.mp4", "--every", "1e99"], 2, "cadence"),
        (["x.mp4", "--every", "often"], 2, "--every"),
        (["x.mp4", "--plan", "keyframes-only", "--every", "1"], 2, "has no cadence"),
        (["x.mp4", "--shortest-shot", "-1"], 2, "shortest shot"),
        (["x.mp4", "--budget", "soon"], 2, "30s"),
        (["x.mp4", "--budget", "2x", "--plan", "interval"], 2, "cannot keep to a budget"),
        (["x.mp4", "--classes", "spoon"], 2, "'spoon' is not a weapon class"),
        (["x.mp4", "--threshold", "7"], 2, "0 to 1"),
        (["x.mp4", "--format", "pdf"], 2, "'pdf' is not an output format"),
        (["x.mp4", "--out", "/dev/full"], 2, "'/dev/full' is not a folder"),
        (["x.mp4", "--out", "/proc/self/x"], 2, "choose another --out"),
        (["x.mp4", "--model", "nope"], 1, "ordnance-n"),
        (["x.mp4", "--device", "cuda:0"], 1, "ordnance[cuda]"),
        (["x.mp4", "--nonsense"], 2, "--nonsense"),
        ([], 2, "CLIP"),
    ],
)
def test_wrong_usage_gets_one_sentence_and_its_code(ordnance, arguments, code, word):
    done = ordnance("scan", *arguments)
    assert done.returncode == code, done.stderr
    assert word in done.stderr
    assert TRACEBACK not in done.stderr


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_named(ordnance, clip):
    clip.chmod(0)
    done = ordnance("scan", clip)
    assert done.returncode == 3
    assert "bands.mp4" in done.stderr


@pytest.mark.skipif(os.name == "nt" or (os.geteuid() == 0 and shutil.which("setpriv") is None), reason="root reads all")
def test_what_a_folder_holds_and_may_not_be_read_is_named(clip, tmp_path):
    for name in ("open", "shut", "listed"):
        (tmp_path / "tree" / name).mkdir(parents=True)
        shutil.copyfile(clip, tmp_path / "tree" / name / f"{name}.mp4")
    (tmp_path / "tree" / "shut").chmod(0)
    (tmp_path / "tree" / "listed").chmod(0o444)
    as_others = [
        "setpriv",
        "--bounding-set=-dac_override,-dac_read_search",
        "--inh-caps=-dac_override,-dac_read_search",
    ]
    try:
        done = subprocess.run(
            [
                *(as_others if os.geteuid() == 0 else []),
                sys.executable,
                "-m",
                "service",
                "scan",
                "tree",
                "--out",
                "out",
            ],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            timeout=300,
            check=False,
        )
    finally:
        for name in ("shut", "listed"):
            (tmp_path / "tree" / name).chmod(0o755)
    assert done.returncode == 3, done.stderr
    assert "2 of 3 clips could not be scanned" in done.stderr
    assert "tree/shut  [clip_unreadable] The folder tree/shut cannot be read" in done.stderr
    assert "tree/listed/listed.mp4  [clip_unreadable] there is no permission to read this file" in done.stderr
    assert report_of(tmp_path / "out" / "open")["clip"]["name"] == "open.mp4"


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
        os.kill(os.getpid(), signal.SIGKILL)

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


CANNOT_LOAD = """
import multiprocessing, sys

def hook(event, arguments):
    if event == "open" and str(arguments[0]).endswith(".onnx") and multiprocessing.parent_process() is not None:
        raise OSError(5, "Input/output error", str(arguments[0]))

sys.addaudithook(hook)
"""
ENDED_AS_IT_LOADS = CANNOT_LOAD.replace("raise OSError", "import os; os.kill(os.getpid(), 9); raise OSError")


@pytest.mark.parametrize(
    ("program", "words"),
    [
        (CANNOT_LOAD, r"The weights file \S+ cannot be read \(Input/output error\)"),
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


def test_out_is_checked_before_the_first_clip_and_no_folder_is_left(ordnance, clip, tmp_path):
    before = clip.read_bytes()
    done = ordnance("scan", "missing.mp4", clip, "--out", clip)
    assert done.returncode == 2
    assert f"'{clip}' is not a folder" in done.stderr
    assert done.stdout == ""
    assert clip.read_bytes() == before
    assert ordnance("scan", "missing.mp4", "--out", "deep/out").returncode == 3
    assert [path.name for path in tmp_path.iterdir() if path.name != "cache"] == [clip.name]


def test_keyframes_only_states_the_gap_that_it_leaves(ordnance, tmp_path):
    write_clip(tmp_path / "long.mp4", seconds=12.0, rate=10, keyframe_every=40)
    report = json.loads(ordnance("scan", "long.mp4", "--plan", "keyframes-only", "--json").stdout)
    coverage = report["coverage"]
    assert (coverage["samples"], coverage["frames_decoded"]) == (3, 3)
    assert coverage["promise_s"] is None
    assert coverage["longest_gap_s"] == pytest.approx(4.0)
    assert "longer than 3.90 s" in coverage["statement"]


def test_a_budget_that_does_not_suffice_says_what_was_not_looked_at(ordnance, tmp_path):
    write_clip(tmp_path / "long.mp4", seconds=60.0, rate=25, keyframe_every=1500)
    report = json.loads(ordnance("scan", "long.mp4", "--budget", "0.001s", "--json").stdout)
    assert report["coverage"]["samples"] == 0
    (left_out,) = report["coverage"]["left_out"]
    assert report["coverage"]["statement"] == "Nothing was looked at: the plan left everything out."
    assert left_out["what"] == "60 samples of the coarse pass (the budget of 0.001s was used up)"
    assert report["scan"]["plan"]["options"]["budget"] == "0.001s"
    plenty = json.loads(ordnance("scan", "long.mp4", "--budget", "10x", "--json").stdout)
    assert plenty["coverage"]["guarantee_s"] <= 1.0


def test_clips_of_one_name_do_not_overwrite_each_other(ordnance, tmp_path):
    for number, folder in enumerate(("a", "b")):
        (tmp_path / folder).mkdir()
        write_clip(tmp_path / folder / "same.mp4", seconds=1.0 + number)
    done = ordnance("scan", "a", "b", "--out", "out")
    assert done.returncode == 0
    assert len(list((tmp_path / "out").iterdir())) == 2


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
import detector.batch as batch

def chosen(report, out):
    print("chosen", flush=True)
    sys.stdin.readline()
    return out / "clip"

def written(*arguments):
    print("written", flush=True)

batch._folder_of, batch.write_report = chosen, written
scanner = SimpleNamespace(scan=lambda path, progress: SimpleNamespace(report=None, pictures={}))
options = SimpleNamespace(out=Path("out"), formats=("json",))
print("begun", flush=True)
outcome = batch._scan_one(scanner, Path("clip.mp4"), options, 1)
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


def begun(program, folder):
    """A Python program in `folder`, begun and not waited for; it is talked to by lines."""
    return subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )


def test_a_report_that_is_being_written_is_written_to_its_end_before_sigterm_ends_the_scan(tmp_path):
    program = """
import sys
from pathlib import Path
from types import SimpleNamespace
import detector.batch as batch
import detector.report.write as write

def filled(folder, report, pictures, formats):
    print("writing", flush=True)
    sys.stdin.readline()
    (folder / "report.json").write_text("whole")

batch._folder_of, write._fill = (lambda report, out: out / "clip"), filled
scanner = SimpleNamespace(scan=lambda path, progress: SimpleNamespace(report=None, pictures={}))
batch._scan_one(scanner, Path("clip.mp4"), SimpleNamespace(out=Path("out"), formats=("json",)), 1)
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
import detector.batch as batch
import detector.report.write as write

def filled(folder, report, pictures, formats):
    Path("writing").touch()
    time.sleep(1)
    (folder / "report.json").write_text("whole")

def scan():
    batch._end_with_parent()
    batch._folder_of, write._fill = (lambda report, out: out / "clip"), filled
    scanner = SimpleNamespace(scan=lambda path, progress: SimpleNamespace(report=None, pictures={}))
    batch._scan_one(scanner, Path("clip.mp4"), SimpleNamespace(out=Path("out"), formats=("json",)), 1)
    time.sleep(60)

if __name__ == "__main__":
    with ProcessPoolExecutor(1, batch._process_context()) as pool:
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


def scanning(folder, *arguments):
    """`ordnance scan` in `folder`, begun and not waited for."""
    return subprocess.Popen(
        [sys.executable, "-m", "service", "scan", *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Whoever runs the tests in the background may have made their processes deaf to it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        start_new_session=True,
    )


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
        while not any(read > LARGE_BYTES / 100 for read in read_of(running.pid, "big.mp4")):
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


def read_of(process, name):
    """How many bytes of the file the process has read, for each time that it has it open."""
    with suppress(OSError):
        for each in (Path("/proc") / str(process) / "fd").iterdir():
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
        children = (Path("/proc") / str(running.pid) / "task" / str(running.pid) / "children").read_text().split()
        return any(b"forkserver" in (Path("/proc") / child / "cmdline").read_bytes() for child in children)

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


def test_a_killed_batch_leaves_no_process_behind(batch_at_work, tmp_path):
    batch_at_work.kill()
    batch_at_work.communicate(timeout=60)
    assert [folder.name for folder in (tmp_path / "out").iterdir()] == ["a"]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full here")
@pytest.mark.parametrize("arguments", [["scan", "bands.mp4", "--json"], ["schema"], ["--version"]])
def test_output_that_cannot_be_written_is_not_called_a_fault_of_ours(clip, arguments):
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "service", *arguments],
            cwd=clip.parent,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=300,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("ordnance: the output cannot be written (No space left on device)")
    assert "fault of ours" not in done.stderr
    assert TRACEBACK not in done.stderr


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such names")
def test_a_name_cannot_give_orders_to_the_terminal(ordnance, clip, tmp_path):
    evil = "a\x1b[31m\nb\x9b\x7f\x1b]0;title\x07"
    clip.rename(tmp_path / f"{evil}.mp4")
    (tmp_path / f"{evil}2.mp4").write_bytes(b"not a film")
    done = ordnance("scan", ".", "--out", "out")
    for text in (done.stdout, done.stderr):
        assert r"a\x1b[31m\x0ab\x9b\x7f\x1b]0;title\x07.mp4" in text
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", text)
    shown = json.loads(ordnance("scan", f"{evil}.mp4", "--json", "--quiet").stdout)
    assert shown["clip"]["name"] == f"{evil}.mp4"
    missing = ordnance("scan", clip, "--model", evil)
    assert "\x1b" not in missing.stderr
    assert len(missing.stderr.splitlines()) == 1


def test_changed_weights_are_refused(ordnance, clip, tmp_path):
    from detector.models import WEIGHTS_FOLDER

    for name in ("manifest.json", "ordnance-n.onnx"):
        shutil.copyfile(WEIGHTS_FOLDER / name, tmp_path / name)
    with (tmp_path / "ordnance-n.onnx").open("ab") as weights:
        weights.write(b"\0")
    done = ordnance("scan", clip, "--model", tmp_path / "ordnance-n.onnx")
    assert done.returncode == 1
    assert "sha256" in done.stderr.lower().replace("-", "")
    assert TRACEBACK not in done.stderr


def test_models_and_version_and_help(ordnance):
    assert "tow_launcher" in ordnance("models").stdout
    assert re.fullmatch(r"ordnance \d+\.\d+\.\d+\n", ordnance("--version").stdout)
    assert "scan" in ordnance("--help").stdout


NETWORK_GUARD = """
import sys

def refuse(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto"):
        raise SystemExit(f"a connection was tried: {event} {arguments[-1]}")

sys.addaudithook(refuse)
"""


def test_a_scan_opens_no_connection(ordnance, clip, tmp_path):
    (tmp_path / "guard").mkdir()
    (tmp_path / "guard" / "sitecustomize.py").write_text(NETWORK_GUARD)
    guarded = {"PYTHONPATH": str(tmp_path / "guard")}
    done = ordnance("scan", clip, "--json", **guarded)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["coverage"]["samples"] > 0
