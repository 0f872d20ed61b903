"""Builds clips from their scripts, and keeps them with their truth in a folder outside the repository."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import cv2
import numpy as np
from av.video.frame import PictureType

from benchmarks.time.camera import Image, film, seen_box
from benchmarks.time.marks import draw_number
from benchmarks.time.pictures import Box, PictureSet
from benchmarks.time.script import TICKS, ClipSpec, Shot, frame_ticks, write_script
from benchmarks.time.truth import IN_VIEW, TrueAppearance, Truth, read_truth

BUILDER_VERSION = 1
"""Raised whenever equal settings give other frames than before: clips in the cache are built again."""
CRF = "23"
GRAINS = 8
KEYFRAMES_ONLY_WHERE_ASKED = "keyint=infinite:min-keyint=1:scenecut=0:bframes=2:b-adapt=0:threads=1"


@dataclass(frozen=True, slots=True)
class BuiltClip:
    """A clip on disk. `marked` shows the same with the frames' numbers drawn on them, for the oracle."""

    spec: ClipSpec
    path: Path
    marked: Path
    truth: Truth


def build_clip(spec: ClipSpec, pictures: PictureSet, seed: int, cache: Path, *, pictures_sha256: str) -> BuiltClip:
    """The clip of `spec`, from `cache` if it was built before.

    Equal arguments give the same truth and the same pictures to the encoder; x264 itself does not always give the
    same bytes for them.
    """
    key = hashlib.sha256(
        json.dumps([BUILDER_VERSION, asdict(spec), seed, pictures_sha256, av.library_versions], default=str).encode()
    ).hexdigest()[:16]
    folder = cache / f"{spec.name}-{key}"
    clip, marked = (folder / f"{name}.{spec.container}" for name in (spec.name, f"{spec.name}-marked"))
    if not (folder / "truth.json").exists():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache, prefix=".building-") as temporary:
            draft = Path(temporary)
            truth = _film_all(spec, pictures, seed, draft / clip.name, draft / marked.name)
            truth.write(draft / "truth.json")
            folder.mkdir(exist_ok=True)
            for name in (clip.name, marked.name, "truth.json"):
                os.replace(draft / name, folder / name)
    return BuiltClip(spec, clip, marked, read_truth(folder / "truth.json"))


def _film_all(spec: ClipSpec, pictures: PictureSet, seed: int, clip: Path, marked: Path) -> Truth:
    rng = np.random.default_rng([seed, int.from_bytes(hashlib.sha256(spec.name.encode()).digest()[:4])])
    shots = write_script(spec, pictures, rng)
    end = shots[-1].end
    ticks = frame_ticks(spec, end, rng)
    grains = [
        rng.normal(0, spec.grain, (spec.height, spec.width, 1)).repeat(3, axis=2).astype(np.int8) for _ in range(GRAINS)
    ]
    first_tick = round(spec.start_seconds * TICKS)
    cv2.setNumThreads(1)
    witness = _Witness(spec)
    with ExitStack() as stack:
        plain, numbered = (stack.enter_context(_Encoder(path, spec)) for path in (clip, marked))
        next_key, shot_before = 0, -1
        for number, ((tick, following), (position, shot)) in enumerate(
            zip(pairwise([*ticks, end]), _shot_of(shots, ticks), strict=True)
        ):
            image = witness.film(number, position, shot, (tick - shot.start) / TICKS)
            image = cv2.add(image, grains[number % GRAINS], dtype=cv2.CV_8U)
            is_cut, shot_before = position != shot_before, position
            is_key = tick >= next_key or (is_cut and spec.keyframes_at_cuts)
            if is_key:
                next_key = tick + round(spec.gop_seconds * TICKS)
            plain.add(image, first_tick + tick, following - tick, is_key)
            draw_number(image, number)
            numbered.add(image, first_tick + tick, following - tick, is_key)
    zero = first_tick if spec.container == "ts" else 0
    """MPEG-TS has no zero of its own: the clip's timeline starts with its first stream."""
    seconds = [float(Fraction(first_tick + tick - zero, TICKS)) for tick in (*ticks, end)]
    shown = witness.appearances()
    return Truth(
        clip=clip.name,
        width=spec.width,
        height=spec.height,
        pts_seconds=tuple(seconds[:-1]),
        end_seconds=seconds[-1],
        cuts_seconds=tuple(
            seconds[number]
            for number, (before, now) in enumerate(pairwise(p for p, _ in _shot_of(shots, ticks)), start=1)
            if before != now
        ),
        appearances=tuple(each for each in shown if any(share >= IN_VIEW for share in each.shares)),
        glimpses=tuple(each for each in shown if all(share < IN_VIEW for share in each.shares)),
    )


def _shot_of(shots: Sequence[Shot], ticks: Sequence[int]) -> Iterator[tuple[int, Shot]]:
    """For every frame the number of its shot, and the shot: the one in which its time lies."""
    position = 0
    for tick in ticks:
        while tick >= shots[position].end:
            position += 1
        yield position, shots[position]


class _Witness:
    """Films the frames and writes down which weapon lies where."""

    def __init__(self, spec: ClipSpec) -> None:
        self._spec = spec
        self._seen: dict[tuple[int, int], tuple[Shot, list[tuple[int, Box | None, float]]]] = {}

    def film(self, number: int, position: int, shot: Shot, seconds: float) -> Image:
        """Frame `number`: `shot`, the clip's `position`th, `seconds` after its start."""
        width, height = self._spec.picture_size
        bar = (self._spec.width - width) // 2
        window = shot.camera.window(seconds, shot.wall.width, width / height)
        for which, thing in enumerate(shot.wall.objects):
            box, share = seen_box(thing.box, window, width, height)
            if box is not None:
                box = (box[0] + bar, box[1], box[2] + bar, box[3])
            _, frames = self._seen.setdefault((position, which), (shot, []))
            frames.append((number, box, share))
        image = film(shot.wall, window, width, height)
        if bar:
            image = cv2.copyMakeBorder(image, 0, 0, bar, self._spec.width - width - bar, cv2.BORDER_CONSTANT)
        return image

    def appearances(self) -> list[TrueAppearance]:
        """Everything of which any part was shown."""
        found = []
        for (_, which), (shot, frames) in self._seen.items():
            shown = [position for position, (_, box, _) in enumerate(frames) if box is not None]
            if not shown:
                continue
            kept = frames[shown[0] : shown[-1] + 1]
            in_view = [number for number, _, share in kept if share >= IN_VIEW] or [kept[0][0], kept[-1][0]]
            found.append(
                TrueAppearance(
                    id=f"t{len(found) + 1:03d}",
                    object_id=f"scene{shot.scene}-{which}",
                    class_name=shot.wall.objects[which].class_name,
                    first=in_view[0],
                    last=in_view[-1],
                    from_frame=kept[0][0],
                    boxes=tuple(None if box is None else tuple(round(v, 1) for v in box) for _, box, _ in kept),
                    shares=tuple(round(share, 4) for _, _, share in kept),
                )
            )
        return found


class _Encoder:
    """H.264 with every PTS and every keyframe where the script says."""

    def __init__(self, path: Path, spec: ClipSpec) -> None:
        self._container = av.open(str(path), "w", format={"mp4": "mp4", "ts": "mpegts"}[spec.container])
        stream = self._container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = spec.width, spec.height, "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, TICKS)
        stream.codec_context.thread_count = 1
        stream.codec_context.options = {
            "crf": CRF,
            "preset": "veryfast",
            "forced-idr": "1",
            "x264-params": KEYFRAMES_ONLY_WHERE_ASKED,
        }
        self._stream = stream

    def __enter__(self) -> _Encoder:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            self._container.mux(self._stream.encode(None))
        self._container.close()

    def add(self, image: Image, tick: int, duration: int, is_key: bool) -> None:
        frame = av.VideoFrame.from_ndarray(image, format="bgr24")
        frame.time_base, frame.pts, frame.duration = Fraction(1, TICKS), tick, duration
        frame.pict_type = PictureType.I if is_key else PictureType.NONE
        self._container.mux(self._stream.encode(frame))
