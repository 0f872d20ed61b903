"""/v1/preferences: how whoever asks wants the page to be. The defaults spare the person who looks."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from service.api.context import Ctx, Known
from service.api.problem import responses
from service.store.preferences import read_preferences, save_preferences

router = APIRouter(prefix="/v1/preferences", tags=["review"])


# In JSON 24.0 is an integer.
_Integer = Annotated[int, BeforeValidator(lambda it: int(it) if isinstance(it, float) and it.is_integer() else it)]


class Preferences(BaseModel):
    """Settings of the review page."""

    model_config = ConfigDict(
        extra="forbid", strict=True, json_schema_extra={"examples": [{"blur": 32, "grey": False}]}
    )

    blur: _Integer = Field(
        default=24, ge=0, le=64, description="How strongly the player is blurred, in pixels; 0 is not."
    )
    grey: bool = Field(default=True, description="Whether pictures lose their colours.")
    sound: bool = Field(default=False, description="Whether the player has sound.")
    thumbnail_px: _Integer = Field(default=200, ge=60, le=480, description="Longest side of a thumbnail, in pixels.")
    warn: bool = Field(default=True, description="Whether to ask before a frame is revealed.")
    break_minutes: _Integer = Field(
        default=25, ge=0, le=480, description="Minutes until a break is proposed; 0 is never."
    )
    language: str = Field(
        default="en", pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8})?$", description="Language tag of the labels (BCP 47)."
    )
    threshold: float | None = Field(
        default=None, ge=0, le=1, description="Confidence from which finds are shown; null for each scan's own."
    )


@router.get("", responses=responses(), summary="Your settings of the review page")
def preferences(ctx: Ctx, who: Known) -> Preferences:
    with ctx.database.read() as session:
        return _whole(read_preferences(session, who.reviewer_id))


@router.put("", responses=responses("bad_request"), summary="Change your settings of the review page")
def change(ctx: Ctx, who: Known, asked: Preferences) -> Preferences:
    """What is left out stays as it is."""
    changed = asked.model_dump(exclude_unset=True)
    with ctx.database.write() as session:
        return _whole(save_preferences(session, who.reviewer_id, changed))


def _whole(document: dict[str, Any]) -> Preferences:
    """With the defaults of what is not set, or is no longer known."""
    return Preferences(**{name: value for name, value in document.items() if name in Preferences.model_fields})
