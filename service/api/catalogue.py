"""/v1/models and /v1/taxonomy: what can be asked for."""

from __future__ import annotations

from fastapi import APIRouter

from detector.models import WEIGHTS_FOLDER, read_manifest
from detector.taxonomy import TAXONOMY
from service.api.context import Reader
from service.api.problem import responses
from service.api.shapes import ModelOut, WeaponClassOut

router = APIRouter(prefix="/v1", tags=["catalogue"])


@router.get("/models", responses=responses(), summary="The models")
def models(_: Reader) -> list[ModelOut]:
    manifest = read_manifest(WEIGHTS_FOLDER / "manifest.json")
    return [
        ModelOut(
            name=entry.name,
            is_default=entry.name == manifest.default,
            sha256=entry.sha256,
            input_size=entry.input_size,
            precision=entry.precision,
            made_from=entry.made_from,
            second_view=entry.second_view.model if entry.second_view else None,
            classes=list(entry.classes),
            thresholds=dict(entry.thresholds),
        )
        for entry in manifest.models
    ]


@router.get("/taxonomy", responses=responses(), summary="The weapon classes")
def taxonomy(_: Reader) -> list[WeaponClassOut]:
    return [
        WeaponClassOut(
            id=each.id,
            name=each.name,
            group=each.group,
            synonyms=list(each.synonyms),
            told_apart_by=each.told_apart_by,
            colour=each.colour,
        )
        for each in TAXONOMY
    ]
