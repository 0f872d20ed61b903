from __future__ import annotations

import base64
import re
from collections import Counter
from collections.abc import Iterator
from html.parser import HTMLParser

import pytest

from detector.report import Report, html, render_html, summary

VOID = {"meta", "link", "img", "br", "input", "hr"}


class Page(HTMLParser):
    """The tags of a page with their attributes; refuses tags that are not closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self._open:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def all(self, tag: str, **attributes: str) -> Iterator[dict[str, str | None]]:
        for name, attrs in self.tags:
            if name == tag and all(attrs.get(key.rstrip("_")) == value for key, value in attributes.items()):
                yield attrs


def test_the_page_loads_nothing(report: Report, thumbnails: dict[str, bytes]) -> None:
    text = render_html(report, thumbnails)
    page = Page(text)
    assert not re.search(r"https?:|//[a-z]|@import", text)
    assert not [tag for tag, _ in page.tags if tag in ("script", "link", "iframe", "object", "embed", "base", "form")]
    assert not [name for _, attrs in page.tags for name in attrs if name.startswith("on")]
    assert all(url == "url(#hatch)" for url in re.findall(r"url\([^)]*\)", text))
    sources = [attrs["src"] for attrs in page.all("img")]
    assert len(sources) == 6
    assert all(source and source.startswith("data:image/jpeg;base64,") for source in sources)
    [policy] = [attrs["content"] for attrs in page.all("meta") if "http-equiv" in attrs]
    assert policy and policy.startswith("default-src 'none'; img-src data:; style-src 'unsafe-inline'")


def test_every_find_is_told(report: Report, thumbnails: dict[str, bytes]) -> None:
    page = Page(render_html(report, thumbnails))
    for words in (
        "3 appearances in 03:05.0 of video: Humvee from 00:12.0, Tank from 00:14.0, TOW launcher from 02:28.1.",
        "02:28.1 → to 02:41.6",
        "confidence 0.91",
        "Anything visible for at least 1.04 s was sampled at least once.",
        "1.04 s from 01:00.0",
        "01:30.0 01:35.5 3 damaged packets",
        "Part of this clip (5.5 s) could not be decoded",
        "ab" * 32,
        "cd" * 32,
        "every_s 1.0",
        "onnxruntime on cpu",
        "Ordnance 0.1.0, report version 1.0",
        "video_error 3 packets were damaged.",
    ):
        assert words in page.text


def test_each_bar_leads_to_its_card_and_stands_at_its_time(report: Report) -> None:
    page = Page(render_html(report, {}))
    ids = [attrs["id"] for _, attrs in page.tags if attrs.get("id")]
    assert [one for one, count in Counter(ids).items() if count > 1] == []
    targets = [attrs["href"] for attrs in page.all("a") if "aria-label" in attrs]
    assert sorted(targets) == ["#a1", "#a2", "#a3"] and {"a1", "a2", "a3"} <= set(ids)
    launcher = [attrs for attrs in page.all("rect", class_="bar") if attrs["fill"] == "#e4572e"]
    assert [attrs["x"] for attrs in launcher] == [f"{100 * 148.1 / 185.033333:.3f}%"]
    assert [attrs["width"] for attrs in launcher] == [f"{100 * 13.5 / 185.033333:.3f}%"]


def test_pictures_are_hidden_until_their_own_box_is_ticked(report: Report, thumbnails: dict[str, bytes]) -> None:
    text = render_html(report, thumbnails)
    page = Page(text)
    boxes = [attrs for attrs in page.all("input") if "reveal" in (attrs.get("class") or "")]
    assert len(boxes) == 3
    assert not any("checked" in attrs for attrs in page.all("input"))
    labels = Counter(attrs["for"] for attrs in page.all("label") if "for" in attrs)
    assert labels == {attrs["id"]: 2 for attrs in boxes}
    assert re.search(r"\.veil img \{[^}]*grayscale\(1\) blur\(", text)
    assert all(attrs.get("alt") for attrs in page.all("img"))


@pytest.mark.parametrize(
    "name", ["<script>alert(1)</script>.mp4", '"><img src=x onerror=alert(1)>.mp4', "{{ 7*7 }}.mp4"]
)
def test_markup_in_names_is_text(make_report, name: str, tracked) -> None:
    wild = f"{name}'\"<b>&"
    page = Page(render_html(make_report(tracked("a1", wild, 1, 2), name=name), {}))
    assert not [tag for tag, _ in page.tags if tag in ("script", "img", "b")]
    assert name in page.text and wild in page.text


def test_nothing_found_says_what_that_means(make_report) -> None:
    page = Page(render_html(make_report(), {}))
    assert "No weapon was found in 03:05.0 of video." in page.text
    assert "What that means: Anything visible for at least 1.04 s was sampled at least once." in page.text
    assert not list(page.all("img")) and not list(page.all("input"))


def test_a_clip_without_length(make_report, tracked) -> None:
    report = make_report(tracked("a1", "tank", 0, 0), duration_s=0.0)
    report = report.model_copy(update={"coverage": report.coverage.model_copy(update={"undecoded": ()})})
    page = Page(render_html(report, {}))
    [bar] = page.all("rect", class_="bar")
    assert (bar["x"], bar["width"]) == ("0.000%", "100.000%")
    assert "one picture" in page.text and "All that was read of the clip could be decoded." in page.text


def test_a_clip_whose_times_begin_late_fills_the_strip(make_report, tracked) -> None:
    """Pieces of live streams count from the stream's start, or from 1970 on."""
    report = make_report(tracked("a1", "tank", 360_050, 360_060), first_pts_s=360_000.0, duration_s=360_100.0)
    report = report.model_copy(update={"coverage": report.coverage.model_copy(update={"undecoded": ()})})
    page = Page(render_html(report, {}))
    [bar] = page.all("rect", class_="bar")
    assert (bar["x"], bar["width"]) == ("50.000%", "10.000%")
    assert [tick["x1"] for tick in page.all("line")] == ["0.000%", "30.000%", "60.000%", "90.000%"]
    assert "100:00:00" in page.text and "1 appearance in 01:40.0 of video" in page.text
    [strip] = page.all("svg")
    assert strip["aria-label"] == "Timeline of the whole clip, from 100:00:00.0 to 100:01:40.0"


def test_a_single_picture_has_a_bar_that_can_be_seen(make_report, tracked) -> None:
    [bar] = Page(render_html(make_report(tracked("a1", "tank", 60, 60)), {})).all("rect", class_="bar")
    assert float((bar["width"] or "").rstrip("%")) > 0


def test_two_thousand_appearances(make_report, tracked) -> None:
    many = [tracked(f"a{n}", ("tank", "humvee", "mlrs")[n % 3], n * 3.6, n * 3.6 + 30) for n in range(2000)]
    page = Page(render_html(make_report(*many, duration_s=7230.0), {}))
    assert len(list(page.all("article"))) == 2000
    bars = [attrs for attrs in page.all("a") if "aria-label" in attrs]
    assert len(bars) == 2000 and all(attrs.get("tabindex") == "-1" for attrs in bars)
    [strip] = page.all("svg")
    assert int(strip["height"] or 0) < 400
    assert len(list(page.all("line"))) <= html.MOST_TICKS


@pytest.mark.parametrize("duration", [0.04, 0.5, 7, 59.9, 61, 3599, 3601, 86_400, 3_000_000])
def test_ticks_are_few_and_differ(make_report, duration: float) -> None:
    page = Page(render_html(make_report(duration_s=duration), {}))
    places = [attrs["x"] for attrs in page.all("text") if (attrs["class"] or "").startswith("axis")]
    assert 1 <= len(set(places)) == len(places) <= html.MOST_TICKS


def test_overlapping_appearances_stand_in_rows(make_report, tracked) -> None:
    report = make_report(*(tracked(f"a{n}", "tank", n, 100 + n) for n in range(9)), tracked("z", "tank", 150, 160))
    bars = list(Page(render_html(report, {})).all("rect", class_="bar"))
    heights = Counter(bar["y"] for bar in bars)
    assert len(heights) == html.ROWS_PER_CLASS
    assert bars[-1]["y"] == bars[0]["y"]


def test_pictures_beyond_the_limit_are_linked_surest_first(
    report: Report, thumbnails: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    both = len(thumbnails["a3-frame.jpg"]) + len(thumbnails["a3-crop.jpg"])
    monkeypatch.setattr(html, "EMBEDDED_BYTES", both)
    page = Page(render_html(report, thumbnails))
    sources = [attrs["src"] for attrs in page.all("img")]
    shown = [base64.b64decode((source or "").partition(",")[2]) for source in sources]
    assert shown == [thumbnails["a3-frame.jpg"], thumbnails["a3-crop.jpg"]]
    links = [attrs["href"] for attrs in page.all("a") if (attrs["href"] or "").startswith("thumbnails/")]
    assert links == [f"thumbnails/{id}-{kind}.jpg" for id in ("a1", "a2") for kind in ("frame", "crop")]


def test_pictures_beyond_the_limit_are_linked_to_the_addresses_given(
    report: Report, thumbnails: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(html, "EMBEDDED_BYTES", -1)
    page = Page(render_html(report, thumbnails, {"a1-frame.jpg": "/pictures/1"}))
    links = [attrs["href"] for attrs in page.all("a") if "href" in attrs]
    assert "/pictures/1" in links and "thumbnails/a1-crop.jpg" in links
    assert "thumbnails/a1-frame.jpg" not in links


def test_a_picture_that_is_missing_has_no_place_on_the_page(report: Report, thumbnails: dict[str, bytes]) -> None:
    page = Page(render_html(report, {"a3-crop.jpg": thumbnails["a3-crop.jpg"]}))
    assert len(list(page.all("img"))) == 1
    assert not [attrs for attrs in page.all("a") if (attrs["href"] or "").startswith("thumbnails/")]


def test_landmarks_and_language(report: Report) -> None:
    page = Page(render_html(report, {}))
    assert [attrs["lang"] for attrs in page.all("html")] == ["en"]
    for landmark in ("header", "main", "footer", "h1"):
        assert len(list(page.all(landmark))) == 1, landmark
    ids = {attrs["id"] for _, attrs in page.tags if attrs.get("id")}
    assert all(attrs["aria-labelledby"] in ids for attrs in page.all("section"))


def test_summary_counts_a_class_once(make_report, tracked) -> None:
    report = make_report(tracked("a1", "tank", 5, 6), tracked("a2", "tank", 1, 2), tracked("a3", "unheard_of", 3, 4))
    assert summary(report) == "3 appearances in 03:05.0 of video: Tank from 00:01.0 (2 times), unheard_of from 00:03.0."


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 bytes"), (1, "1 byte"), (999, "999 bytes"), (1000, "1.0 kB"), (2_500_000, "2.5 MB")]
)
def test_file_sizes(make_report, count: int, text: str) -> None:
    assert text in Page(render_html(make_report(bytes=count), {})).text
