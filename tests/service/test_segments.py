"""A scan in segments, by a decoder process, beside the same scan in one go."""

from fractions import Fraction

import av
import numpy as np
import pytest

from detector.models import load_model
from detector.scanner import Scanner, ScanOptions
from detector.video.guard import GuardLimits
from detector.video.guard_process import Decoders
from service.jobs.segments import SegmentedScanner


class ForgetfulJournal:
    """Keeps nothing, so that every part is made."""

    def kept(self):
        return []

    def carry(self):
        return None

    def keep(self, number, parts, carry):
        pass

    def on_batch(self, progress):
        pass


@pytest.fixture(scope="module")
def model():
    return load_model("default", device="cpu", threads=1)


def both(path, model, plan):
    options = ScanOptions(plan=plan)
    with Decoders() as decoders:
        segmented = SegmentedScanner(
            model,
            options,
            limits=GuardLimits(),
            decoders=decoders,
            segment_samples=8,
            journal=ForgetfulJournal(),
        )
        return Scanner(model, options).scan(path).report, segmented.scan(path).report


def write(path, x264):
    params = f"keyint=20:min-keyint=20:scenecut=0:{x264}"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10, options={"x264-params": params, "preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        for number in range(100):
            stripes = 110 + 60 * np.sin((np.arange(320) + 9 * number) / 17)
            image = np.repeat(np.broadcast_to(stripes, (240, 320))[..., None], 3, axis=2).astype(np.uint8)
            frame = av.VideoFrame.from_ndarray(image, "rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 10)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("plan", ["keyframes", "keyframes-only", "every-frame"])
def test_what_was_looked_at_of_a_clip_that_is_refreshed_bit_by_bit_is_the_same(tmp_path, model, plan):
    one, other = both(write(tmp_path / "refreshed.mp4", "intra-refresh=1"), model, plan)
    unlike = {"frames_decoded"}
    assert other.coverage.model_dump(exclude=unlike) == one.coverage.model_dump(exclude=unlike)
    assert other.errors == one.errors == ()


@pytest.mark.parametrize("plan", ["adaptive", "keyframes", "every-frame"])
def test_damage_is_counted_once_however_many_segments_read_over_it(tmp_path, model, plan):
    path = write(tmp_path / "damaged.mp4", "bframes=0")
    with av.open(str(path)) as read:
        places = [(packet.pos, packet.size) for packet in read.demux(video=0) if packet.size]
    content = bytearray(path.read_bytes())
    for position, size in places[62:65]:
        content[position : position + size] = bytes(size)
    path.write_bytes(content)

    one, other = both(path, model, plan)
    assert other.coverage.decode_errors == one.coverage.decode_errors == 3
    assert other.coverage.undecoded == one.coverage.undecoded
    assert other.errors[0] == one.errors[0]
