"""The class map: a YAML file that says which of our classes each label of a source is.

    Panzer: tank
    HMMWV: humvee
    person: drop

`drop` leaves a label's boxes out; the picture keeps its other boxes.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import yaml

from detector.errors import DataError
from detector.training.labels import KNOWN_CLASSES

DROP = "drop"


@dataclass(frozen=True, slots=True)
class ClassMap:
    """`classes` maps a source's label to one of our classes, or to None where its boxes are left out."""

    path: Path
    classes: dict[str, str | None]

    def __getitem__(self, label: str) -> str | None:
        """Our class; raises KeyError for a label that the map does not name."""
        return self.classes[label]


def read_class_map(path: Path) -> ClassMap:
    """Read a class map; raises DataError that names a wrong entry and the classes there are."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"The class map {path} cannot be read: {error}.") from error
    except yaml.YAMLError as error:
        raise DataError(f"The class map {path} is not YAML: {error}.") from error
    if not isinstance(content, dict) or not content:
        raise DataError(f"The class map {path} must hold lines 'their label: our_class'.")
    classes: dict[str, str | None] = {}
    for label, name in content.items():
        if name != DROP and name not in KNOWN_CLASSES:
            known = ", ".join(sorted(KNOWN_CLASSES))
            raise DataError(f"The class map {path} maps '{label}' to '{name}'; use '{DROP}' or one of: {known}.")
        classes[str(label)] = None if name == DROP else name
    return ClassMap(path, classes)
