"""What can go wrong in the service, and which HTTP status every code of the program has (RFC 9457)."""

from __future__ import annotations

from detector.errors import BadOption, OrdnanceError


class ServiceError(OrdnanceError):
    """Something that the service refuses; the message is one sentence that says what to do."""

    code = "error"

    def __init__(self, message: str, *, retry_after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class NotFound(ServiceError):
    """There is no such thing, or it is not the caller's."""

    code = "not_found"


class Gone(ServiceError):
    """It was there and was removed, or has expired."""

    code = "gone"


class Conflict(ServiceError):
    """The request does not fit the state that things are in."""

    code = "conflict"


class Unauthorized(ServiceError):
    """There is no key, or it is not valid."""

    code = "unauthorized"


class Forbidden(ServiceError):
    """The key may not do this."""

    code = "forbidden"


class BadRequest(ServiceError):
    """The request cannot be understood."""

    code = "bad_request"


class UploadTooLarge(ServiceError):
    """The upload is larger than the service takes."""

    code = "upload_too_large"


class ChecksumWrong(ServiceError):
    """The bytes that arrived are not those that were sent."""

    code = "upload_checksum_wrong"


class FrameNotDecodable(ServiceError):
    """The clip holds no frame there that can be decoded."""

    code = "frame_not_decodable"


class QuotaExceeded(ServiceError):
    """The key's quota is used up."""

    code = "quota_exceeded"


class TooManyRequests(ServiceError):
    """Requests come faster than the key's rate."""

    code = "rate_limited"


class StorageFull(ServiceError):
    """There is no room for the upload."""

    code = "storage_full"


class NotReady(ServiceError):
    """The service cannot work yet, or not now."""

    code = "not_ready"


def given_again(name: str) -> BadOption:
    """For a parameter or field of which all but one value would be passed over."""
    how = ", with commas between" if name == "classes" else ""
    return BadOption(f"'{name[:64]}' is given more than once; give it once{how}.")


STATUS_OF_CODE = {
    "bad_request": 400,
    "invalid_request": 422,
    "unauthorized": 401,
    "forbidden": 403,
    "not_found": 404,
    "method_not_allowed": 405,
    "conflict": 409,
    "gone": 410,
    "upload_too_large": 413,
    "unsupported_media_type": 415,
    "range_not_satisfiable": 416,
    "usage": 422,
    "unknown_class": 422,
    "unknown_plan": 422,
    "bad_option": 422,
    "weights_not_found": 422,
    "frame_not_decodable": 422,
    "quota_exceeded": 429,
    "rate_limited": 429,
    "upload_checksum_wrong": 460,
    "internal_error": 500,
    "not_ready": 503,
    "storage_full": 507,
}
"""Codes of a bad clip are not here: they are the result of a scan, not of a request."""

TITLES = {
    "bad_request": "Bad request",
    "invalid_request": "Invalid request",
    "unauthorized": "No valid key",
    "forbidden": "Not allowed",
    "not_found": "Not found",
    "method_not_allowed": "Method not allowed",
    "conflict": "Conflict",
    "gone": "Gone",
    "upload_too_large": "Upload too large",
    "unsupported_media_type": "Unsupported media type",
    "range_not_satisfiable": "Range not satisfiable",
    "usage": "Invalid option",
    "unknown_class": "Unknown weapon class",
    "unknown_plan": "Unknown sampling plan",
    "bad_option": "Invalid option",
    "weights_not_found": "Unknown model",
    "frame_not_decodable": "Frame not decodable",
    "quota_exceeded": "Quota exceeded",
    "rate_limited": "Too many requests",
    "upload_checksum_wrong": "Checksum mismatch",
    "internal_error": "Internal error",
    "not_ready": "Not ready",
    "storage_full": "Storage full",
}
