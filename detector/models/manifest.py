"""The weights manifest: what each weights file is, what it knows and how well.

`manifest.json` lies beside the ONNX files that it describes. A file is trusted only if its SHA-256 is the
manifest's.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError, field_validator, model_validator

from detector.errors import ModelError, WeightsMismatch, WeightsNotFound

WEIGHTS_FOLDER = Path(__file__).resolve().parents[2] / "weights"
"""The weights that ship; the package `weights` is installed beside `detector`."""

MANIFEST_NAME = "manifest.json"

SMALLEST_SIDE_PX = 96.0
"""Side, in input pixels, from which ordnance-n finds at least half of the boxes, for models that say nothing else.

Of the boxes of the val and test photographs whose sides (square root of the area) are 96 to 160 px in the 416 px
input, it finds 55 % at the shipped thresholds and IoU 0.5 (114 boxes); of those of 64 to 96 px 21 % (52 boxes).
"""

Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Share = Annotated[float, Field(ge=0, le=1)]
Head = Literal["one-to-one", "one-to-many"]
Precision = Literal["fp32", "fp16", "int8"]


class PlattScaling(BaseModel):
    """Calibrated confidence = sigmoid(a * logit(score) + b)."""

    model_config = ConfigDict(frozen=True)

    a: float
    b: float


class SecondView(BaseModel):
    """Pictures on which the first view has a score of `from_score` are seen again, mirrored, `longer_side` px long.

    They are seen by the same network, or by that of the other model in the manifest that `model` names.
    """

    model_config = ConfigDict(frozen=True)

    longer_side: Annotated[int, Field(ge=160)]
    from_score: Share
    model: str | None = None


class ManifestEntry(BaseModel):
    """One weights file.

    `input_size` is the side of the square input in pixels. `classes` are taxonomy ids in the order of the
    network's outputs. `thresholds` holds, for every class, the score from which a box is reported; boxes are kept
    down to `score_floor`. `calibration` may cover some of the classes. `architecture` is ultralytics' name of the
    network, into which the torch backend puts the ONNX file's weights. `head` is the one that is in the file:
    YOLO26 learns both, `one-to-one` gives each object one box, `one-to-many` several that NMS reduces to one.
    `smallest_side_px` is the side, in input pixels, from which at least half of the boxes are found.
    With a `second_view` scores are the mean of two (see `detector.models.second_view`), thresholds and calibration too.
    `precision` is that of the weights in the file; an fp16 or int8 file was `made_from` the fp32 model of that name.
    """

    model_config = ConfigDict(frozen=True)

    name: Annotated[str, Field(pattern="^[a-z0-9][a-z0-9._-]*$")]
    file: str
    sha256: Sha256
    bytes: Annotated[int, Field(gt=0)]
    input_size: Annotated[int, Field(ge=160, le=2048, multiple_of=32)]
    classes: Annotated[tuple[str, ...], Field(min_length=1)]
    thresholds: dict[str, Share]
    score_floor: Share = 0.05
    calibration: dict[str, PlattScaling] | None = None
    dataset_sha256: Sha256 | None = None
    metrics: dict[str, JsonValue] = {}
    trained_with: str = ""
    licence: str
    architecture: Annotated[str, Field(pattern="^[a-z0-9_-]+$")] = "yolo26n"
    head: Head = "one-to-one"
    second_view: SecondView | None = None
    precision: Precision = "fp32"
    made_from: str | None = None
    smallest_side_px: Annotated[float, Field(gt=0)] = SMALLEST_SIDE_PX

    @field_validator("name")
    @classmethod
    def _not_reserved(cls, name: str) -> str:
        if name == "default":
            raise ValueError("'default' is reserved for the manifest's default model")
        return name

    @field_validator("file")
    @classmethod
    def _bare_onnx_name(cls, file: str) -> str:
        if Path(file).name != file or not file.endswith(".onnx"):
            raise ValueError(f"'{file}' must be the bare name of an .onnx file")
        return file

    @model_validator(mode="after")
    def _classes_agree(self) -> Self:
        if len(set(self.classes)) != len(self.classes):
            raise ValueError("classes must not repeat")
        if set(self.thresholds) != set(self.classes):
            raise ValueError("thresholds must name exactly the classes")
        view = self.second_view
        if view is not None and view.model is None and view.longer_side > self.input_size:
            raise ValueError("the second view must not be larger than the first")
        if unknown := set(self.calibration or {}) - set(self.classes):
            raise ValueError(f"calibration names unknown classes: {', '.join(sorted(unknown))}")
        return self


class Manifest(BaseModel):
    """All weights of one folder; `default` names the model used when none is asked for."""

    model_config = ConfigDict(frozen=True)

    schema_version: Literal["1.0"] = "1.0"
    default: str
    models: tuple[ManifestEntry, ...]

    @model_validator(mode="after")
    def _names_agree(self) -> Self:
        names = [entry.name for entry in self.models]
        if len(set(names)) != len(names):
            raise ValueError("model names must not repeat")
        if strays := [
            entry.name for entry in self.models if entry.made_from is not None and entry.made_from not in names
        ]:
            raise ValueError(f"'{strays[0]}' is made from a model that is not listed")
        if self.default not in names:
            raise ValueError(f"the default model '{self.default}' is not listed")
        for entry in self.models:
            self._check_second_view(entry)
        return self

    def _check_second_view(self, entry: ManifestEntry) -> None:
        view = entry.second_view
        if view is None or view.model is None:
            return
        second = next((each for each in self.models if each.name == view.model), None)
        if second is None or second is entry:
            raise ValueError(f"'{view.model}', the second view of '{entry.name}', is not another model that is listed")
        if second.classes != entry.classes:
            raise ValueError(f"'{second.name}', the second view of '{entry.name}', does not know the same classes")
        if view.longer_side > second.input_size:
            raise ValueError(f"the second view of '{entry.name}' is larger than the input of '{second.name}'")

    def entry(self, name: str) -> ManifestEntry | None:
        """The model called `name`, where "default" is the default one; None if there is no such model."""
        asked = self.default if name == "default" else name
        return next((entry for entry in self.models if entry.name == asked), None)


def read_manifest(path: Path) -> Manifest:
    """The manifest in the file `path`. Raises WeightsNotFound without one, ModelError if it is not valid."""
    try:
        return Manifest.model_validate_json(path.read_bytes())
    except OSError as error:
        raise WeightsNotFound(
            f"There is no readable weights manifest at {path} ({error.strerror}); "
            "make one with `ordnance export`, or install the weights again."
        ) from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise ModelError(
            f"The weights manifest {path} is not valid at {where}: {first['msg'].removeprefix('Value error, ')}; "
            "write it with `ordnance export`, or install the weights again."
        ) from error


def write_manifest(manifest: Manifest, path: Path) -> None:
    """Write `manifest` to `path`, all or nothing. What read_manifest would refuse raises pydantic's error."""
    checked = Manifest.model_validate(manifest.model_dump())
    text = json.dumps(checked.model_dump(mode="json"), indent=2, ensure_ascii=False) + "\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".manifest-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def find_weights(name_or_path: str | Path, weights_dir: Path | None = None) -> tuple[ManifestEntry, Path]:
    """The manifest entry and the file of a model; the file's hash is not looked at yet (see read_weights).

    `name_or_path` is a name in the manifest of `weights_dir` ("default" for its default model; the installed
    weights if None), or the path of an .onnx file that lies beside a manifest.json that describes it.
    Raises WeightsNotFound, which names the known models.
    """
    asked = str(name_or_path)
    if asked.endswith(".onnx") or Path(asked).name != asked:
        return _described_file(Path(asked))
    folder = weights_dir or WEIGHTS_FOLDER
    manifest = read_manifest(folder / MANIFEST_NAME)
    entry = manifest.entry(asked)
    if entry is None:
        raise WeightsNotFound(
            f"There is no model '{asked}'; use one of: {_names(manifest)}, or the path of an .onnx file "
            "beside its manifest.json."
        )
    path = folder / entry.file
    if not path.is_file():
        raise WeightsNotFound(
            f"The weights file {path} of the model '{entry.name}' is missing; "
            f"install the weights again, or use another model ({_names(manifest)})."
        )
    return entry, path


def find_second_view(entry: ManifestEntry, path: Path) -> tuple[ManifestEntry, Path] | None:
    """The other model that gives the second view of the one whose file is `path`; None where no other is named.

    Raises WeightsNotFound where its file is missing.
    """
    view = entry.second_view
    if view is None or view.model is None:
        return None
    return find_weights(view.model, path.parent)


def read_weights(entry: ManifestEntry, path: Path) -> bytes:
    """The bytes of the weights file `path`. Raises WeightsMismatch if they are not those of `entry`."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise WeightsNotFound(
            f"The weights file {path} cannot be read ({error.strerror}); check its path and permissions."
        ) from error
    actual = hashlib.sha256(content).hexdigest()
    if actual != entry.sha256:
        raise WeightsMismatch(
            f"The weights file {path} has the SHA-256 {actual}, but its manifest says {entry.sha256}; install the "
            "weights again, or describe the new file with `ordnance export`."
        )
    return content


def _described_file(path: Path) -> tuple[ManifestEntry, Path]:
    if not path.is_file():
        raise WeightsNotFound(
            f"There is no weights file {path}; give the path of an .onnx file or a model's name{_known_names()}."
        )
    beside = path.parent / MANIFEST_NAME
    manifest = read_manifest(beside) if beside.is_file() else None
    entry = next((e for e in manifest.models if e.file == path.name), None) if manifest else None
    if entry is None:
        raise WeightsNotFound(
            f"{beside} does not describe {path.name}; make both with `ordnance export`, "
            f"or use a model by its name{_known_names()}."
        )
    return entry, path


def _known_names() -> str:
    try:
        return f" ({_names(read_manifest(WEIGHTS_FOLDER / MANIFEST_NAME))})"
    except ModelError:
        return ""


def _names(manifest: Manifest) -> str:
    return ", ".join(entry.name for entry in manifest.models)
