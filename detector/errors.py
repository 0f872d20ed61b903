"""Every error that Ordnance raises on purpose.

    OrdnanceError
    ├── VideoError
    │   ├── ClipNotFound        no such file, or a folder without clips
    │   ├── ClipUnreadable      the operating system refuses to open the file
    │   ├── ClipChanged         the file was written to while it was scanned
    │   ├── NotAVideo           the bytes are no container that we read
    │   ├── NoVideoStream       a container, but without moving pictures (sound only, cover art)
    │   ├── NoDecodableFrame    a video stream of which not one picture could be decoded
    │   ├── TooLarge            a picture larger than the documented limit
    │   ├── TooLong             a clip longer than the documented limit
    │   ├── TooManyStreams      a container with more streams than the documented limit
    │   ├── UnsupportedCodec    a codec that is not decoded here
    │   └── DecoderEnded        the process that decoded the clip crashed, stalled or reached a limit
    ├── ModelError
    │   ├── WeightsNotFound     no model of that name or path
    │   ├── WeightsMismatch     the weights file is not the one its manifest describes
    │   └── BackendUnavailable  the backend or device asked for is not installed or not present
    ├── UsageError
    │   ├── UnknownClass        not a weapon class of the taxonomy or of the model
    │   ├── UnknownPlan         not a sampling plan
    │   └── BadOption           a value out of its range
    └── DataError               a data set or configuration that cannot be used
        └── UnusableAnnotations boxes or pictures of a user's own set that cannot be taken over

`code` is stable: the CLI, the report and the HTTP service use the same one.
"""

from __future__ import annotations

from collections.abc import Sequence


class OrdnanceError(Exception):
    """Something went wrong that a user can act on; the message is one sentence that says what to do."""

    code = "error"


class VideoError(OrdnanceError):
    """The clip cannot be scanned."""

    code = "video_error"


class ClipNotFound(VideoError):
    """There is no such file."""

    code = "clip_not_found"


class ClipUnreadable(VideoError):
    """The file cannot be opened."""

    code = "clip_unreadable"


class ClipChanged(VideoError):
    """The file was written to while it was scanned, so that its hash is not that of what was looked at."""

    code = "clip_changed"


class NotAVideo(VideoError):
    """The file is not a video."""

    code = "not_a_video"


class NoVideoStream(VideoError):
    """The file holds no video stream."""

    code = "no_video_stream"


class NoDecodableFrame(VideoError):
    """Not one picture of the video could be decoded."""

    code = "no_decodable_frame"


class TooLarge(VideoError):
    """The video exceeds a documented limit."""

    code = "too_large"


class TooLong(VideoError):
    """The video is longer than a documented limit."""

    code = "too_long"


class TooManyStreams(VideoError):
    """The file holds more streams than a documented limit."""

    code = "too_many_streams"


class UnsupportedCodec(VideoError):
    """The video's codec is not decoded here."""

    code = "unsupported_codec"


class DecoderEnded(VideoError):
    """The process that decoded the clip ended before its work.

    `reason` says how in a few words; `fault_of_clip` is false where somebody else ended it (SIGKILL), so that
    trying again makes sense.
    """

    code = "decoder_ended"

    def __init__(self, message: str, *, reason: str, fault_of_clip: bool) -> None:
        super().__init__(message)
        self.reason = reason
        self.fault_of_clip = fault_of_clip


class ModelError(OrdnanceError):
    """The model cannot be used."""

    code = "model_error"


class WeightsNotFound(ModelError):
    """There is no such model."""

    code = "weights_not_found"


class WeightsMismatch(ModelError):
    """The weights file is not the one its manifest describes."""

    code = "weights_mismatch"


class BackendUnavailable(ModelError):
    """The backend or device is not available."""

    code = "backend_unavailable"


class UsageError(OrdnanceError):
    """An option has a value that cannot be used."""

    code = "usage"


class UnknownClass(UsageError):
    """Not a weapon class."""

    code = "unknown_class"


class UnknownPlan(UsageError):
    """Not a sampling plan."""

    code = "unknown_plan"


class BadOption(UsageError):
    """A value out of its range."""

    code = "bad_option"


class DataError(OrdnanceError):
    """A data set or configuration cannot be used."""

    code = "data_error"


class UnusableAnnotations(DataError):
    """Boxes or pictures cannot be taken over: `faults` are a sentence on each, of which the first is the message."""

    def __init__(self, faults: Sequence[str]) -> None:
        more = f" Nor can {len(faults) - 1} other boxes or pictures be taken." if len(faults) > 1 else ""
        super().__init__(faults[0] + more)
        self.faults = tuple(faults)
