"""An image as WADO-RS renders it (PS3.18 10.4.1.1.3): the stored pixels, as the viewer shows them first."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select

from pneumoscope.core.errors import ImageError
from pneumoscope.server.errors import DamagedError, NotFoundError
from pneumoscope.server.storage import blobs
from pneumoscope.server.storage.database import Store
from pneumoscope.server.storage.tables import ArchivedObject, Image

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

FORMATS = {"image/jpeg": "JPEG", "image/png": "PNG"}
"""By media type; the first one is the standard's default."""
QUALITY = 90
"""Of a JPEG, unless another one is asked for."""
LONGEST_SIDE = 65_535
"""Pixels of a picture's side that can be asked for; a JPEG has no more."""


def render(store: Store, sop_uid: str, kind: str, box: tuple[int, int] | None = None, quality: int = QUALITY) -> bytes:
    """Return an image of the store as a grey picture of 8 bits.

    The values are those of the viewer's full range: what the file's own window and shape make black and white.

    Args:
        store: The store.
        sop_uid: SOPInstanceUID of an image.
        kind: A media type of `FORMATS`.
        box: Width and height in pixels into which the picture shall fit; None: its own. It is never made larger.
        quality: Of a JPEG, 1 to 100.

    Raises:
        NotFoundError: There is no such image.
        DamagedError: Its pixels are gone or altered.
    """
    with store.read() as session:
        key = store.secret.lookup_key("object", sop_uid)
        query = select(Image.id, Image.sha256).join(ArchivedObject, ArchivedObject.image == Image.id)
        row = session.execute(query.where(ArchivedObject.key == key)).one_or_none()
    if row is None:
        raise NotFoundError("image", "can't be rendered: it is none.", "Retrieve the object.")
    try:
        picture = _draw(blobs.read_pixels(store.settings.files, row.id, row.sha256), box)
    except ImageError as error:
        raise DamagedError from error
    buffer = BytesIO()
    options = {"quality": quality} if kind == "image/jpeg" else {"compress_level": 1}
    picture.save(buffer, FORMATS[kind], **options)
    return buffer.getvalue()


def _draw(pixels: NDArray[np.float32], box: tuple[int, int] | None) -> Picture:
    """Return pixels [H, W] in 0..1 as a picture that fits into a box."""
    from PIL import Image as PillowImage

    picture = PillowImage.fromarray(np.rint(pixels * np.float32(255)).astype(np.uint8))
    scale = 1.0 if box is None else min(1.0, box[0] / picture.width, box[1] / picture.height)
    if scale == 1.0:
        return picture
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    return picture.resize(size, PillowImage.Resampling.BOX)
