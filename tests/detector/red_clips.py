"""Clips of soft stripes with something red, and a model that sees red things: times and effort are known exactly."""

from dataclasses import replace
from fractions import Fraction

import av
import numpy as np

from detector.frame import Boxes
from detector.models.letterbox import Square
from detector.scanner import Scanner, ScanOptions

INPUT_PX = 416
RED = (230, 20, 20)


class RedModel:
    """Sees red pixels as a tank: surely if they are 40 px wide in its input, else weakly."""

    name, sha256, backend_name, device = "red", "0" * 64, "none", "cpu"
    second = None
    classes, thresholds, score_floor = ("tank",), {"tank": 0.5}, 0.05
    input_size, smallest_side_px = INPUT_PX, 12.0

    def __init__(self):
        self.inferred = 0

    def detect(self, images):
        self.inferred += len(images)
        return [self._on_square(image) if isinstance(image, Square) else self._boxes(image) for image in images]

    def calibrate(self, class_name, score):
        return score

    def _on_square(self, square):
        boxes = self._boxes(square.pixels)
        return replace(boxes, xyxy=square.placement.to_picture(boxes.xyxy))

    def _boxes(self, image):
        rows, columns = np.nonzero((image[..., 0] > 170) & (image[..., 1] < 90) & (image[..., 2] < 90))
        if len(rows) < 9:
            return Boxes(np.empty((0, 4), np.float32), np.empty(0, np.float32), np.empty(0, np.int64))
        box = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
        wide = (box[2] - box[0]) * min(1.0, INPUT_PX / max(image.shape[:2])) >= 40
        return Boxes(np.array([box], np.float32), np.array([0.9 if wide else 0.3], np.float32), np.array([0]))


def grey(number, size):
    """A picture of soft stripes that move a little from frame to frame."""
    width, height = size
    stripes = 110 + 30 * np.sin((np.arange(width) + 2 * number) / 17)
    return np.repeat(np.broadcast_to(stripes, (height, width))[..., None], 3, axis=2).astype(np.uint8)


def write(
    path,
    frames,
    picture,
    *,
    rate=10,
    gop=10_000,
    size=(320, 240),
    codec="libx264",
    x264="",
    movflags="",
    pixels="yuv420p",
):
    with av.open(str(path), "w", options={"movflags": movflags} if movflags else {}) as container:
        params = f"keyint={gop}:min-keyint={gop}:scenecut=0:{x264}"
        options = {
            "libx264": {"x264-params": params, "preset": "veryfast", "crf": "12"},
            "libx265": {"x265-params": f"{params}log-level=none", "preset": "ultrafast"},
        }
        stream = container.add_stream(codec, rate=rate, options=options.get(codec, {"b": "4M"}))
        stream.width, stream.height, stream.pix_fmt = *size, pixels
        stream.codec_context.time_base = Fraction(1, rate)
        for number in range(frames):
            frame = av.VideoFrame.from_ndarray(picture(number), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def retimed(source, target, times, *, container=None):
    """The packets of `source` in `target`, with `times(number, pts, dts)` in seconds for each."""
    with av.open(str(source)) as read, av.open(str(target), "w", format=container) as write_to:
        stream = read.streams.video[0]
        copied = write_to.add_stream_from_template(stream)
        for number, packet in enumerate(each for each in read.demux(stream) if each.size):
            decoded = packet.pts if packet.dts is None else packet.dts
            seconds = times(number, float(packet.pts * packet.time_base), float(decoded * packet.time_base))
            packet.pts, packet.dts = (round(each / packet.time_base) for each in seconds)
            packet.stream = copied
            write_to.mux(packet)
    return target


def scan(path, **options):
    model = RedModel()
    report = Scanner(model, ScanOptions(**options)).scan(path).report
    return report, model.inferred


def with_red(first, last, *, size=(320, 240), side=80):
    def picture(number):
        image = grey(number, size)
        if first <= number <= last:
            image[100 : 100 + side, 120 : 120 + side] = RED
        return image

    return picture
