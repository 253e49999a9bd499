"""Keep libtiff, by which Pillow decodes compressed TIFF files, from writing to the terminal.

libtiff prints what it finds wrong in a file to standard error itself. Pillow turns off its warnings, not its errors.
What is wrong reaches the user as an `ImageError`.
"""

from __future__ import annotations

import ctypes
from functools import cache
from pathlib import Path

import PIL


@cache
def silence_libtiff() -> None:
    """Take libtiff's error handler away, for the whole process.

    The library is the one in Pillow's wheel for Linux or macOS. Where Pillow has another, its errors stay visible.
    """
    package = Path(PIL.__file__).parent
    for path in (*package.parent.glob("pillow.libs/libtiff*"), *package.glob(".dylibs/libtiff*")):
        try:
            # Pillow has loaded it, so that this is a second name for the same library (dlopen, POSIX).
            library = ctypes.CDLL(str(path))
            for name in ("TIFFSetErrorHandler", "TIFFSetErrorHandlerExt"):
                handler = getattr(library, name)
                handler.argtypes, handler.restype = [ctypes.c_void_p], ctypes.c_void_p
                handler(None)
        except (OSError, AttributeError):
            continue
