"""What is wrong with a file that should be YAML."""

from __future__ import annotations

import yaml

from detector.errors import DataError


def not_yaml(what_is: str, error: yaml.YAMLError) -> DataError:
    """The error in one line; `what_is` is its beginning, such as "The class map classes.yaml is"."""
    return DataError(f"{what_is} not YAML: {' '.join(str(error).split())}.")
