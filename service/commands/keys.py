"""`ordnance keys`: who may use the service."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from service.store.database import Database

keys_app = typer.Typer(no_args_is_help=True, help="Make, show, replace and revoke API keys.")
Store = Annotated[Path | None, typer.Option(help="The service's folder (ORDNANCE_STORE).")]
KeyId = Annotated[str, typer.Argument(help="The id of `keys list`, or the whole key.")]


@keys_app.command("create")
def create(
    owner: Annotated[str, typer.Argument(help="Whose key it is; keys of one owner see the same scans.")],
    scopes: Annotated[str, typer.Option(help="Of read, write, review, admin; commas between.")] = "read,write,review",
    note: Annotated[str, typer.Option(help="What it is for.")] = "",
    expires_in_days: Annotated[float | None, typer.Option(help="Never by default.")] = None,
    priority: Annotated[int, typer.Option(min=1, max=9, help="1 goes first, 9 last.")] = 5,
    bytes_per_day: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=2**60,
            help="Upload quota; what all keys of the owner upload counts.",
        ),
    ] = None,
    concurrent_scans: Annotated[
        int | None, typer.Option(min=1, max=10**9, help="Scans of the owner that may wait or run.")
    ] = None,
    requests_per_minute: Annotated[int | None, typer.Option(min=1, max=10**9, help="Rate of requests.")] = None,
    store: Store = None,
) -> None:
    """Make a key. It is printed once and cannot be shown again."""
    from service.access.keys import create_key

    typer.echo(
        create_key(
            _database(store),
            owner,
            [word.strip() for word in scopes.split(",") if word.strip()],
            note=note,
            expires_in_days=expires_in_days,
            priority=priority,
            bytes_per_day=bytes_per_day,
            concurrent_scans=concurrent_scans,
            requests_per_minute=requests_per_minute,
        )
    )


@keys_app.command("list")
def list_them(store: Store = None) -> None:
    """Show all keys, without their secrets."""
    from service.access.keys import list_keys

    for row in list_keys(_database(store)):
        state = f"revoked {_day(row.revoked_at)}" if row.revoked_at else f"expires {_day(row.expires_at)}"
        typer.echo(f"{row.id}  {row.owner:<20} {','.join(row.scopes):<24} {state:<20} {row.note}".rstrip())


@keys_app.command("rotate")
def rotate(
    key_id: KeyId,
    overlap_hours: Annotated[float, typer.Option(min=0, help="How long the old key still works.")] = 24.0,
    store: Store = None,
) -> None:
    """Print a new key with the same rights; the old one ends after a while."""
    from service.access.keys import id_of, rotate_key

    typer.echo(rotate_key(_database(store), id_of(key_id), overlap_hours=overlap_hours))


@keys_app.command("revoke")
def revoke(key_id: KeyId, store: Store = None) -> None:
    """Refuse a key from now on."""
    from service.access.keys import id_of, revoke_key

    revoke_key(_database(store), id_of(key_id))
    typer.echo(f"{id_of(key_id)} is revoked.")


def _database(store: Path | None) -> Database:
    from service.settings import load_settings
    from service.store.database import migrate, open_database

    settings = load_settings(store=store)
    migrate(settings)
    database = open_database(settings, pool_size=1)
    # A key that is made in another place than where the service looks is refused by it, and nobody sees why.
    typer.echo(f"keys in {database.shown}", err=True)
    return database


def _day(at: float | None) -> str:
    return "never" if at is None else datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M")
