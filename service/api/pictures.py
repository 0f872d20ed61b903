"""Pictures on their way out: JPEG, or WebP for a client that accepts it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.problems import NotFound

IMMUTABLE = "private, max-age=31536000, immutable"
QUALITY = {"webp": 80, "jpeg": 85}
BINARY = {"schema": {"type": "string", "format": "binary"}}
CONTENT: dict[str, Any] = {"image/jpeg": BINARY, "image/webp": BINARY}


def form_for(accept: str) -> str:
    """`webp` or `jpeg`, by a request's Accept header."""
    return "webp" if "image/webp" in accept else "jpeg"


def decoded(content: bytes) -> NDArray[np.uint8]:
    """The RGB picture, uint8 (height, width, 3), of a JPEG that this program wrote."""
    import cv2

    image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR_RGB)
    if image is None:
        raise NotFound("This picture is damaged in the store; scan the clip again.")
    return np.asarray(image, dtype=np.uint8)


def encoded(image: NDArray[np.uint8], form: str) -> bytes:
    """The RGB `image` as JPEG or WebP."""
    import cv2

    option = cv2.IMWRITE_WEBP_QUALITY if form == "webp" else cv2.IMWRITE_JPEG_QUALITY
    done, content = cv2.imencode(f".{form}", image[:, :, ::-1], [option, QUALITY[form]])
    if not done:
        raise NotFound("This picture cannot be written in that form; ask for image/jpeg.")
    return bytes(content)
