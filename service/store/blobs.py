"""Bytes by their SHA-256, in a folder or in any store that fsspec reaches. A blob is there whole or not at all."""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

from detector.errors import BadOption
from service.settings import Settings

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""The errors of a disk that has no room."""
DATA = "data"
"""Each blob lies in a folder of its own: a hostile playlist finds no neighbour by a relative name."""

S3_TRIES = 2
"""By default botocore tries five times what s3fs tries five times: a store that hangs held a request up for minutes."""
READ_LATELY_SECONDS, READ_JUST_NOW_SECONDS = 3600.0, 600.0
"""A copy that was read so lately may be open in a decoder and stays; where the disk has no room, one read just now. A
scan marks what it reads with each of its segments."""
LEAST_BYTES_PER_SECOND = 256 * 1024
"""A store that takes bytes more slowly than this counts as away."""


class BlobGone(FileNotFoundError):
    """The store does not have these bytes (any more)."""


class BlobStore(Protocol):
    """Where blobs lie. Errors of the disk or network are OSError."""

    def has(self, sha256: str) -> bool: ...

    def put_file(self, sha256: str, source: Path) -> None:
        """Store the file's bytes under their hash. `source` stays, perhaps as another name of the same bytes.

        What lies there already stays, unless it was damaged since.
        """
        ...

    def put_bytes(self, sha256: str, content: bytes) -> None: ...

    def local_path(self, sha256: str) -> Path:
        """A path on this machine from which the blob can be read. Raises BlobGone."""
        ...

    def read(self, sha256: str) -> bytes:
        """All bytes; for small blobs. Raises BlobGone."""
        ...

    def delete(self, sha256: str) -> None:
        """Remove the blob; no error where there is none."""
        ...

    def names(self) -> Iterator[tuple[str, float]]:
        """(hash, time of the last change as epoch seconds) of all blobs."""
        ...

    def copies(self) -> list[str]:
        """Hashes of the blobs of which this machine has copies besides."""
        ...

    def drop_copy(self, sha256: str) -> bool:
        """Remove this machine's copy; the blob stays. Tells whether local_path then fetches the bytes anew."""
        ...

    def make_room(self, size: int) -> None:
        """Remove copies from this machine, as far as its disk has no room for `size` bytes more."""
        ...

    def check(self) -> None:
        """Raises OSError where nothing can be written."""
        ...


class FolderBlobs:
    """Blobs in a folder of this machine."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def has(self, sha256: str) -> bool:
        return self._path(sha256).exists()

    def put_file(self, sha256: str, source: Path) -> None:
        target = self._path(sha256)
        if target.exists():
            if _is_whole(target, sha256, source.stat().st_size):
                return
            target.unlink(missing_ok=True)
        _sync(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(source, target)
        except FileExistsError:
            return
        except FileNotFoundError:
            # The folder went with the blob, which is being removed just now.
            return self.put_file(sha256, source)
        except OSError:
            # Another file system, or one without links: copy beside the target, then rename.
            staging = target.with_name(f".{secrets.token_hex(6)}.partial")
            try:
                shutil.copyfile(source, staging)
                _sync(staging)
                os.replace(staging, target)
            finally:
                staging.unlink(missing_ok=True)
        with suppress(FileNotFoundError):
            _sync(target.parent)
            _sync(target.parent.parent)

    def put_bytes(self, sha256: str, content: bytes) -> None:
        target = self._path(sha256)
        if target.exists():
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        staging = target.with_name(f".{secrets.token_hex(6)}.partial")
        try:
            staging.write_bytes(content)
            _sync(staging)
            os.replace(staging, target)
        finally:
            staging.unlink(missing_ok=True)
        _sync(target.parent)

    def local_path(self, sha256: str) -> Path:
        path = self._path(sha256)
        if not path.exists():
            raise BlobGone(sha256)
        return path

    def read(self, sha256: str) -> bytes:
        try:
            return self._path(sha256).read_bytes()
        except FileNotFoundError:
            raise BlobGone(sha256) from None

    def delete(self, sha256: str) -> None:
        folder = self._path(sha256).parent
        with suppress(FileNotFoundError):
            for path in folder.iterdir():
                path.unlink(missing_ok=True)
        with suppress(OSError):
            # Not empty where the blob is stored anew just now.
            folder.rmdir()

    def names(self) -> Iterator[tuple[str, float]]:
        for path in self._folder.glob(f"??/*/{DATA}"):
            with suppress(FileNotFoundError):
                yield path.parent.name, path.stat().st_mtime

    def copies(self) -> list[str]:
        return []

    def drop_copy(self, sha256: str) -> bool:
        return False

    def make_room(self, size: int) -> None:
        """There are no copies."""

    def check(self) -> None:
        probe = self._folder / f".{secrets.token_hex(6)}.probe"
        probe.write_bytes(b"ordnance")
        probe.unlink()

    def _path(self, sha256: str) -> Path:
        return self._folder / sha256[:2] / sha256 / DATA


class FsspecBlobs:
    """Blobs in an object store, where an upload shows only once it is whole; a local folder caches what is read."""

    def __init__(
        self,
        url: str,
        options: dict[str, Any],
        cache: Path,
        cache_bytes: int,
        *,
        stall_seconds: float = 15,
        min_free_bytes: int = 0,
    ) -> None:
        try:
            from fsspec.core import url_to_fs

            is_s3 = url.startswith(("s3://", "s3a://"))
            if is_s3:
                options = {**options, "config_kwargs": _s3_patience(options.get("config_kwargs"), stall_seconds)}
            self._fs, root = url_to_fs(url, **options)
            if is_s3:
                self._fs.retries = S3_TRIES
            self._patience = S3_TRIES**2 * stall_seconds if self._fs.async_impl else None
        except (ImportError, ValueError) as error:
            raise BadOption(
                f"ORDNANCE_BLOB_URL cannot be used ({error}); for S3 install with: pip install 'ordnance[s3]'."
            ) from error
        self._root = root.rstrip("/")
        self._cache = cache
        self._cache_bytes = cache_bytes
        self._min_free_bytes = min_free_bytes

    def has(self, sha256: str) -> bool:
        with _as_os_errors():
            self._fs.invalidate_cache()
            return bool(self._fs.exists(self._key(sha256)))

    def put_file(self, sha256: str, source: Path) -> None:
        size = source.stat().st_size
        cached = self._cache / sha256 / DATA
        if cached.exists() and not _is_whole(cached, sha256, size):
            cached.unlink(missing_ok=True)
        with _as_os_errors():
            self._fs.invalidate_cache()
            try:
                if self._fs.size(self._key(sha256)) == size:
                    return
            except FileNotFoundError:
                pass
            self._fs.put_file(str(source), self._key(sha256), **self._limit(size))

    def put_bytes(self, sha256: str, content: bytes) -> None:
        if not self.has(sha256):
            with _as_os_errors():
                self._fs.pipe_file(self._key(sha256), content, **self._limit(len(content)))

    def local_path(self, sha256: str) -> Path:
        path = self._cache / sha256 / DATA
        if path.exists():
            with suppress(OSError):
                os.utime(path)
            return path
        with _as_os_errors(sha256):
            self._fs.invalidate_cache()
            size = self._fs.size(self._key(sha256))
        path.parent.mkdir(parents=True, exist_ok=True)
        self.make_room(size)
        staging = path.with_name(f".{secrets.token_hex(6)}.partial")
        try:
            with _as_os_errors(sha256):
                self._fs.get_file(self._key(sha256), str(staging))
            _sync(staging)
            os.replace(staging, path)
        finally:
            staging.unlink(missing_ok=True)
        return path

    def read(self, sha256: str) -> bytes:
        with _as_os_errors(sha256):
            content: bytes = self._fs.cat_file(self._key(sha256))
        return content

    def delete(self, sha256: str) -> None:
        self.drop_copy(sha256)
        with suppress(FileNotFoundError), _as_os_errors():
            self._fs.rm_file(self._key(sha256))

    def names(self) -> Iterator[tuple[str, float]]:
        with _as_os_errors():
            self._fs.invalidate_cache()
            try:
                found = self._fs.find(self._root, detail=True)
            except FileNotFoundError:
                return
        for key, facts in found.items():
            changed = facts.get("LastModified") or facts.get("mtime") or facts.get("created")
            yield key.rsplit("/", 1)[-1], changed.timestamp() if hasattr(changed, "timestamp") else float(changed or 0)

    def copies(self) -> list[str]:
        return [folder.name for folder in self._cache.glob("*")]

    def drop_copy(self, sha256: str) -> bool:
        shutil.rmtree(self._cache / sha256, ignore_errors=True)
        return True

    def make_room(self, size: int) -> None:
        """Forget the clips read longest ago while the cache would be larger than it may be with one of `size` bytes
        more, or would leave too little of the disk free."""
        known = []
        # With what downloads that were cut short have left.
        for path in self._cache.glob("*/*"):
            with suppress(FileNotFoundError):
                facts = path.stat()
                known.append((facts.st_mtime, facts.st_size, path))
        total = sum(each for _, each, _ in known) + size
        for changed, held, path in sorted(known):
            is_short = shutil.disk_usage(self._cache.parent).free < self._min_free_bytes + size
            if not is_short and total <= self._cache_bytes:
                return
            if time.time() - changed > (READ_JUST_NOW_SECONDS if is_short else READ_LATELY_SECONDS):
                path.unlink(missing_ok=True)
                total -= held
                with suppress(OSError):
                    path.parent.rmdir()

    def check(self) -> None:
        with _as_os_errors():
            self._fs.invalidate_cache()
            self._fs.pipe_file(f"{self._root}/.probe", b"ordnance", **self._limit(0))
            # Another check may have removed it; and where nothing may be removed, things can be written nevertheless.
            with suppress(FileNotFoundError, PermissionError):
                self._fs.rm_file(f"{self._root}/.probe")

    def _limit(self, size: int) -> dict[str, float]:
        """How long `size` bytes may take to be written; aiohttp itself waits for ever for a store to take them."""
        return {} if self._patience is None else {"timeout": self._patience + size / LEAST_BYTES_PER_SECOND}

    def _key(self, sha256: str) -> str:
        return f"{self._root}/{sha256[:2]}/{sha256}"


def _s3_patience(given: Any, stall_seconds: float) -> dict[str, Any]:
    """botocore's settings: what was given, and how long a store that does not answer is waited for."""
    return {
        "connect_timeout": stall_seconds,
        "read_timeout": stall_seconds,
        "retries": {"mode": "standard", "total_max_attempts": S3_TRIES},
        **(given if isinstance(given, dict) else {}),
    }


def blobs_folder(settings: Settings) -> Path | None:
    """The folder in which blobs lie; None where fsspec reaches them, as it does a folder for which it has options."""
    if settings.blob_url is None:
        return settings.store / "blobs"
    from fsspec.core import strip_protocol
    from fsspec.utils import get_protocol

    if settings.blob_options or get_protocol(settings.blob_url) not in ("file", "local"):
        return None
    return Path(strip_protocol(settings.blob_url))


def open_blobs(settings: Settings) -> BlobStore:
    """The blob store of the settings. Raises BadOption where it cannot be used."""
    if (folder := blobs_folder(settings)) is not None:
        try:
            return FolderBlobs(folder)
        except OSError as error:
            setting = "ORDNANCE_STORE" if settings.blob_url is None else "ORDNANCE_BLOB_URL"
            raise BadOption(f"The folder {folder} cannot be written ({error.strerror}); set {setting}.") from error
    assert settings.blob_url is not None
    cache_bytes = max(4 * settings.max_upload_bytes, 1024**3)
    return FsspecBlobs(
        settings.blob_url,
        settings.blob_options,
        settings.store / "cache",
        cache_bytes,
        stall_seconds=settings.blob_stall_seconds,
        min_free_bytes=settings.min_free_bytes,
    )


@contextmanager
def _as_os_errors(sha256: str | None = None) -> Iterator[None]:
    """Lets OSError alone come out, of whatever kind the library's own errors are; BlobGone where `sha256` is not there.

    fsspec's file systems raise what their libraries do where no answer comes (botocore's ConnectTimeoutError).
    """
    try:
        yield
    except FileNotFoundError as error:
        if sha256 is None:
            raise
        raise BlobGone(sha256) from error
    except OSError:
        raise
    except Exception as error:
        raise OSError(f"{type(error).__name__}: {error}") from error


def _is_whole(path: Path, sha256: str, size: int) -> bool:
    """Whether the file still holds those bytes, `size` many."""
    try:
        with path.open("rb") as file:
            return path.stat().st_size == size and hashlib.file_digest(file, "sha256").hexdigest() == sha256
    except FileNotFoundError:
        return False


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
