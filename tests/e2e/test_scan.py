import json
import os
import re
import shutil
import subprocess
import sys

import jsonschema
import numpy as np
import pytest
from made_clips import DEMO, write_clip
from scan_process import TRACEBACK, report_of


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
        (["x.mp4", "--out", ""], 2, "An empty name was given for --out"),
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
