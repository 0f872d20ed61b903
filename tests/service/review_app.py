"""The app in this process on an empty database, and scans put into it without a worker."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path

import httpx
import numpy as np

from detector.report import AppearanceInfo
from detector.report.schema import BestInfo, DetectionInfo
from detector.report.thumbnails import encode_crop, encode_thumbnail
from service.access.keys import create_key
from service.api.app import create_app
from service.settings import load_settings
from service.store.clips import keep_clip, keep_pictures
from service.store.database import Database, migrate, now
from service.store.results import save_appearances
from service.store.tables import PictureRow, ScanRow

SIZE = (640, 360)


class ReviewApp:
    """`client()` for programs and browsers on this machine; `settings` as of the environment, without the prefix."""

    def __init__(self, folder: Path, **settings: object) -> None:
        self.settings = load_settings(store=folder / "store", requests_per_minute=10**6, **settings)
        migrate(self.settings)
        self.app = create_app(self.settings)
        self.context = self.app.state.context
        self.database: Database = self.context.database

    def client(self, key: str | None = None, *, base_url: str = "http://127.0.0.1:8008") -> httpx.Client:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        return httpx.Client(base_url=base_url, headers=headers, transport=InProcess(self.app))

    def close(self) -> None:
        self.context.viewer.close()
        self.context.jobs.close()
        self.database.close()

    def key(self, owner: str, scopes=("read", "write", "review"), note: str = "") -> str:
        return create_key(self.database, owner, scopes, note=note)

    def add_scan(
        self,
        owner="local",
        name="clip.mp4",
        found=(("tank", 0.9, 1.0),),
        clip=b"clip",
        state="done",
        at=None,
        pictures=(),
    ) -> str:
        """A scan of `clip` (bytes) that found (class, confidence, time) each; `pictures` are those that have some."""
        sha256 = hashlib.sha256(clip).hexdigest()
        source = self.settings.uploads_folder / f"{sha256}.made"
        source.write_bytes(clip)
        keep_clip(self.database, self.context.blobs, owner, sha256, len(clip), source)
        scan_id = hashlib.sha256(f"{owner}{name}{now()}".encode()).hexdigest()[:32]
        with self.database.write() as session:
            session.add(
                ScanRow(
                    id=scan_id,
                    owner=owner,
                    key_id="",
                    clip_sha256=sha256,
                    name=name,
                    bytes=len(clip),
                    state=state,
                    options={
                        "model": "ordnance-n",
                        "plan": "interval",
                        "every_s": 0.5,
                        "classes": None,
                        "threshold": None,
                    },
                    fingerprint="",
                    created_at=now() if at is None else at,
                    clip={"width": SIZE[0], "height": SIZE[1], "container": "mov,mp4,m4a,3gp,3g2,mj2", "codec": "h264"},
                    duration_s=60.0,
                )
            )
            session.flush()
            save_appearances(session, scan_id, [appearance(n, *each) for n, each in enumerate(found, 1)])
        picture = np.random.default_rng(1).integers(0, 255, (SIZE[1], SIZE[0], 3), np.uint8)
        for number in pictures:
            box = appearance(number, *found[number - 1]).best.box
            for kind, content in (
                ("thumbnail", encode_thumbnail(picture, box, "#ff0000")),
                ("crop", encode_crop(picture, box)),
            ):
                [blob] = keep_pictures(self.database, self.context.blobs, [content])
                with self.database.write() as session:
                    session.add(PictureRow(scan_id=scan_id, number=number, kind=kind, sha256=blob))
        return scan_id

    def audit(self, scan_id: str | None = None) -> list[str]:
        from sqlalchemy import select

        from service.store.tables import AuditRow

        with self.database.read() as session:
            return list(
                session.scalars(select(AuditRow.action).where(AuditRow.scan_id == scan_id).order_by(AuditRow.id))
            )


class InProcess(httpx.BaseTransport):
    """Calls the app as a client on this machine would."""

    def __init__(self, app) -> None:
        self._transport = httpx.ASGITransport(app, client=("127.0.0.1", 50000), raise_app_exceptions=False)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        async def ask() -> httpx.Response:
            answer = await self._transport.handle_async_request(request)
            raw = b"".join([chunk async for chunk in answer.aiter_raw()])
            return httpx.Response(answer.status_code, headers=answer.headers, stream=httpx.ByteStream(raw))

        return asyncio.run(ask())


def appearance(number: int, class_name: str, confidence: float, at: float, seconds: float = 2.0) -> AppearanceInfo:
    """In view from `at` for `seconds`, a detection each half second, its box moving right."""
    width, height = SIZE
    detections = []
    for step in range(int(seconds * 2) + 1):
        left = 100.0 + 10 * step
        box = (left, 120.0, left + 200, 240.0)
        norm = tuple(edge / side for edge, side in zip(box, (width, height, width, height), strict=True))
        detections.append(DetectionInfo(pts_s=at + step / 2, box=box, box_norm=norm, score=confidence))
    best = detections[1]
    return AppearanceInfo(
        id=f"a{number:04d}",
        class_name=class_name,
        confidence=confidence,
        first_seen_s=at,
        last_seen_s=at + seconds,
        peak_s=best.pts_s,
        best=BestInfo(**best.model_dump(exclude={"pts"})),
        detections=tuple(detections),
    )
