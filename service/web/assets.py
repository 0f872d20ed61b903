"""What pages load: every file of `static/`, read once, at an address that changes with the content of all of them."""

from __future__ import annotations

import gzip
import hashlib
import mimetypes
import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable

from starlette.requests import Request
from starlette.responses import Response

from service.problems import NotFound

IMMUTABLE = "public, max-age=31536000, immutable"
LEAST_BYTES = 512
"""A smaller file is sent as it is: compressing it saves less than a packet."""
_TYPES = {".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml"}
_VERSION = re.compile("[0-9a-f]{16}")
_IMPORT = re.compile(rb"""^(?:import|export)\b(?:[^"';]*?\bfrom\s*)?\s*["'](\.{1,2}/[^"']+)["'];""", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Asset:
    """A file as it is sent; `compressed` by gzip, None where that does not pay."""

    content: bytes
    compressed: bytes | None
    media_type: str
    tag: str


@dataclass(frozen=True, slots=True)
class Assets:
    """All files by their paths, and what changes when any of them does."""

    version: str
    by_path: Mapping[str, Asset]

    def address(self, path: str) -> str:
        """Where browsers get the file; they may keep what they got for ever."""
        assert path in self.by_path, path
        return f"/static/{self.version}/{path}"

    def modules(self, *entries: str) -> list[str]:
        """The paths of these modules and of all that they import, those first that are asked for first."""
        found = list(entries)
        for path in found:
            for imported in _IMPORT.findall(self.by_path[path].content):
                target = posixpath.normpath(posixpath.join(posixpath.dirname(path), imported.decode()))
                if target not in found:
                    found.append(target)
        return found


@cache
def assets() -> Assets:
    """The files of this program; a change on the disk is seen at its next start."""
    contents = dict(sorted(_read(files("service.web").joinpath("static"))))
    whole = hashlib.sha256()
    for path, content in contents.items():
        whole.update(f"{path}\0{len(content)}\0".encode() + content)
    return Assets(whole.hexdigest()[:16], {path: _asset(path, content) for path, content in contents.items()})


async def serve_asset(request: Request) -> Response:
    """The route /static/{path:path}: `<version>/<file>`, or `<file>` alone, which browsers ask for again each time."""
    known, asked = assets(), request.path_params["path"]
    version, _, rest = asked.partition("/")
    is_current = version == known.version
    # A page of another version of the program, from before an update or from another server, gets what there is.
    asset = known.by_path.get(rest if is_current or _VERSION.fullmatch(version) else asked)
    if asset is None:
        raise NotFound("There is no such file.")
    headers = {"ETag": asset.tag, "Cache-Control": IMMUTABLE if is_current else "no-cache"}
    if asset.compressed is not None:
        headers["Vary"] = "Accept-Encoding"
    if asset.tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    headers["Content-Type"] = asset.media_type
    if asset.compressed is not None and "gzip" in request.headers.get("accept-encoding", ""):
        return Response(asset.compressed, headers={**headers, "Content-Encoding": "gzip"})
    return Response(asset.content, headers=headers)


def _read(folder: Traversable, prefix: str = "") -> list[tuple[str, bytes]]:
    found = []
    for each in folder.iterdir():
        path = prefix + each.name
        found += _read(each, f"{path}/") if each.is_dir() else [(path, each.read_bytes())]
    return found


def _asset(path: str, content: bytes) -> Asset:
    compressed = gzip.compress(content, 9, mtime=0) if len(content) >= LEAST_BYTES else None
    suffix = posixpath.splitext(path)[1]
    media_type = _TYPES.get(suffix) or mimetypes.guess_type(path)[0] or "application/octet-stream"
    return Asset(content, compressed, media_type, f'"{hashlib.sha256(content).hexdigest()[:32]}"')
