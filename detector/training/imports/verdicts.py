"""What reviewers said in the service, as pictures with boxes: by verdicts.json and the clips, or by the YOLO export.

`left_out` counts, by reason, what the verdicts do not allow to be used.
"""

from __future__ import annotations

import json
import re
import zipfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from detector.errors import DataError, VideoError
from detector.report.review import VerdictsDocument
from detector.training.imports.annotations import AnnotatedPicture, SourceBox, read_text
from detector.training.imports.class_map import ClassMap
from detector.training.imports.yolo import read_yolo
from detector.training.verdicts import (
    SAME_FRAME_SECONDS,
    TrainingFrame,
    class_names,
    encode_picture,
    picture_name,
    training_frames,
)
from detector.video.guard import open_guarded
from detector.video.hashing import sha256_file

_MEMBER = re.compile(r"(images/[A-Za-z0-9_-]+\.jpg|labels/[A-Za-z0-9_-]+\.txt|data\.yaml|left_out\.json)")
MOST_MEMBER_BYTES = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class JudgedPictures:
    """Pictures in the folder that the caller named, and what could not be used."""

    pictures: tuple[AnnotatedPicture, ...]
    left_out: dict[str, int]


def own_classes(source: Path) -> ClassMap:
    """The class map of verdicts: each class is itself."""
    return ClassMap(source, {name: name for name in class_names()})


def read_verdicts(sources: Sequence[Path], clips: Sequence[Path], folder: Path, most: int) -> JudgedPictures:
    """The pictures of each verdicts.json or verdicts.yolo.zip (or its unpacked folder), written below `folder`.

    Of a verdicts.json the frames are taken out of that one of `clips` whose SHA-256 it names, at most `most` for an
    appearance. Raises DataError where a source is none, its clip is missing, a frame cannot be decoded again, or two
    sources judge the same frame.
    """
    pictures: list[AnnotatedPicture] = []
    left_out: Counter[str] = Counter()
    known: dict[str, Path] = {}
    judged_in: dict[str, Path] = {}
    for number, source in enumerate(sources):
        target = folder / str(number)
        if source.is_dir() or source.suffix.lower() == ".zip":
            found, reasons = _exported(source, target)
        else:
            text = read_text(source)
            try:
                document = VerdictsDocument.from_json(text)
            except DataError as error:
                raise DataError(f"{source} cannot be used: {error}") from error
            known = known or {sha256_file(clip): clip for clip in clips}
            clip = known.get(document.clip.sha256)
            if clip is None:
                raise DataError(
                    f"{source} is about a clip '{document.clip.name}' with the SHA-256 {document.clip.sha256}, which "
                    "is none of those given; name it with --clip, or use the YOLO export, which has the pictures."
                )
            chosen = training_frames(document, most)
            found, reasons = _from_clip(document, chosen.frames, clip, target), chosen.left_out
        for picture in found:
            if (other := judged_in.setdefault(picture.path.name, source)) is not source:
                raise DataError(
                    f"{other} and {source} judge the same frames of one clip ({picture.path.name}), perhaps in "
                    "different ways; give one of them."
                )
        pictures += found
        left_out.update(reasons)
    return JudgedPictures(tuple(pictures), dict(sorted(left_out.items())))


def _from_clip(
    document: VerdictsDocument, frames: Sequence[TrainingFrame], clip: Path, target: Path
) -> list[AnnotatedPicture]:
    target.mkdir(parents=True)
    width, height = document.clip.width, document.clip.height
    waiting = {frame.pts_seconds: frame for frame in frames}
    pictures = []
    try:
        with open_guarded(clip) as video:
            for time, picture in video.frames_at(list(waiting)) if waiting else ():
                frame = waiting.get(time)
                if frame is None or abs(picture.pts_seconds - time) > SAME_FRAME_SECONDS:
                    continue
                del waiting[time]
                path = target / picture_name(document, frame)
                path.write_bytes(encode_picture(picture.image))
                boxes = (
                    SourceBox(
                        each.class_name,
                        each.box[0] / width,
                        each.box[1] / height,
                        each.box[2] / width,
                        each.box[3] / height,
                        f"{clip}, appearance {each.appearance} at {time:.3f} s",
                    )
                    for each in frame.boxes
                )
                pictures.append(AnnotatedPicture(path, tuple(boxes), (width, height)))
    except VideoError as error:
        raise DataError(f"The frames of the verdicts cannot be taken out of the clip: {error}") from error
    if waiting:
        raise DataError(
            f"{clip}: {len(waiting)} frames of the verdicts cannot be decoded, the first at {min(waiting):.3f} s; "
            "use the YOLO export, which leaves them out."
        )
    return pictures


def _exported(source: Path, target: Path) -> tuple[list[AnnotatedPicture], dict[str, int]]:
    folder = source
    if not source.is_dir():
        _unpack(source, target)
        folder = target
    listing = folder / "left_out.json"
    if not listing.is_file():
        raise DataError(f"{source} is no YOLO export of verdicts: it holds no left_out.json.")
    try:
        reasons = json.loads(listing.read_text(encoding="utf-8"))
        counts = {str(reason): int(number) for reason, number in reasons.items()}
    except (ValueError, AttributeError, TypeError) as error:
        raise DataError(f"{listing} is not what Ordnance exported: {error}.") from error
    if not any(folder.glob("images/*.jpg")):
        return [], counts
    return read_yolo(folder), counts


def _unpack(source: Path, target: Path) -> None:
    target.mkdir(parents=True)
    try:
        with zipfile.ZipFile(source) as archive:
            for member in archive.infolist():
                if not _MEMBER.fullmatch(member.filename):
                    continue
                if member.file_size > MOST_MEMBER_BYTES:
                    raise DataError(f"{source}: {member.filename} is larger than any picture that Ordnance exports.")
                path = target / member.filename
                path.parent.mkdir(exist_ok=True)
                path.write_bytes(archive.read(member))
    except (OSError, zipfile.BadZipFile, RuntimeError, NotImplementedError) as error:
        raise DataError(f"{source} cannot be unpacked: {error}; export it again.") from error
