"""Every word of the page, from one table a language: `labels/<tag>.json`. A language is added by adding its file.

A label is a text, or texts by CLDR's plural categories, of which `other` is always there: the page's scripts choose by
the value of `count`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

Label = str | dict[str, str]

DEFAULT = "en"
_RIGHT_TO_LEFT = ("ar", "arc", "ckb", "dv", "fa", "he", "ps", "sd", "ug", "ur", "yi")


@dataclass(frozen=True, slots=True)
class Words:
    """The labels of one language by their keys; what it lacks is English."""

    language: str
    direction: str
    table: Mapping[str, Label]

    def __call__(self, key: str, **values: object) -> str:
        """The label with its values; the key itself where there is none, so that a gap is seen."""
        label = self.table.get(key, key)
        text = label if isinstance(label, str) else label["other"]
        return text.format_map({name: str(value) for name, value in values.items()})


@cache
def languages() -> tuple[str, ...]:
    """The languages that there are, by their tags."""
    folder = files("service.web").joinpath("labels")
    return tuple(sorted(each.name.removesuffix(".json") for each in folder.iterdir() if each.name.endswith(".json")))


@cache
def words_in(language: str) -> Words:
    """The words of a language that `languages` names."""
    table = {**_read(DEFAULT), **_read(language)}
    direction = "rtl" if language.split("-")[0] in _RIGHT_TO_LEFT else "ltr"
    return Words(language, direction, table)


def best_language(wanted: str | None, accept_language: str) -> str:
    """The language that somebody has set, else the first one of the browser's that there is, else English."""
    tags = [part.split(";")[0].strip().lower() for part in accept_language.split(",")]
    for tag in [wanted.lower() if wanted else "", *tags]:
        for known in languages():
            if tag and known.lower() in (tag, tag.split("-")[0]):
                return known
    return DEFAULT


def _read(language: str) -> dict[str, Label]:
    text = files("service.web").joinpath("labels", f"{language}.json").read_text("utf-8")
    table: dict[str, Label] = json.loads(text)
    return table
