from __future__ import annotations

import json
from importlib.resources import files

import pytest
from jsonschema import Draft202012Validator
from pydantic import ValidationError

import detector.report
from detector.errors import DataError
from detector.frame import Detection
from detector.report import AppearanceInfo, DetectionInfo, Report, UndecodedInfo, report_json_schema

NAMES_OTHERS_RELY_ON = {
    "": {"schema_version", "clip", "scan", "appearances", "coverage", "errors"},
    "clip": {"name", "sha256", "bytes", "container", "codec", "width", "height", "duration_s", "first_pts_s"},
    "scan": {"tool_version", "model", "plan", "device", "started_at", "elapsed_s"},
    "scan model": {"name", "sha256"},
    "appearances 0": {
        *("id", "class", "confidence", "first_seen_s", "last_seen_s", "peak_s", "flags", "best", "detections"),
    },
    "appearances 0 best": {"pts_s", "box", "score", "thumbnail", "crop"},
    "appearances 0 detections 0": {"pts_s", "box", "score"},
    "coverage": {"samples", "guarantee_s", "longest_gap_s", "longest_gap_at_s", "undecoded", "statement"},
    "coverage undecoded 0": {"from_s", "to_s", "reason"},
    "errors 0": {"code", "message"},
}


def test_all_is_sorted_and_there() -> None:
    names = detector.report.__all__
    constants = [name for name in names if name.isupper()]
    types = [name for name in names if name[0].isupper() and not name.isupper()]
    functions = [name for name in names if name[0].islower()]
    assert names == sorted(constants) + sorted(types) + sorted(functions)
    assert all(hasattr(detector.report, name) for name in names)


def test_the_shipped_schema_is_the_models() -> None:
    shipped = json.loads(files("detector.report").joinpath("report.schema.json").read_text("utf-8"))
    assert shipped == report_json_schema(), (
        "write it anew: json.dumps(report_json_schema(), indent=2) into detector/report/report.schema.json"
    )


def test_a_report_satisfies_the_schema_and_a_wrong_one_does_not(report: Report) -> None:
    schema = report_json_schema()
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)
    document = json.loads(report.to_json())
    validator.validate(document)
    for broken in (
        document | {"surprise": 1},
        {key: value for key, value in document.items() if key != "errors"},
        document | {"schema_version": "2.0"},
    ):
        assert not validator.is_valid(broken)


def test_every_field_is_described() -> None:
    schema = report_json_schema()
    for name, part in {"Report": schema, **schema["$defs"]}.items():
        for field, facts in part["properties"].items():
            assert facts.get("description"), f"{name}.{field}"


@pytest.mark.parametrize("where", NAMES_OTHERS_RELY_ON)
def test_names_that_others_rely_on(report: Report, where: str) -> None:
    part = json.loads(report.to_json())
    for step in where.split():
        part = part[int(step) if step.isdigit() else step]
    assert NAMES_OTHERS_RELY_ON[where] <= set(part)


def test_round_trip(report: Report) -> None:
    for indent in (None, 2):
        text = report.to_json(indent=indent)
        again = Report.from_json(text)
        assert again == report
        assert again.to_json(indent=indent) == text
    assert "\n" not in report.to_json(indent=None)


def test_keys_stand_in_the_same_order_whatever_order_options_came_in(report: Report) -> None:
    document = json.loads(report.to_json())
    document["scan"]["plan"]["options"] = dict(reversed(document["scan"]["plan"]["options"].items()))
    document["clip"] = dict(reversed(document["clip"].items()))
    assert Report.from_json(json.dumps(document)).to_json() == report.to_json()


def test_numbers_are_rounded_and_times_are_also_text(report: Report) -> None:
    document = json.loads(report.to_json())
    assert (document["clip"]["duration_s"], document["clip"]["duration"]) == (185.033333, "00:03:05.033")
    launcher = document["appearances"][2]
    assert [launcher[key] for key in ("first_seen", "last_seen", "peak")] == [
        "00:02:28.100",
        "00:02:41.600",
        "00:02:34.850",
    ]
    assert launcher["best"]["pts"] == "00:02:34.850"
    detection = launcher["detections"][2]
    assert detection["score"] == 0.3033
    assert detection["box"] == [100.0, 200.5, 300.25, 400.12]
    assert detection["box_norm"] == [0.078125, 0.278472, 0.23457, 0.555729]
    assert document["coverage"]["undecoded"][0]["from"] == "00:01:30.000"


def test_a_gap_may_be_nowhere(report: Report) -> None:
    document = json.loads(report.to_json())
    document["coverage"] |= {"longest_gap_s": 0, "longest_gap_at_s": None, "longest_gap_at": None}
    again = Report.from_json(json.dumps(document))
    Draft202012Validator(report_json_schema()).validate(json.loads(again.to_json()))
    assert again.coverage.longest_gap_at is None


def test_a_box_over_the_edge_keeps_its_pixels_and_stays_within_one() -> None:
    detection = DetectionInfo.of(Detection("tank", 0.5, (-3.0, 10.0, 110.0, 60.0), -0.0), width=100, height=50)
    assert detection.box == (-3.0, 10.0, 110.0, 60.0)
    assert detection.box_norm == (0.0, 0.2, 1.0, 1.0)
    assert str(detection.pts_s) == "0.0"


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("appearances 0 first_seen", "00:00:13.000"),
        ("appearances 0 first_seen_s", 21.0),
        ("appearances 0 id", "../../etc/passwd"),
        ("appearances 0 id", "a2"),
        ("appearances 0 best thumbnail", "thumbnails/../../x-frame.jpg"),
        ("appearances 0 best box", [300, 0, 100, 10]),
        ("appearances 0 confidence", 1.5),
        ("clip sha256", "AB" * 32),
        ("coverage undecoded 0 to_s", 1.0),
        ("schema_version", "0.9"),
        ("surprise", 1),
        ("clip surprise", 1),
    ],
)
def test_a_report_that_was_tampered_with_is_refused(report: Report, path: str, value: object) -> None:
    document = json.loads(report.to_json())
    part = document
    *way, last = path.split()
    for step in way:
        part = part[int(step) if step.isdigit() else step]
    part[last] = value
    with pytest.raises(DataError, match=r"not a report of Ordnance, version 1\.0"):
        Report.from_json(json.dumps(document))


@pytest.mark.parametrize("text", ["", "{}", "[]", "nonsense", b"\xff\xfe", '{"schema_version": NaN}'])
def test_what_is_no_report_is_one_sentence(text: str | bytes) -> None:
    with pytest.raises(DataError) as caught:
        Report.from_json(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_no_number_is_endless(report: Report, number: float) -> None:
    with pytest.raises(ValidationError):
        UndecodedInfo(from_s=0.0, to_s=number, reason="")
    with pytest.raises(ValidationError):
        type(report.scan.plan)(name="interval", options={"every_s": number})


def test_nothing_can_be_changed(report: Report) -> None:
    with pytest.raises(ValidationError):
        report.clip.name = "other.mp4"  # type: ignore[misc]


def test_a_file_name_that_is_not_utf8_can_be_written(make_report) -> None:
    name = b"caf\xe9.mp4".decode("utf-8", "surrogateescape")
    report = make_report(name=name)
    assert report.clip.name == "caf\ufffd.mp4"
    assert Report.from_json(report.to_json().encode()) == report


def test_pictures_are_cited_only_where_asked_for(report: Report, tracked) -> None:
    one = AppearanceInfo.of(tracked("a9", "tank", 1, 2), width=1280, height=720)
    other = AppearanceInfo.of(tracked("a9", "tank", 1, 2), width=1280, height=720, pictures=False)
    assert (one.best.thumbnail, one.best.crop) == ("thumbnails/a9-frame.jpg", "thumbnails/a9-crop.jpg")
    assert (other.best.thumbnail, other.best.crop) == (None, None)
