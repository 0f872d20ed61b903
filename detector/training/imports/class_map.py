"""The class map: a YAML file that says which of our classes each label of a source is.

    Panzer: tank
    HMMWV: humvee
    person: drop

`drop` leaves a label's boxes out; the picture keeps its other boxes. Labels are read as they are written: 007 and no
need no quotes.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import yaml

from detector.errors import DataError
from detector.training.labels import KNOWN_CLASSES
from detector.training.yaml_text import not_yaml

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
        content = yaml.compose(path.read_text(encoding="utf-8"), yaml.BaseLoader)
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"The class map {path} cannot be read: {error}.") from error
    except yaml.YAMLError as error:
        raise not_yaml(f"The class map {path} is", error) from error
    if not isinstance(content, yaml.MappingNode) or not content.value:
        raise DataError(f"The class map {path} must hold lines 'their label: our_class'.")
    classes: dict[str, str | None] = {}
    for label, name in content.value:
        where = f"The class map {path}, line {label.start_mark.line + 1}"
        if not isinstance(label, yaml.ScalarNode) or not isinstance(name, yaml.ScalarNode):
            raise DataError(f"{where} is not 'their label: our_class'; a label has one class, or '{DROP}'.")
        if label.value in classes:
            raise DataError(f"{where} names the label '{label.value}' again; keep one line of it.")
        if name.value != DROP and name.value not in KNOWN_CLASSES:
            known = ", ".join(sorted(KNOWN_CLASSES))
            raise DataError(
                f"The class map {path} maps '{label.value}' to '{name.value}'; use '{DROP}' or one of: {known}."
            )
        classes[label.value] = None if name.value == DROP else name.value
    return ClassMap(path, classes)
