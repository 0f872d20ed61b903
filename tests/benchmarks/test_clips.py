"""The truth beside each clip, held against the pixels of the clip itself, decoded with PyAV alone."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from painted import HEIGHT, WIDTH, magenta_box

from benchmarks.time.clips import BuiltClip, build_clip
from benchmarks.time.marks import draw_number, read_number
from benchmarks.time.pictures import held_out_photographs
from benchmarks.time.script import ClipSpec
from benchmarks.time.sets import accuracy_clips, speed_clips
from detector.errors import DataError
from detector.video import open_video, probe

PLAIN = ClipSpec("plain", 320, 180, "25", 2.0, True, (0.3, 0.6, 0.8, 1.2), gap_seconds=(0.4, 0.9), grain=1.0)
SPECS = (
    PLAIN,
    replace(PLAIN, name="phone", rate="variable", gop_seconds=10.0, keyframes_at_cuts=False, start_seconds=5.0),
    replace(PLAIN, name="stream", rate="30000/1001", gop_seconds=1.0, container="ts", start_seconds=10.0),
    replace(PLAIN, name="stream-vfr", rate="variable", container="ts", start_seconds=3600.0, keyframes_at_cuts=False),
    replace(PLAIN, name="bars", rate="24", letterbox=True),
    replace(PLAIN, name="sport", rate="60", appearances=(0.3, 0.6)),
)
Frames = list[tuple[Fraction, np.ndarray]]
CLASSES = ("tank", "tow_launcher")
SHAPE = 0.4 * WIDTH / (0.5 * HEIGHT)
"""Width over height of the whole rectangle."""
DOUBTFUL = 0.08
EDGE_PX = 6
"""How far compression and scaling may move the edge of the rectangle."""


@pytest.fixture(scope="session", params=SPECS, ids=lambda spec: spec.name)
def clip(request: pytest.FixtureRequest, painted_data: Path, tmp_path_factory: pytest.TempPathFactory) -> BuiltClip:
    pictures = held_out_photographs(painted_data, CLASSES)
    cache = tmp_path_factory.mktemp("clips")
    return build_clip(request.param, pictures, 3, cache, pictures_sha256="painted")


@pytest.fixture(scope="session")
def frames(clip: BuiltClip) -> list[tuple[Fraction, np.ndarray]]:
    """(PTS in seconds as the container has it, RGB picture), straight from PyAV."""
    with av.open(str(clip.path)) as container:
        return [(frame.pts * frame.time_base, frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)]


def test_times_are_those_of_the_container(clip: BuiltClip, frames: Frames) -> None:
    pts = [seconds for seconds, _ in frames]
    first = pts[0]
    if clip.spec.container == "mp4":
        assert float(first) == pytest.approx(clip.spec.start_seconds, abs=1e-6)
        zero = Fraction(0)
    else:
        assert first > clip.spec.start_seconds - 1
        zero = first
    assert [float(each - zero) for each in pts] == pytest.approx(list(clip.truth.pts_seconds), abs=1e-6)


def test_our_own_probe_gives_the_same_times(clip: BuiltClip) -> None:
    facts = probe(clip.path)
    assert facts.pts_seconds.tolist() == pytest.approx(list(clip.truth.pts_seconds), abs=1e-6)
    assert (facts.width, facts.height) == (clip.truth.width, clip.truth.height)
    if clip.spec.keyframes_at_cuts:
        keys = set(np.round(facts.keyframe_seconds, 4))
        assert {round(cut, 4) for cut in clip.truth.cuts_seconds} <= keys
    assert np.diff(facts.keyframe_seconds).max() <= clip.spec.gop_seconds + 0.35


def test_pixels_show_what_the_truth_says(clip: BuiltClip, frames: Frames) -> None:
    assert len(clip.truth.appearances) >= len(clip.spec.appearances)
    for number, (_, image) in enumerate(frames):
        boxes = [each.box(number) for each in (*clip.truth.appearances, *clip.truth.glimpses) if each.box(number)]
        large = [box for box in boxes if min(box[2] - box[0], box[3] - box[1]) > EDGE_PX]
        seen = magenta_box(image)
        if large:
            assert seen is not None, f"frame {number}: {large} is not in the picture"
            assert np.abs(np.subtract(seen, large[0])).max() <= EDGE_PX, f"frame {number}: {seen} is not {large[0]}"
        elif not boxes:
            assert seen is None, f"frame {number} shows {seen}, of which the truth knows nothing"


def test_first_and_last_frame_in_view_by_their_pixels(clip: BuiltClip, frames: Frames) -> None:
    """The rectangle is never cut at the top or bottom, so its shape tells how much of it lies in the picture."""
    boxes = [magenta_box(image) for _, image in frames]
    shares = [0.0 if box is None else (box[2] - box[0]) / (box[3] - box[1]) / SHAPE for box in boxes]
    judged = [None if abs(share - 0.5) < DOUBTFUL else share >= 0.5 for share in shares]
    cut_off = 0
    for each in clip.truth.appearances:
        assert {True, None} >= {judged[each.first], judged[each.last]}
        for outside in (each.first - 1, each.last + 1):
            if 0 <= outside < len(judged) and each.box(outside) is not None:
                assert judged[outside] in (False, None)
                cut_off += 1
    inside = {n for each in clip.truth.appearances for n in range(each.first, each.last + 1)}
    assert {n for n, is_seen in enumerate(judged) if is_seen} <= inside
    assert {n for n, is_seen in enumerate(judged) if is_seen is False}.isdisjoint(inside)
    assert cut_off, "this clip shows no weapon that enters or leaves by a pan"


def test_bars_stay_black(clip: BuiltClip, frames: Frames) -> None:
    if not clip.spec.letterbox:
        pytest.skip("this clip has no bars")
    bar = (clip.truth.width - clip.spec.picture_size[0]) // 2
    for _, image in frames[::10]:
        assert image[:, : bar - 3].mean() < 8
        assert image[:, -bar + 3 :].mean() < 8


def test_marked_copy_numbers_its_frames(clip: BuiltClip) -> None:
    with open_video(clip.marked) as video:
        marked = list(video.frames())
    numbers = [read_number(each.image, 0, 0, clip.truth.width, clip.truth.height) for each in marked]
    assert numbers == list(range(len(clip.truth.pts_seconds)))
    assert [each.pts_seconds for each in marked] == pytest.approx(list(clip.truth.pts_seconds), abs=1e-6)


def test_equal_seeds_give_equal_clips(clip: BuiltClip, painted_data: Path, tmp_path: Path) -> None:
    if clip.spec.name != "phone":
        pytest.skip("one clip will do")
    pictures = held_out_photographs(painted_data, CLASSES)
    again = build_clip(clip.spec, pictures, 3, tmp_path, pictures_sha256="painted")
    assert again.truth == clip.truth
    with open_video(again.path) as video, open_video(clip.path) as earlier:
        for one, other in zip(video, earlier, strict=True):
            assert (one.pts_seconds, one.is_keyframe) == (other.pts_seconds, other.is_keyframe)
            assert np.abs(one.image.astype(int) - other.image).mean() < 0.5
    different = build_clip(clip.spec, pictures, 4, tmp_path, pictures_sha256="painted")
    assert different.truth.appearances != clip.truth.appearances


def test_weapons_take_the_share_of_time_that_was_asked_for(painted_data: Path, tmp_path: Path) -> None:
    spec = replace(PLAIN, name="rare", appearances=(0.5, 0.8), weapon_share=0.05)
    clip = build_clip(spec, held_out_photographs(painted_data, CLASSES), 1, tmp_path, pictures_sha256="painted")
    assert 0.035 <= clip.truth.weapon_share() <= 0.055


def test_numbers_survive_scaling_and_a_part_of_a_picture_has_none() -> None:
    image = np.full((360, 640, 3), 128, np.uint8)
    for number in (0, 1, 4711, 2**20 - 1):
        draw_number(image, number)
        assert read_number(image, 0, 0, 640, 360) == number
    assert read_number(image[:180], 0, 0, 640, 180) is None


def test_sets_vary_what_they_promise() -> None:
    full = accuracy_clips(quick=False)
    assert {each.rate for each in full} == {"24", "25", "30000/1001", "60", "variable"}
    assert {each.gop_seconds for each in full} == {1.0, 2.0, 10.0}
    assert {each.container for each in full} == {"mp4", "ts"}
    assert any(each.letterbox for each in full)
    assert any(each.start_seconds for each in full)
    assert min(full[0].appearances) == 0.3
    assert max(max(each.appearances) for each in full) == 60.0
    for quick in (True, False):
        assert [(each.height, each.gop_seconds) for each in speed_clips(quick=quick)] == [(1080, 2.0), (1080, 10.0)]
        names = [each.name for each in (*accuracy_clips(quick=quick), *speed_clips(quick=quick))]
        assert len(set(names)) == len(names)


def test_a_folder_without_weapons_is_refused(painted_data: Path) -> None:
    with pytest.raises(DataError, match="needs some of both"):
        held_out_photographs(painted_data, ("humvee",))


@pytest.mark.needs_data
def test_photographs_of_the_shared_data_are_held_out_and_known(ordnance_data: Path) -> None:
    pictures = held_out_photographs(ordnance_data, CLASSES)
    assert pictures.weapons
    assert all(each.path.parent == ordnance_data / "photos" / "test" / "images" for each in pictures.weapons)
    assert all(not each.objects for each in pictures.negatives)
