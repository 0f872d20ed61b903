"""Print what Ordnance needs to run, with the extras named: `python needs.py postgres s3 otel > needs.txt`."""

import re
import sys
import tomllib

with open("pyproject.toml", "rb") as file:
    project = tomllib.load(file)["project"]


def needs(extra: str) -> list[str]:
    """Of an extra, with those of the extras that it names itself."""
    found = []
    for each in project["optional-dependencies"][extra]:
        own = re.fullmatch(r"ordnance\[(.+)\]", each)
        found += [need for name in own[1].split(",") for need in needs(name)] if own else [each]
    return found


print(*project["dependencies"], *(need for extra in sys.argv[1:] for need in needs(extra)), sep="\n")
