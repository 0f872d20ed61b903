"""Every word on the pages comes from the tables of words, and every table has every word."""

import json
import re
from pathlib import Path

import pytest

import service.web
from detector.taxonomy import TAXONOMY
from service.web.words import best_language, languages, words_in

WEB = Path(service.web.__file__).parent
TEMPLATES = sorted((WEB / "templates").glob("*.html"))
MODULES = sorted((WEB / "static").rglob("*.js"))
VISIBLE = ("alt", "aria-label", "aria-description", "label", "placeholder", "title")
KEY = r"[a-z_]+(?:\.[a-z_]+)+"
DYNAMIC = re.compile(r"""\bt\(\s*(?:"([a-z_.]+\.)"\s*~|`([a-z_.]+\.)\$\{)""")


def table(tag: str) -> dict[str, str | dict[str, str]]:
    return json.loads((WEB / "labels" / f"{tag}.json").read_text("utf-8"))


def forms(label: str | dict[str, str]) -> dict[str, str]:
    return {"other": label} if isinstance(label, str) else label


def values(label: str | dict[str, str]) -> list[str]:
    return sorted(re.findall(r"\{(\w+)\}", forms(label)["other"]))


def test_english_and_arabic_are_there():
    assert {"en", "ar"} <= set(languages())
    assert (words_in("en").direction, words_in("ar").direction) == ("ltr", "rtl")


@pytest.mark.parametrize("tag", languages())
def test_every_table_has_the_same_keys_and_values(tag):
    english, other = table("en"), table(tag)
    assert sorted(other) == sorted(english)
    assert [key for key in english if values(english[key]) != values(other[key])] == []
    assert [key for key, label in other.items() if not all(text.strip() for text in forms(label).values())] == []


@pytest.mark.parametrize("tag", languages())
def test_the_forms_of_a_label_are_those_of_a_count(tag):
    for key, label in table(tag).items():
        assert set(forms(label)) <= {"zero", "one", "two", "few", "many", "other"}, key
        assert all(set(values(text)) <= set(values(label)) for text in forms(label).values()), key
        assert isinstance(label, str) or "count" in values(label), key


def test_weapon_classes_are_called_as_in_the_reports():
    assert {key: text for key, text in table("en").items() if key.startswith("class.")} == {
        f"class.{each.id}": each.name for each in TAXONOMY
    }


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda each: each.name)
def test_templates_hold_no_words(template):
    text = re.sub(r"{#.*?#}|{%.*?%}|{{.*?}}", "", template.read_text("utf-8"), flags=re.DOTALL)
    for name in VISIBLE:
        for value in re.findall(rf'\s{name}="([^"]*)"', text):
            assert not re.search(r"[^\W\d_]", value), value
    text = re.sub(r"<kbd>.*?</kbd>", "", text)
    words = re.findall(r"[^\W\d_]{2,}", re.sub(r"<[^>]*>", " ", text))
    assert words == []


@pytest.mark.parametrize("module", MODULES, ids=lambda each: each.relative_to(WEB).as_posix())
def test_modules_hold_no_words(module):
    code = re.sub(r"^\s*//.*$", "", module.read_text("utf-8"), flags=re.MULTILINE)
    shown = re.findall(
        r"""(?:textContent|innerText|ariaLabel|title|alt|placeholder)\s*[=]\s*["'`]([^"'`$]*)["'`]"""
        r"""|(?:\btext|\balt|\blabel|\bplaceholder):\s*["'`]([^"'`$]*)["'`]""",
        code,
    )
    assert [
        each for pair in shown for each in pair if re.search(r"[^\W\d_]{2,}", each) and not re.fullmatch(KEY, each)
    ] == []
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", code)


def test_every_word_is_used_and_every_word_used_is_there():
    known = set(table("en"))
    source = "\n".join(path.read_text("utf-8") for path in [*TEMPLATES, *MODULES, WEB / "pages.py"])
    prefixes = {first or second for first, second in DYNAMIC.findall(source)}
    named = set(re.findall(rf"""\bt\(\s*["'`]({KEY})["'`]""", source))
    assert sorted(named - known) == []
    assert [prefix for prefix in prefixes if not any(key.startswith(prefix) for key in known)] == []
    quoted = set(re.findall(rf"""["'`]({KEY})["'`]""", source))
    pieces = {re.escape(text) for text in re.findall(r"`([a-z_.]*\$\{[^`]*)`", source)}
    patterns = [re.sub(r"\\\$\\\{.*?\\\}", "[a-z_.]+", piece) for piece in pieces]
    unused = [
        key
        for key in sorted(known - quoted)
        if not key.startswith(tuple(prefixes)) and not any(re.fullmatch(pattern, key) for pattern in patterns)
    ]
    assert unused == []


def test_the_language_is_the_persons_then_the_browsers_then_english():
    assert best_language("ar", "en-GB,en;q=0.9") == "ar"
    assert best_language(None, "ar-SY,ar;q=0.9,en;q=0.5") == "ar"
    assert best_language("xx", "tlh") == "en"
    assert words_in("ar")("not.a.key") == "not.a.key"
