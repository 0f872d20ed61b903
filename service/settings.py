"""Every setting of the service, from the environment (`ORDNANCE_…`) or a `.env` file, with its default and reason."""

from __future__ import annotations

import ipaddress
import os
import re
from pathlib import Path
from typing import Annotated, Literal

from dotenv import dotenv_values
from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict, SettingsError

from detector.errors import BadOption

PREFIX = "ORDNANCE_"
ENV_FILE = ".env"
GIB = 1024**3
MIB = 1024**2
CENTURY_DAYS = 36500
_MASK = "**********"
_ELSEWHERE = (
    *("AGREEMENT_MODEL", "CHROMIUM", "DATA", "DEBUG", "KEY", "NEW_LOOKS", "PICTURES", "REQUIRE_CUDA", "SERVER"),
    *("TEST_KILLS", "TEST_SEED", "TEST_VENV"),
)
"""Variables of other commands and of the tests."""
_OPEN_BLOB_OPTIONS = ("anon", "endpoint_url", "region_name", "use_ssl", "verify")
"""Options of a blob file system that are shown; any other may be a secret, under whatever name its library has."""


def _words(value: object) -> object:
    """Lists are given as in shell: words with commas between."""
    if isinstance(value, str):
        return tuple(word.strip() for word in value.split(",") if word.strip())
    return value


def _place(path: Path) -> Path:
    try:
        return path.expanduser().absolute()
    except (RuntimeError, OSError) as error:
        raise ValueError(
            f"{path} cannot be found ({str(error).rstrip('.')}); give a path that begins with /"
        ) from error


Words = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_words)]


class Settings(BaseSettings):
    """The settings; see `describe` for the list that `ordnance serve --help` prints."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_file=ENV_FILE, extra="ignore", env_ignore_empty=True, allow_inf_nan=False
    )

    store: Annotated[Path, AfterValidator(_place)] = Field(
        default=Path("ordnance-store"), description="Folder with the database, the clips and uploads under way."
    )
    database_url: SecretStr | None = Field(
        default=None,
        description="SQLAlchemy URL, such as postgresql+psycopg://user:password@host/name; SQLite in the store by "
        "default.",
    )
    blob_url: str | None = Field(
        default=None, description="fsspec URL of a folder or bucket, such as s3://bucket/prefix; a folder in the store."
    )
    blob_options: dict[str, object] = Field(
        default_factory=dict, description="JSON of options for the blob file system, such as an S3 endpoint_url."
    )
    blob_stall_seconds: float = Field(
        default=15,
        gt=0,
        le=3600,
        description="Seconds without a byte from an S3 store after which a try has failed, of four in all.",
    )

    host: str = Field(default="127.0.0.1", description="Address to listen on.")
    port: int = Field(default=8008, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    allow_anonymous: bool = Field(
        default=True,
        description="Whether requests from this machine need no key while the host is a loopback address; set it to "
        "false behind a proxy on this machine.",
    )
    cors_origins: Words = Field(default=(), description="Origins whose pages may call the API; none by default.")
    docs: bool = Field(default=True, description="Whether /openapi.json is served.")

    model: str = Field(default="default", description="Model of `ordnance models` used where a scan names none.")
    device: str = Field(default="auto", description="auto, cpu or cuda:N.")
    threads: int | None = Field(default=None, ge=1, description="CPU threads of the model in each worker; all.")
    workers: int = Field(default=1, ge=0, le=256, description="Worker processes that `serve` starts.")
    scans_per_worker: int = Field(
        default=2, ge=1, le=64, description="Scans that one worker runs side by side; their samples share batches."
    )
    segment_samples: int = Field(
        default=64,
        ge=1,
        le=4096,
        description="Samples in a segment: what is repeated at most after a crash. A scan that goes on with another "
        "value begins anew.",
    )

    max_upload_bytes: int = Field(default=20 * GIB, ge=1, description="Largest clip, in bytes.")
    max_duration_seconds: float = Field(default=24 * 3600, gt=0, description="Longest clip, in seconds.")
    max_pixels: int = Field(default=8192 * 8192, ge=1, description="Largest picture, in pixels.")
    max_streams: int = Field(default=64, ge=1, description="Most streams in a container.")
    min_free_bytes: int = Field(
        default=512 * MIB,
        ge=0,
        description="Uploads are refused (507) where the disk would have less left, and cached copies of clips in a "
        "bucket give way.",
    )
    guard_memory_bytes: int = Field(
        default=4 * GIB,
        ge=256 * MIB,
        le=2**60,
        description="Address space of a decoder process; 8K video needs about 3 GiB.",
    )
    guard_cpu_seconds: int = Field(
        default=3600,
        ge=10,
        le=2**31,
        description="Processor seconds of one decoder process, after which another takes over.",
    )
    guard_stall_seconds: float = Field(
        default=60,
        gt=0,
        le=86400,
        description="Wall clock in which a decoder must deliver something, or the segment ends.",
    )

    upload_stall_seconds: float = Field(
        default=30,
        gt=0,
        le=86400,
        description="Seconds without a byte of a body, or with fewer than 500 bytes a second, after which its "
        "connection counts as broken, and in which a request's head must have come.",
    )
    upload_hours: float = Field(
        default=24, gt=0, le=24 * CENTURY_DAYS, description="Hours after which an unfinished upload is removed."
    )
    retention_days: float | None = Field(
        default=None,
        gt=0,
        le=CENTURY_DAYS,
        description="Days after which finished scans and their clips are removed, which a worker sees to every ten "
        "minutes; never.",
    )
    bytes_per_day: int = Field(
        default=200 * GIB,
        ge=1,
        description="Upload quota of a key that has none of its own; what any key of its owner uploads counts.",
    )
    concurrent_scans: int = Field(
        default=10_000,
        ge=1,
        description="Scans that the owner of a key without its own limit may have waiting or running.",
    )
    running_scans: int = Field(
        default=64, ge=1, description="Scans of one key's owner that may run at once; the others wait their turn."
    )
    requests_per_minute: int = Field(
        default=6000,
        ge=1,
        description="Requests of a key that has no rate of its own; stepping through frames makes 30 a second.",
    )
    session_hours: float = Field(
        default=12, gt=0, le=24 * 365, description="Hours after which a browser must sign in again."
    )

    webhook_hosts: Words = Field(default=(), description="Hosts that webhooks may be sent to; none by default.")
    webhook_secret: SecretStr | None = Field(
        default=None,
        description="Key of the webhooks' signature: their header Ordnance-Signature is t=SECONDS,v1=HEX, with the "
        "HMAC SHA-256 of SECONDS.BODY in hexadecimal.",
    )

    otel_endpoint: str | None = Field(
        default=None,
        pattern=r"^https?://[^/]+",
        description="OTLP/HTTP address of an OpenTelemetry collector, such as http://127.0.0.1:4318, that gets spans "
        "of requests and scans (extra otel); none by default.",
    )
    log_format: Literal["json", "text"] = Field(default="text", description="json or text, on stderr.")
    log_level: Literal["debug", "info", "warning", "error"] = Field(default="info", description="Least severe shown.")

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach the address that is listened on."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def sqlalchemy_url(self) -> str:
        if self.database_url is None:
            return f"sqlite:///{self.store / 'ordnance.sqlite'}"
        url = self.database_url.get_secret_value()
        for short in ("postgres://", "postgresql://"):
            if url.startswith(short):
                return "postgresql+psycopg://" + url.removeprefix(short)
        return url

    @property
    def uploads_folder(self) -> Path:
        return self.store / "uploads"

    @property
    def work_folder(self) -> Path:
        return self.store / "work"


def load_settings(**given: object) -> Settings:
    """The settings; what is `given` (and not None) wins over the environment. Raises BadOption, naming the variable."""
    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})  # type: ignore[arg-type]
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        name = str(first["loc"][0]) if first["loc"] else ""
        raise BadOption(
            f"{PREFIX}{name.upper()} cannot be used: {first['msg'].removeprefix('Value error, ')}."
        ) from error
    except SettingsError as error:
        named = re.search(r'field "(\w+)"', str(error))
        name = f"{PREFIX}{named[1].upper()}" if named else "A setting"
        raise BadOption(f'{name} cannot be used: it is not JSON, such as {{"anon": true}}.') from error
    except (OSError, UnicodeDecodeError) as error:
        raise BadOption(f"The settings in {Path(ENV_FILE).absolute()} cannot be read ({error}).") from error


def describe() -> list[tuple[str, str, str]]:
    """(variable, default, meaning) of every setting."""
    rows = []
    for name, field in Settings.model_fields.items():
        default = field.get_default(call_default_factory=True)
        shown = "" if default in (None, (), {}) else str(default)
        rows.append((f"{PREFIX}{name.upper()}", shown, field.description or ""))
    return rows


def shown_values(settings: Settings) -> list[tuple[str, str]]:
    """(variable, value) of every setting, with a mask for each secret."""
    return [(f"{PREFIX}{name.upper()}", str(_masked(name, getattr(settings, name)))) for name in Settings.model_fields]


def _masked(name: str, value: object) -> object:
    if name == "blob_options" and isinstance(value, dict):
        return _masked_options(value)
    return _masked_url(value) if isinstance(value, str) else value


def _masked_options(options: dict[str, object]) -> dict[str, object]:
    shown: dict[str, object] = {}
    for name, value in options.items():
        if isinstance(value, dict):
            shown[name] = _masked_options(value)
        elif name in _OPEN_BLOB_OPTIONS:
            shown[name] = _masked_url(value) if isinstance(value, str) else value
        else:
            shown[name] = _MASK
    return shown


def _masked_url(text: str) -> str:
    """Without the user name and password that an address may hold, and without its query."""
    return re.sub(r"\?.+", f"?{_MASK}", re.sub("//.*@", f"//{_MASK}@", text))


def unknown_variables() -> list[str]:
    """Variables of the environment and the .env file that look like settings and are none: most likely misspelt."""
    known = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields} | {f"{PREFIX}{name}" for name in _ELSEWHERE}
    given = {name.upper() for name in (*os.environ, *dotenv_values(ENV_FILE)) if name.upper().startswith(PREFIX)}
    return sorted(given - known)
