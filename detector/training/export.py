"""Turns trained weights into what ships: an ONNX file and its entry in the manifest."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from pydantic import JsonValue, ValidationError

from detector.errors import DataError
from detector.models import (
    WEIGHTS_FOLDER,
    Head,
    Manifest,
    ManifestEntry,
    Model,
    load_model,
    read_manifest,
    write_manifest,
)
from detector.models.backend import CPU_BACKENDS, BackendName
from detector.models.manifest import MANIFEST_NAME, find_second_view, read_weights
from detector.training.allowed_alarms import FALSE_ALARMS_PER_100
from detector.training.built_set import read_dataset
from detector.training.calibrate import calibrate, reliability
from detector.training.config import TrainingConfig
from detector.training.damage import recompressed
from detector.training.load_ultralytics import load_ultralytics
from detector.training.matching import Matches, match
from detector.training.onnx_file import LICENCE, UNCHOSEN_THRESHOLD, check_is_there, described, export_onnx
from detector.training.optimise import CALIBRATION_PICTURES, MOST_AP50_LOST, Precision, optimise
from detector.training.predictions import photographs, predict
from detector.training.smallest_side import smallest_side
from detector.training.thresholds import LOWEST, choose_thresholds
from detector.training.whole_file import check_writable

SCORE_FLOOR = 0.05


def export_model(
    weights: Path,
    config: TrainingConfig,
    dataset: Path,
    data: Path,
    out: Path | None = None,
    *,
    head: Head,
    as_default: bool = True,
) -> ManifestEntry:
    """Export `weights` with `head` as a model of the manifest in `out`, the default one, calibrated on the val split.

    The metrics of an earlier entry of that name are dropped, and so are the FP16 and INT8 files made from it: they are
    those of other weights. So are the metrics of models whose second view it gives. Without `as_default` the manifest
    keeps the default that it has, if it has one. What fails leaves `out` as it was. Raises DataError where the settings
    name other classes than the weights know, or another model for the second view that the manifest does not list,
    without a built set or val photographs, and where `out` cannot be written.
    """
    folder = out or WEIGHTS_FOLDER
    view = config.second_view
    second = () if view is None or view.model is None else (_listed_for_second_view(view.model, folder),)
    dataset_sha256 = read_dataset(dataset)[1]
    photographs(data, "val", config.classes)
    check_is_there(weights)
    if folder.exists():
        check_writable(folder / MANIFEST_NAME)
    with _copies(folder, second) as scratch:
        _check_classes(weights, config, scratch)
        target = scratch / f"{config.name}.onnx"
        digest = export_onnx(weights, target, input_size=config.input_size, head=head)
        entry = ManifestEntry(
            name=config.name,
            file=target.name,
            sha256=digest,
            bytes=target.stat().st_size,
            input_size=config.input_size,
            classes=config.classes,
            thresholds=dict.fromkeys(config.classes, UNCHOSEN_THRESHOLD),
            score_floor=SCORE_FLOOR,
            calibration=None,
            dataset_sha256=dataset_sha256,
            metrics={},
            trained_with=f"ultralytics {load_ultralytics(scratch / 'settings').__version__}",
            licence=LICENCE,
            head=head,
            second_view=view,
        )
        write_manifest(_listing(entry, scratch), scratch / MANIFEST_NAME)
        done = calibrate_model(entry.name, data, scratch)
        listing = _listing(done, folder, default=done.name if as_default else None)
        stale = [each for each in listing.models if each.made_from == done.name]
        kept = tuple(
            each.model_copy(update={"metrics": {}}) if _is_seen_again_by(done, each) else each
            for each in listing.models
            if each not in stale
        )
        default = done.name if listing.default in [each.name for each in stale] else listing.default
        _install(target, listing.model_copy(update={"default": default, "models": kept}), folder)
    for each in stale:
        (folder / each.file).unlink(missing_ok=True)
    return done


def seen_again_by(entry: ManifestEntry, out: Path | None = None) -> list[str]:
    """The models in the manifest of `out` whose second view `entry` gives, without the files made from them."""
    models = read_manifest((out or WEIGHTS_FOLDER) / MANIFEST_NAME).models
    return [each.name for each in models if _is_seen_again_by(entry, each) and each.made_from is None]


def calibrate_model(
    name: str, data: Path, out: Path | None = None, *, false_alarms_per_100: float = FALSE_ALARMS_PER_100
) -> ManifestEntry:
    """Choose thresholds and fit calibration of a listed model on the photographs of the val split, and list them.

    The findings that decide the thresholds are those on the photographs and on copies recompressed as video is, both
    also mirrored: few pictures are weapon-free, and what a model says of one by chance it need not say of its mirror
    image. The files that were made from the model get the same ones. Its metrics are dropped, since they hold at the
    old thresholds; those on the val split are written under "val". Raises DataError for an unknown model.
    """
    folder = out or WEIGHTS_FOLDER
    entry = _entry(name, folder)
    check_writable(folder / MANIFEST_NAME)
    model, files = _model(entry, folder), photographs(data, "val", entry.classes)
    matches = match(predict(model, files, "val"))
    copies = [
        predict(model, files, "val, recompressed", damage=recompressed),
        predict(model, files, "val, mirrored", mirrored=True),
        predict(model, files, "val, mirrored, then recompressed", damage=recompressed, mirrored=True),
    ]
    chosen = choose_thresholds(matches, copies, false_alarms_per_100=false_alarms_per_100)
    fitted = calibrate(matches, floor=LOWEST)
    side = smallest_side(matches, chosen.values)
    reported = reliability(matches, fitted.scalings, chosen.values, entry.classes)
    val: dict[str, JsonValue] = {
        **_val_ap50(matches),
        "weapon_free": chosen.weapon_free,
        "false_alarms": chosen.alarms,
        "false_alarms_allowed": chosen.allowed,
        "false_alarms_per_100_unseen": round(chosen.per_100_unseen, 2),
        "calibrated_together": list(fitted.pooled),
        "ece_reported": None if reported.ece is None else round(reported.ece, 4),
    }
    update: dict[str, object] = {"thresholds": chosen.values, "calibration": fitted.scalings}
    if side is not None:
        update["smallest_side_px"] = side
    done = entry.model_copy(update={**update, "metrics": {"val": val}})
    listing = _listing(done, folder)
    models = tuple(each.model_copy(update=update) if each.made_from == entry.name else each for each in listing.models)
    try:
        write_manifest(listing.model_copy(update={"models": models}), folder / MANIFEST_NAME)
    except OSError as error:
        raise DataError(f"{folder / MANIFEST_NAME} cannot be written: {error.strerror}.") from error
    return done


def add_precision(name: str, precision: Precision, data: Path, out: Path | None = None) -> tuple[ManifestEntry, bool]:
    """Make the FP16 or INT8 form of a listed model, measure it on the val split and list it.

    Returns its entry and whether it was kept: an INT8 file that loses MOST_AP50_LOST or more of mean AP50 is not, and
    what `out` holds stays as it is. CPU backends do 8-bit arithmetic each in a way of its own; the one that loses most
    counts.
    """
    folder = out or WEIGHTS_FOLDER
    entry = _entry(name, folder)
    check_writable(folder / MANIFEST_NAME)
    files = photographs(data, "val", entry.classes)
    pictures = [file.picture for file in photographs(data, "train", entry.classes)] if precision == "int8" else []
    step = max(1, len(pictures) // CALIBRATION_PICTURES)
    second = find_second_view(entry, folder / entry.file)
    with _copies(folder, (entry,) if second is None else (entry, second[0])) as scratch:
        made = optimise(entry, scratch, precision, pictures[::step][:CALIBRATION_PICTURES])
        write_manifest(_listing(made, scratch), scratch / MANIFEST_NAME)
        before = _mean_ap50(_val_ap50(match(predict(_model(entry, scratch), files, "val"))))
        backends = CPU_BACKENDS if precision == "int8" else CPU_BACKENDS[:1]
        measured = {name: _val_ap50(match(predict(_model(made, scratch, name), files, "val"))) for name in backends}
        worst = min(measured, key=lambda name: _mean_ap50(measured[name]))
        lost = before - _mean_ap50(measured[worst])
        val: dict[str, JsonValue] = {**measured[worst], "mean_ap50_lost": round(lost, 4), "backend": worst}
        made = made.model_copy(update={"metrics": {"val": val}})
        if precision == "int8" and lost >= MOST_AP50_LOST:
            return made, False
        _install(scratch / made.file, _listing(made, folder), folder)
    return made, True


@contextmanager
def _copies(folder: Path, entries: Sequence[ManifestEntry]) -> Iterator[Path]:
    """A scratch folder with the files of `entries` of `folder` and a manifest of them, the first being the default."""
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        for each in entries:
            (scratch / each.file).write_bytes(read_weights(each, folder / each.file))
        if entries:
            # A model that gives the second view is used for one view of its own.
            alone = (entries[0], *(each.model_copy(update={"second_view": None}) for each in entries[1:]))
            write_manifest(Manifest(default=entries[0].name, models=alone), scratch / MANIFEST_NAME)
        yield scratch


def _is_seen_again_by(entry: ManifestEntry, model: ManifestEntry) -> bool:
    return model.second_view is not None and model.second_view.model == entry.name


def _check_classes(weights: Path, config: TrainingConfig, scratch: Path) -> None:
    known = described(weights, scratch)[0]
    if known != config.classes:
        raise DataError(
            f"{weights} knows the classes {', '.join(known)}, but the settings name {', '.join(config.classes)}; "
            "export it with the settings that it was trained with."
        )


def _model(entry: ManifestEntry, folder: Path, backend: BackendName = "onnxruntime") -> Model:
    return load_model(str(folder / entry.file), backend=backend)


def _val_ap50(matches: Matches) -> dict[str, JsonValue]:
    values = {name: matches.ap50(name) for name in matches.predictions.classes}
    known = [value for value in values.values() if value is not None]
    return {
        "ap50": {name: None if value is None else round(value, 4) for name, value in values.items()},
        "mean_ap50": round(sum(known) / len(known), 4) if known else 0.0,
    }


def _mean_ap50(measured: dict[str, JsonValue]) -> float:
    return float(str(measured["mean_ap50"]))


def _entry(name: str, folder: Path) -> ManifestEntry:
    manifest = read_manifest(folder / MANIFEST_NAME)
    entry = manifest.entry(name)
    if entry is None:
        known = ", ".join(each.name for each in manifest.models)
        raise DataError(f"{folder / MANIFEST_NAME} lists no model '{name}'; it has {known}.")
    if entry.made_from is not None:
        raise DataError(f"'{entry.name}' was made from '{entry.made_from}'; name that one.")
    return entry


def _listed_for_second_view(name: str, folder: Path) -> ManifestEntry:
    path = folder / MANIFEST_NAME
    if not path.exists() or read_manifest(path).entry(name) is None:
        raise DataError(
            f"{folder} lists no model '{name}', which the settings name for the second view; export that one there "
            "first, with --keep-default, or take `second_view` out of the settings."
        )
    return _entry(name, folder)


def _listing(entry: ManifestEntry, folder: Path, *, default: str | None = None) -> Manifest:
    """The manifest of `folder`, or a new one, with `entry` in it in place of an earlier one of that name.

    Raises DataError where the two do not go together.
    """
    path = folder / MANIFEST_NAME
    known: Sequence[ManifestEntry] = ()
    if path.exists():
        manifest = read_manifest(path)
        known, default = manifest.models, default or manifest.default
    kept = tuple(entry if each.name == entry.name else each for each in known)
    models = kept if any(each.name == entry.name for each in known) else (*kept, entry)
    try:
        return Manifest(schema_version="1.0", default=default or entry.name, models=models)
    except ValidationError as error:
        said = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise DataError(f"The manifest cannot list '{entry.name}': {said}.") from error


def _install(made: Path, manifest: Manifest, folder: Path) -> None:
    """Put the file `made` and `manifest` into `folder`; both lie there whole before either takes its place.

    Raises DataError where they cannot be written.
    """
    places = (folder / made.name, folder / MANIFEST_NAME)
    partial = [place.with_name(f"{place.name}.part") for place in places]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(made, partial[0])
        write_manifest(manifest, partial[1])
        for part, place in zip(partial, places, strict=True):
            part.replace(place)
    except OSError as error:
        place = error.filename2 or error.filename or folder
        raise DataError(f"{place} cannot be written: {error.strerror}.") from error
    finally:
        for part in partial:
            with suppress(OSError):
                part.unlink()
