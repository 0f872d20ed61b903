"""Verdicts that leave the service: as a document, and as pictures and boxes that a model learns from."""

from __future__ import annotations

import json
import secrets
import shutil
import zipfile
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Query, Response
from fastapi.responses import FileResponse
from starlette.background import BackgroundTask

from detector.report.review import VerdictsDocument
from detector.training.verdicts import (
    FRAMES_PER_APPEARANCE,
    SAME_FRAME_SECONDS,
    Chosen,
    class_map_yaml,
    coco_document,
    encode_picture,
    picture_name,
    training_frames,
    yolo_data_yaml,
    yolo_label,
)
from service.access import audit
from service.access.keys import Principal
from service.api.context import Context, Ctx, Reader, Remote
from service.api.pictures import BINARY
from service.api.problem import responses
from service.api.scans import ScanId
from service.problems import Conflict
from service.review import verdicts_document
from service.store.scans import find_scan
from service.store.tables import OPEN_STATES, ScanRow

router = APIRouter(prefix="/v1/scans/{scan_id}", tags=["review"])

Frames = Annotated[
    int, Query(ge=1, le=50, description="At most so many frames of an appearance: its best, and others spread over it.")
]
_ERRORS = responses("not_found", "conflict", "frame_not_decodable")


@router.get(
    "/verdicts.json",
    response_model=VerdictsDocument,
    responses=_ERRORS,
    summary="All verdicts with their history, for `ordnance dataset import-verdicts`",
)
def verdicts_json(ctx: Ctx, who: Reader, remote: Remote, scan_id: ScanId) -> Response:
    """No pictures: with the clip, the command takes the frames out of it."""
    scan, document = _document(ctx, who, remote, scan_id)
    return _file(document.to_json(), scan, "verdicts.json")


@router.get(
    "/verdicts.coco.json",
    response_class=Response,
    responses={200: {"content": {"application/json": {"schema": {"type": "object"}}}}, **_ERRORS},
    summary="Boxes that the verdicts allow to be learned from, as COCO",
)
def verdicts_coco(
    ctx: Ctx, who: Reader, remote: Remote, scan_id: ScanId, frames: Frames = FRAMES_PER_APPEARANCE
) -> Response:
    """Its pictures are those of verdicts.yolo.zip, under the same names. A frame is taken only where everything that
    the scan found on it was judged; what is wrong has no box, so that its picture is a hard negative."""
    scan, document = _document(ctx, who, remote, scan_id)
    chosen = training_frames(document, frames)
    content = coco_document(document, chosen.frames)
    content["left_out"] = chosen.left_out
    return _file(json.dumps(content, ensure_ascii=False), scan, "verdicts.coco.json")


@router.get(
    "/verdicts.yolo.zip",
    response_class=Response,
    responses={200: {"content": {"application/zip": BINARY}}, **_ERRORS},
    summary="The same with its pictures, as YOLO",
)
def verdicts_yolo(
    ctx: Ctx, who: Reader, remote: Remote, scan_id: ScanId, frames: Frames = FRAMES_PER_APPEARANCE
) -> Response:
    """images/, labels/, data.yaml, the class map for `ordnance dataset import`, verdicts.json, and left_out.json, which
    counts what could not be used. The pictures are whole, sharp frames, taken out of the clip by their times."""
    scan, document = _document(ctx, who, remote, scan_id)
    folder = ctx.settings.work_folder / f"export-{secrets.token_hex(8)}"
    folder.mkdir()
    path = folder / "verdicts.yolo.zip"
    try:
        _write_yolo(ctx, scan, document, training_frames(document, frames), path)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return FileResponse(
        path,
        media_type="application/zip",
        filename=_name(scan, "verdicts.yolo.zip"),
        headers={"Cache-Control": "no-store"},
        background=BackgroundTask(shutil.rmtree, folder, ignore_errors=True),
    )


def _document(ctx: Context, who: Principal, remote: str, scan_id: str) -> tuple[ScanRow, VerdictsDocument]:
    with ctx.database.read() as session:
        scan = find_scan(session, who.owner, scan_id)
    if scan.state in OPEN_STATES:
        raise Conflict(
            "This scan has not ended, and its appearances may still change; export its verdicts once it has."
        )
    known = scan.clip or {}
    width, height = known.get("width"), known.get("height")
    if not width or not height:
        facts = ctx.viewer.facts(scan)
        width, height = facts.width, facts.height
    with ctx.database.write() as session:
        find_scan(session, who.owner, scan_id)
        audit.note(session, who, "export", remote=remote, scan_id=scan_id, clip_sha256=scan.clip_sha256)
        return scan, verdicts_document(session, scan, width, height)


def _write_yolo(ctx: Context, scan: ScanRow, document: VerdictsDocument, chosen: Chosen, path: Path) -> None:
    left_out = dict(chosen.left_out)
    waiting = {frame.pts_seconds: frame for frame in chosen.frames}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("data.yaml", yolo_data_yaml())
        archive.writestr("classes.yaml", class_map_yaml())
        archive.writestr("verdicts.json", document.to_json())
        for time, picture in ctx.viewer.frames_at(scan, list(waiting)) if waiting else ():
            frame = waiting.get(time)
            if frame is None or abs(picture.pts_seconds - time) > SAME_FRAME_SECONDS:
                continue
            del waiting[time]
            name = picture_name(document, frame)
            archive.writestr(f"images/{name}", encode_picture(picture.image))
            archive.writestr(f"labels/{Path(name).stem}.txt", yolo_label(document, frame))
        if waiting:
            left_out["frames that could not be decoded again"] = len(waiting)
        archive.writestr("left_out.json", json.dumps(left_out))


def _file(content: str, scan: ScanRow, kind: str) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="{_name(scan, kind)}"', "Cache-Control": "no-store"}
    return Response(content, media_type="application/json", headers=headers)


def _name(scan: ScanRow, kind: str) -> str:
    return f"{scan.clip_sha256[:12]}.{kind}"
