from __future__ import annotations

import csv
import io

import pytest

from detector.report import Report, detections_csv


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_one_row_a_detection(report: Report) -> None:
    table = rows(detections_csv(report))
    assert len(table) == 9
    assert table[7] == {
        "clip": "patrol.mp4",
        "sha256": "ab" * 32,
        "appearance": "a3",
        "class": "tow_launcher",
        "score": "0.91",
        "pts_s": "154.85",
        "time": "00:02:34.850",
        **{"x1": "100.0", "y1": "200.5", "x2": "300.25", "y2": "400.12"},
        **{"x1_norm": "0.078125", "y1_norm": "0.278472", "x2_norm": "0.23457", "y2_norm": "0.555729"},
    }


def test_nothing_found_is_a_heading(make_report) -> None:
    assert detections_csv(make_report()).splitlines() == [
        "clip,sha256,appearance,class,score,pts_s,time,x1,y1,x2,y2,x1_norm,y1_norm,x2_norm,y2_norm"
    ]


@pytest.mark.parametrize("name", ["=1+1.mp4", "+1.mp4", "-2.mp4", "@SUM(A1).mp4", "\t=1.mp4", " =1.mp4", "＝1.mp4"])
def test_a_name_never_becomes_a_formula(make_report, name: str, tracked) -> None:
    assert rows(detections_csv(make_report(tracked("a1", "tank", 1, 2), name=name)))[0]["clip"] == f"'{name}"


@pytest.mark.parametrize("separator", [";", "\t"])
def test_a_spreadsheet_that_parts_fields_elsewhere_makes_no_cell_of_a_part_of_a_name(
    make_report, separator: str, tracked
) -> None:
    """LibreOffice offers comma, semicolon and tab together, Excel takes the separator of the country."""
    name = f"a{separator}=1+1{separator}b.mp4"
    text = detections_csv(make_report(tracked("a1", "tank", 1, 2), name=name))
    [_, row, *_] = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    assert row[0].startswith(f"{name},") and len(row) == 1


@pytest.mark.parametrize("name", ['a "quoted", name.mp4', "two\r\nlines.mp4", "plain-=name.mp4", "坦克.mp4"])
def test_any_other_name_comes_back_as_it_was(make_report, name: str, tracked) -> None:
    table = rows(detections_csv(make_report(tracked("a1", "tank", 1, 2), name=name)))
    assert {row["clip"] for row in table} == {name} and len(table) == 3
