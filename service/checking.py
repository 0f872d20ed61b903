"""`ordnance config check`: try what the settings name, and say what does not work."""

from __future__ import annotations

import os
import re
import shutil
import socket
import tempfile
from dataclasses import dataclass
from pathlib import Path

from detector.errors import OrdnanceError
from service.settings import Settings, unknown_variables

_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^/?#\sA-Z]+")
"""As browsers send it: small letters, no path, no slash at the end."""
_HOST = re.compile(r"[\w.-]+(:\d+)?|[0-9a-fA-F:.]+")
"""A name or an IPv4 address, with or without a port, or an IPv6 address."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something worth knowing; `is_wrong` where the service would not work."""

    words: str
    is_wrong: bool = True


def check(settings: Settings) -> list[Finding]:
    """What is wrong or unsafe; the database and the blob store are tried, nothing is left behind in them."""
    return [
        *_names(),
        *_database(settings),
        *_blobs(settings),
        *_model(settings),
        *_tracing(settings),
        *_address(settings),
        *_access(settings),
        *_guard(settings),
    ]


def _names() -> list[Finding]:
    return [Finding(f"{name} is no setting; see `ordnance serve --help`.") for name in unknown_variables()]


def _database(settings: Settings) -> list[Finding]:
    from sqlalchemy.exc import SQLAlchemyError

    from service.store.database import check_usable, file_to_be_made, no_answer, open_database

    try:
        if (file := file_to_be_made(settings)) is not None:
            return _folder(file.parent)
    except (SQLAlchemyError, ValueError):
        # No URL at all, which opening it says.
        pass
    try:
        database = open_database(settings, pool_size=1)
    except OrdnanceError as error:
        return [Finding(str(error))]
    try:
        check_usable(database)
    except OrdnanceError as error:
        return [Finding(str(error))]
    except SQLAlchemyError as error:
        return [Finding(str(no_answer(error)))]
    finally:
        database.close()
    return []


def _folder(folder: Path, setting: str = "ORDNANCE_STORE") -> list[Finding]:
    """Whether it can be written or, where there is none, made."""
    try:
        os.rmdir(tempfile.mkdtemp(prefix=".ordnance-", dir=_there(folder)))
    except OSError as error:
        return [Finding(f"The folder {folder} cannot be written ({error.strerror}); set {setting}.")]
    return []


def _there(folder: Path) -> Path:
    """The folder, or the nearest one above it that is there."""
    folder = folder.absolute()
    return next(each for each in (folder, *folder.parents) if os.path.exists(each))


def _blobs(settings: Settings) -> list[Finding]:
    from service.store.blobs import blobs_folder, open_blobs

    folder = blobs_folder(settings)
    if folder is not None and not os.path.exists(folder):
        setting = "ORDNANCE_STORE" if settings.blob_url is None else "ORDNANCE_BLOB_URL"
        if wrong := _folder(folder, setting):
            return wrong
    else:
        try:
            open_blobs(settings).check()
        except OrdnanceError as error:
            return [Finding(str(error))]
        except Exception as error:
            words = (
                f"Blobs cannot be written ({type(error).__name__}: {error}); check ORDNANCE_BLOB_URL and "
                "ORDNANCE_BLOB_OPTIONS."
            )
            return [Finding(words)]
    free = shutil.disk_usage(_there(settings.store)).free
    if free < settings.min_free_bytes:
        return [Finding(f"{settings.store} has {free} bytes left; uploads would be refused.")]
    return []


def _model(settings: Settings) -> list[Finding]:
    from detector.models import WEIGHTS_FOLDER, find_weights, read_manifest
    from detector.models.backend import resolve_device
    from detector.models.manifest import MANIFEST_NAME, find_second_view
    from service.intake import listed_model

    try:
        asked = listed_model(read_manifest(WEIGHTS_FOLDER / MANIFEST_NAME), settings.model)
        find_second_view(*find_weights(asked.name))
        resolve_device(settings.device)
    except OrdnanceError as error:
        return [Finding(str(error))]
    return []


def _tracing(settings: Settings) -> list[Finding]:
    if settings.otel_endpoint is None:
        return []
    try:
        import opentelemetry.exporter.otlp.proto.http.trace_exporter  # noqa: F401
    except ImportError:
        return [Finding("ORDNANCE_OTEL_ENDPOINT is set; that needs: pip install 'ordnance[otel]'.")]
    return []


def _address(settings: Settings) -> list[Finding]:
    with socket.socket(socket.AF_INET6 if ":" in settings.host else socket.AF_INET) as trial:
        try:
            trial.bind((settings.host, 0))
        except (OSError, UnicodeError) as error:
            reason = getattr(error, "strerror", None) or error
            words = f"{settings.host} cannot be listened on ({reason}); set ORDNANCE_HOST to one of this machine."
            return [Finding(words)]
    return []


def _access(settings: Settings) -> list[Finding]:
    found = []
    for origin in settings.cors_origins:
        if origin not in ("*", "null") and not _ORIGIN.fullmatch(origin):
            words = (
                f"ORDNANCE_CORS_ORIGINS holds {origin}, which no browser sends: an origin is like https://host:8443."
            )
            found.append(Finding(words))
    for host in settings.webhook_hosts:
        if not _HOST.fullmatch(host):
            words = (
                f"ORDNANCE_WEBHOOK_HOSTS holds {host}, which is no host: write them like hooks.example,10.0.0.7:8443."
            )
            found.append(Finding(words))
    if settings.webhook_hosts and settings.webhook_secret is None:
        found.append(Finding("ORDNANCE_WEBHOOK_HOSTS is set, ORDNANCE_WEBHOOK_SECRET is not: webhooks need both."))
    if "*" in settings.cors_origins:
        found.append(Finding("ORDNANCE_CORS_ORIGINS holds *: every web page may call this service.", is_wrong=False))
    if not settings.is_loopback:
        words = f"The service listens on {settings.host} without TLS: put a proxy with TLS before it."
        found.append(Finding(words, is_wrong=False))
    return found


def _guard(settings: Settings) -> list[Finding]:
    from importlib.resources import files

    from detector.video.guard import open_guarded

    with open_guarded(Path(str(files("datasets") / "demo" / "demo.mp4"))) as video:
        missing = sorted({"limits", "files", "network and programs"} - set(video.isolation))
    if missing:
        words = f"This system cannot keep a decoder from all it should ({', '.join(missing)}); run it in a container."
        return [Finding(words, is_wrong=False)]
    return []
