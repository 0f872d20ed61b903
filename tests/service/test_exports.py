"""Verdicts leave as documents and pictures, and come back as training data."""

import io
import json
import subprocess
import sys
import zipfile

import cv2
import numpy as np
import pytest
from review_app import SIZE, ReviewApp
from test_stills import numbered, shown

from detector.report.review import VerdictsDocument

TIMES_MS = range(0, 30000, 100)


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """Half a minute of which frame `n` shows `n % 256`, at 0.1 s steps."""
    from fractions import Fraction

    import av

    path = tmp_path_factory.mktemp("clips") / "judged.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10, options={"preset": "ultrafast", "bf": "2"})
        (stream.width, stream.height), stream.pix_fmt = SIZE, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        for number, at in enumerate(TIMES_MS):
            frame = av.VideoFrame.from_ndarray(numbered(number % 256, *SIZE), format="rgb24")
            frame.time_base, frame.pts = Fraction(1, 1000), at
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.fixture(scope="module")
def review(tmp_path_factory):
    app = ReviewApp(tmp_path_factory.mktemp("exports"))
    yield app
    app.close()


FOUND = [
    ("tank", 0.9, 1.0),  # confirmed by both
    ("humvee", 0.8, 5.0),  # another class: howitzer
    ("mlrs", 0.7, 9.0),  # wrong
    ("tank", 0.6, 13.0),  # unsure
    ("tank", 0.6, 17.0),  # disagreed
    ("tank", 0.6, 21.0),  # not judged
    ("tank", 0.9, 25.0),  # confirmed, half of the time beside something not judged
    ("apc_ifv", 0.5, 26.0),
]


@pytest.fixture(scope="module")
def scan(review, clip):
    made = review.add_scan("alice", name="judged.mp4", found=FOUND, clip=clip.read_bytes())

    def judge(client, number, verdict, **more):
        url = f"/v1/scans/{made}/appearances/{number}/verdict"
        assert client.put(url, json={"verdict": verdict, **more}).status_code == 200

    with review.client(review.key("alice", note="Ann")) as ann, review.client(review.key("alice", note="Ben")) as ben:
        judge(ann, 1, "unsure")
        judge(ann, 1, "confirmed", note="T-72")
        judge(ben, 1, "confirmed")
        judge(ann, 2, "other_class", **{"class": "howitzer"})
        judge(ann, 3, "wrong")
        judge(ann, 4, "unsure")
        judge(ann, 5, "confirmed")
        judge(ben, 5, "wrong")
        judge(ann, 7, "confirmed")
    return made


@pytest.fixture(scope="module")
def alice(review, scan):
    with review.client(review.key("alice", ("read",))) as client:
        yield client


def export(client, scan, kind, **params):
    answer = client.get(f"/v1/scans/{scan}/{kind}", params=params)
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Disposition"].startswith("attachment")
    return answer.content


def ordnance(*arguments):
    done = subprocess.run(
        [sys.executable, "-m", "service", "dataset", *map(str, arguments)], capture_output=True, text=True, check=False
    )
    return done


def boxes_of(folder):
    """(class, picture's shown number) of every box of an imported set, and the numbers of pictures without one."""
    found, empty = [], []
    for label in sorted(folder.glob("photos/*/labels/*.txt")):
        picture = cv2.imread(str(label.parents[1] / "images" / f"{label.stem}.jpg"), cv2.IMREAD_COLOR_RGB)
        lines = label.read_text().split("\n")[:-1]
        found += [(line.split()[0], shown(picture)) for line in lines]
        empty += [] if lines else [shown(picture)]
    return sorted(found), sorted(empty)


EXPECTED = (
    # Best frame first (0.5 s in), then spread: every 0.5 s of the two seconds in view.
    sorted(
        [("tank", n) for n in (10, 15, 20, 25, 30)]
        + [("howitzer", n) for n in (50, 55, 60, 65, 70)]
        + [("tank", n) for n in (250, 255)]
    ),
    [90, 95, 100, 105, 110],
)


def test_the_document_holds_every_appearance_its_boxes_and_its_history(alice, scan, review):
    document = VerdictsDocument.from_json(export(alice, scan, "verdicts.json"))
    assert [each.class_name for each in document.appearances] == [name for name, _, _ in FOUND]
    first = document.appearances[0]
    assert (first.review.state, first.review.verdict) == ("agreed", "confirmed")
    assert [(each.reviewer, each.verdict) for each in first.history] == [
        ("Ann", "unsure"),
        ("Ann", "confirmed"),
        ("Ben", "confirmed"),
    ]
    assert [each.review.state if each.review else None for each in document.appearances[3:6]] == [
        "single",
        "disagreed",
        None,
    ]
    assert len(first.boxes) == 5
    assert "export" in review.audit(scan)


def test_coco_is_read_back_by_dataset_import(alice, scan, tmp_path):
    content = export(alice, scan, "verdicts.coco.json")
    archive = zipfile.ZipFile(io.BytesIO(export(alice, scan, "verdicts.yolo.zip")))
    archive.extractall(tmp_path / "pictures")
    (tmp_path / "verdicts.coco.json").write_bytes(content)
    document = json.loads(content)
    assert document["left_out"] == {
        "appearances not judged": 2,
        "appearances of which reviewers are unsure": 1,
        "appearances on which reviewers disagree": 1,
        "frames with something that was not judged": 3,
    }
    negatives = [each for each in document["images"] if each["hard_negatives"]]
    assert [each["pts_s"] for each in negatives] == [9.0, 9.5, 10.0, 10.5, 11.0]
    assert negatives[0]["hard_negatives"][0] == {
        "bbox": [100.0, 120.0, 200.0, 120.0],
        "class": "mlrs",
        "appearance": "a0003",
    }
    done = ordnance(
        *("import", tmp_path / "verdicts.coco.json", "--format", "coco", "--images", tmp_path / "pictures" / "images"),
        *("--classes", tmp_path / "pictures" / "classes.yaml", "--out", tmp_path / "own", "--split", "train"),
    )
    assert done.returncode == 0, done.stderr
    assert boxes_of(tmp_path / "own") == EXPECTED


def test_yolo_is_read_back_by_dataset_import(alice, scan, tmp_path):
    zipfile.ZipFile(io.BytesIO(export(alice, scan, "verdicts.yolo.zip"))).extractall(tmp_path / "yolo")
    done = ordnance(
        *("import", tmp_path / "yolo", "--format", "yolo", "--classes", tmp_path / "yolo" / "classes.yaml"),
        *("--out", tmp_path / "own", "--split", "train"),
    )
    assert done.returncode == 0, done.stderr
    assert boxes_of(tmp_path / "own") == EXPECTED


def test_import_verdicts_takes_the_frames_out_of_the_clip_or_out_of_the_export(alice, scan, clip, tmp_path):
    (tmp_path / "verdicts.json").write_bytes(export(alice, scan, "verdicts.json"))
    (tmp_path / "verdicts.yolo.zip").write_bytes(export(alice, scan, "verdicts.yolo.zip"))
    by_clip = ordnance("import-verdicts", tmp_path / "verdicts.json", "--clip", clip, "--out", tmp_path / "a")
    by_zip = ordnance(
        *("import-verdicts", tmp_path / "verdicts.yolo.zip", "--out", tmp_path / "b", "--complete-for", "all")
    )
    for done in (by_clip, by_zip):
        assert done.returncode == 0, done.stderr
        assert "17 pictures" in done.stdout
        assert "5 of them hard negatives" in done.stdout
        assert "1 appearances on which reviewers disagree" in done.stdout
    assert boxes_of(tmp_path / "a") == boxes_of(tmp_path / "b") == EXPECTED
    assert ordnance("check", tmp_path / "b").returncode == 0


def test_two_scans_of_one_clip_that_judge_the_same_frames_are_named(alice, scan, clip, tmp_path):
    (tmp_path / "first.json").write_bytes(export(alice, scan, "verdicts.json"))
    (tmp_path / "second.zip").write_bytes(export(alice, scan, "verdicts.yolo.zip"))
    done = ordnance(
        *(
            "import-verdicts",
            tmp_path / "first.json",
            tmp_path / "second.zip",
            "--clip",
            clip,
            "--out",
            tmp_path / "own",
        )
    )
    assert done.returncode == 1
    assert f"{tmp_path / 'first.json'} and {tmp_path / 'second.zip'} judge the same frames of one clip" in done.stderr
    assert not (tmp_path / "own").exists()


def test_fewer_frames_are_the_best_ones_and_those_far_from_them(alice, scan):
    document = json.loads(export(alice, scan, "verdicts.coco.json", frames=2))
    assert [each["pts_s"] for each in document["images"]][:4] == [1.5, 2.5, 5.5, 6.5]
    assert [each["pts_s"] for each in json.loads(export(alice, scan, "verdicts.coco.json", frames=1))["images"]] == [
        1.5,
        5.5,
        9.5,
        25.5,
    ]


def test_pictures_are_whole_frames_of_their_very_times(alice, scan):
    archive = zipfile.ZipFile(io.BytesIO(export(alice, scan, "verdicts.yolo.zip", frames=1)))
    names = [name for name in archive.namelist() if name.startswith("images/")]
    for name in names:
        picture = cv2.imdecode(np.frombuffer(archive.read(name), np.uint8), cv2.IMREAD_COLOR_RGB)
        assert picture.shape == (SIZE[1], SIZE[0], 3)
        assert shown(picture) == int(name[-16:-6]) // 100_000
    assert {name.split("/")[0] for name in archive.namelist()} >= {"images", "labels", "data.yaml", "classes.yaml"}


def test_what_cannot_be_imported_is_said(alice, scan, review, clip, tmp_path):
    verdicts = tmp_path / "verdicts.json"
    verdicts.write_bytes(export(alice, scan, "verdicts.json"))
    other = tmp_path / "other.mp4"
    other.write_bytes(clip.read_bytes() + b"x")
    wrong_clip = ordnance("import-verdicts", verdicts, "--clip", other, "--out", tmp_path / "own")
    assert wrong_clip.returncode == 1
    assert "--clip" in wrong_clip.stderr
    nothing = review.add_scan("alice", name="unjudged.mp4")
    verdicts.write_bytes(export(alice, nothing, "verdicts.json"))
    unjudged = ordnance("import-verdicts", verdicts, "--clip", clip, "--out", tmp_path / "own")
    assert unjudged.returncode == 1
    verdicts.write_text('{"schema_version": "1.0"}')
    assert "no verdicts" in ordnance("import-verdicts", verdicts, "--out", tmp_path / "own").stderr
    hostile = tmp_path / "hostile.zip"
    with zipfile.ZipFile(hostile, "w") as archive:
        archive.writestr("../../images/a.jpg", b"x")
        archive.writestr("images/../../b.jpg", b"x")
    assert ordnance("import-verdicts", hostile, "--out", tmp_path / "own").returncode == 1
    assert not list(tmp_path.parent.glob("*.jpg"))
    assert not (tmp_path / "own").exists()
    hostile.write_bytes(b"PK no zip")
    assert "unpacked" in ordnance("import-verdicts", hostile, "--out", tmp_path / "own").stderr


def test_a_running_scan_is_not_exported(review):
    running = review.add_scan("alice", name="running.mp4", state="running")
    with review.client(review.key("alice")) as client:
        for kind in ("verdicts.json", "verdicts.coco.json", "verdicts.yolo.zip"):
            assert client.get(f"/v1/scans/{running}/{kind}").status_code == 409


def test_a_scan_that_was_stopped_is_exported_with_the_size_of_its_clip(review, clip):
    from service.store.tables import ScanRow

    stopped = review.add_scan("alice", name="stopped.mp4", state="cancelled", clip=clip.read_bytes())
    with review.database.write() as session:
        session.get(ScanRow, stopped).clip = None
    with review.client(review.key("alice")) as client:
        document = VerdictsDocument.from_json(export(client, stopped, "verdicts.json"))
    assert (document.clip.width, document.clip.height) == SIZE


def test_exports_leave_no_file_behind(alice, scan, review):
    export(alice, scan, "verdicts.yolo.zip")
    review.context.viewer.close()
    assert list(review.settings.work_folder.iterdir()) == []
