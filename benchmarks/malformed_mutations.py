"""Mutations of files for `malformed_files.py`: of bytes in any format, and of the parts that a format consists of.

Each mutation takes a file's bytes and a source of random numbers and returns other bytes. Those of a format's parts
keep the rest of the file right (checksums, lengths), so that the change reaches the code behind the checks. Those of
tables are in `malformed_tables.py`.
"""

from __future__ import annotations

import gzip
import random
import struct
import zlib
from collections.abc import Callable
from contextlib import suppress
from io import BytesIO
from typing import Any, TypeAlias

from malformed_tables import change_cells, change_encoding, change_json, change_parquet, change_workbook, make_zip

Mutation: TypeAlias = Callable[[bytes, random.Random], bytes]

_EXTREMES = (0, 1, 2, 3, 7, 255, 256, 4095, 32767, 32768, 65535, 65536, 10_000, 2**24, 2**31 - 1, 2**31, 2**32 - 1)
_PNG_CHUNKS = (
    b"tEXt",
    b"zTXt",
    b"iTXt",
    b"iCCP",
    b"eXIf",
    b"tRNS",
    b"PLTE",
    b"acTL",
    b"fcTL",
    b"gAMA",
    b"CgBI",
    b"abCd",
)
_BOMB = 300 * 2**20


# Any format.


def flip_bits(data: bytes, draw: random.Random) -> bytes:
    """Flip 1 to 30 bits; half of them near the start, where headers are."""
    changed = bytearray(data)
    for _ in range(draw.choice((1, 1, 2, 5, 30))):
        changed[_place(data, draw)] ^= 1 << draw.randrange(8)
    return bytes(changed)


def truncate(data: bytes, draw: random.Random) -> bytes:
    """Cut the end off, anywhere or near one of both ends."""
    near = draw.choice((len(data), len(data), 700))
    return data[: draw.randrange(min(near, len(data)))] if draw.random() < 0.8 else data[: -draw.randrange(1, 40)]


def zero_run(data: bytes, draw: random.Random) -> bytes:
    """Overwrite a run with zeros, or with ones."""
    at, size = _place(data, draw), draw.choice((4, 16, 300, 5000))
    size = min(size, len(data) - at)
    return data[:at] + draw.choice((b"\0", b"\xff")) * size + data[at + size :]


def repeat_run(data: bytes, draw: random.Random) -> bytes:
    """Repeat a run."""
    at, size = _place(data, draw), draw.choice((1, 12, 300, 5000))
    return data[: at + size] + data[at : at + size] * draw.choice((1, 2, 50)) + data[at + size :]


def delete_run(data: bytes, draw: random.Random) -> bytes:
    """Take a run out."""
    at = _place(data, draw)
    return data[:at] + data[at + draw.choice((1, 2, 12, 300, 5000)) :]


def insert_noise(data: bytes, draw: random.Random) -> bytes:
    """Insert random bytes."""
    at = _place(data, draw)
    return data[:at] + draw.randbytes(draw.choice((1, 2, 16, 700))) + data[at:]


def change_number(data: bytes, draw: random.Random) -> bytes:
    """Overwrite 2, 4 or 8 bytes with an extreme number, in either byte order."""
    at, size = _place(data, draw), draw.choice((2, 4, 8))
    number = (draw.choice(_EXTREMES) % 256**size).to_bytes(size, draw.choice(("little", "big")))
    return data[:at] + number + data[at + size :]


def join_files(data: bytes, draw: random.Random) -> bytes:
    """Put the start of the file before its end: half of it is gone, or double."""
    return data[: draw.randrange(1, len(data))] + data[draw.randrange(len(data)) :]


def append(data: bytes, draw: random.Random) -> bytes:
    """Append noise, zeros or the file itself."""
    return data + draw.choice((draw.randbytes(500), bytes(4096), data))


def compress(data: bytes, draw: random.Random) -> bytes:
    """Compress the file under its own name."""
    if draw.random() < 0.5:
        return gzip.compress(data, 1)
    return make_zip({"data.bin": data})


def _place(data: bytes, draw: random.Random) -> int:
    return draw.randrange(max(1, min(len(data), draw.choice((len(data), 600, 100)))))


# PNG.


def change_png(data: bytes, draw: random.Random) -> bytes:
    """Change, drop, double, move or add chunks, each with its right checksum."""
    chunks, at = list[tuple[bytes, bytes]](), 8
    while at + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        chunks.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + length]))
        at += 12 + length
    for _ in range(draw.choice((1, 1, 2))):
        place = draw.randrange(len(chunks))
        kind, content = chunks[place]
        action = draw.randrange(8)
        if action == 0:  # a field of the header
            header = bytearray(chunks[0][1].ljust(13, b"\0"))
            field = draw.choice((0, 4, 8, 9, 10, 11, 12))
            if field < 8:
                struct.pack_into(">I", header, field, draw.choice(_EXTREMES))
            else:
                header[field] = draw.choice((0, 1, 2, 3, 4, 6, 8, 16, 255))
            chunks[0] = (chunks[0][0], bytes(header))
        elif action == 1:
            chunks[place] = (kind, draw.choice((content[: len(content) // 2], content + draw.randbytes(9), b"")))
        elif action == 2:
            del chunks[place]
            chunks = chunks or [(b"IEND", b"")]
        elif action == 3:
            chunks.insert(draw.randrange(len(chunks) + 1), (kind, content))
        elif action == 4:
            draw.shuffle(chunks)
        elif action == 5:
            new = draw.choice(_PNG_CHUNKS)
            text = b"XML:com.adobe.xmp\0" + draw.choice((b"\0" * 4, zlib.compress(bytes(_BOMB // 20))))
            chunks.insert(1, (new, draw.choice((draw.randbytes(draw.choice((0, 3, 256, 2000))), text))))
        else:
            chunks = _change_coded(chunks, draw)
    return data[:8] + b"".join(
        struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in chunks
    )


def _change_coded(chunks: list[tuple[bytes, bytes]], draw: random.Random) -> list[tuple[bytes, bytes]]:
    """Change the rows inside the compressed data of a PNG, or put a bomb in their place."""
    coded = b"".join(content for kind, content in chunks if kind == b"IDAT")
    with suppress(zlib.error):
        rows = bytearray(zlib.decompress(coded))
        action = draw.randrange(5)
        if action == 0 and draw.random() < 0.1:
            header = struct.pack(">2I5B", 9000, 9000, draw.choice((8, 16)), draw.choice((0, 2, 3, 4, 6)), 0, 0, 0)
            chunks = [(b"IHDR", header), *chunks[1:]]
            rows = bytearray(_BOMB)
        elif action == 1:
            del rows[draw.randrange(len(rows) or 1) :]
        elif action == 2 and rows:
            for _ in range(20):
                rows[draw.randrange(len(rows))] = draw.randrange(256)
        elif action == 3:
            rows += bytes(len(rows))
        else:
            rows[:1] = bytes([draw.randrange(256)])
        coded = zlib.compress(bytes(rows), 1)
    others = [chunk for chunk in chunks if chunk[0] != b"IDAT"]
    pieces = draw.choice((1, 1, 3))
    size = -(-len(coded) // pieces) or 1
    return [*others[:-1], *((b"IDAT", coded[at : at + size]) for at in range(0, len(coded), size)), *others[-1:]]


# JPEG.


def change_jpeg(data: bytes, draw: random.Random) -> bytes:
    """Change, drop, double or move segments; change the header of the frame or the scan."""
    segments, at = list[tuple[int, bytes]](), 2
    while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] != 0xDA:
        (length,) = struct.unpack_from(">H", data, at + 2)
        segments.append((data[at + 1], data[at + 4 : at + 2 + length]))
        at += 2 + max(2, length)
    rest = data[at:]
    for _ in range(draw.choice((1, 1, 2))):
        place = draw.randrange(len(segments)) if segments else 0
        action = draw.randrange(8)
        if action == 0 and segments:
            marker, content = segments[place]
            changed = bytearray(content or b"\0")
            for _ in range(draw.choice((1, 3))):
                changed[draw.randrange(len(changed))] = draw.choice((0, 1, 2, 4, 0x11, 0x22, 0x44, 127, 255))
            segments[place] = (marker, bytes(changed))
        elif action == 1 and segments:
            del segments[place]
        elif action == 2 and segments:
            segments.insert(draw.randrange(len(segments) + 1), segments[place])
        elif action == 3:
            draw.shuffle(segments)
        elif action == 4:
            content = draw.choice((b"Exif\0\0II*\0", b"JFIF\0", b"Adobe\0", b"ICC_PROFILE\0", b"", b"MPF\0II*\0"))
            segments.insert(0, (draw.randrange(0xE0, 0xF0), content + draw.randbytes(draw.choice((0, 8, 900)))))
        elif action == 5:
            frames = [n for n, (marker, _) in enumerate(segments) if 0xC0 <= marker <= 0xC3]
            for number in frames:
                marker, content = segments[number]
                size = struct.pack(">HH", *(draw.choice(_EXTREMES) % 65536 for _ in range(2)))
                marker = draw.choice((marker, 0xC1, 0xC2, 0xC3, 0xC9, 0xF7))
                segments[number] = (marker, content[:1] + draw.choice((size, content[1:5])) + content[5:])
        elif action == 6:
            where = draw.randrange(len(rest) or 1)
            rest = (
                rest[:where]
                + draw.choice((b"\xff\xd0", b"\xff\xd9", b"\xff\xda", b"\xff\xc0", b"\xff\0"))
                + rest[where:]
            )
        else:
            where = draw.randrange(min(16, len(rest) or 1))
            rest = rest[:where] + bytes([draw.randrange(256)]) + rest[where + 1 :]
    head = b"".join(
        bytes((0xFF, marker)) + struct.pack(">H", min(65535, len(content) + 2)) + content[:65533]
        for marker, content in segments
    )
    return data[:2] + head + rest


# TIFF.


def change_tiff(data: bytes, draw: random.Random) -> bytes:
    """Change tags of the first directory: number, type, count, value; or where the next directory is."""
    order = "<" if data[:2] == b"II" else ">"
    big = data[2:4] in (b"+\0", b"\0+")
    changed = bytearray(data)
    with suppress(struct.error):
        (start,) = struct.unpack_from(f"{order}{'Q' if big else 'I'}", data, 8 if big else 4)
        (count,) = struct.unpack_from(f"{order}{'Q' if big else 'H'}", data, start)
        first, size = start + (8 if big else 2), 20 if big else 12
        for _ in range(draw.choice((1, 1, 2, 4))):
            at = first + size * draw.randrange(max(1, min(count, 100)))
            action = draw.randrange(6)
            number = draw.choice((*_EXTREMES, draw.randrange(len(data)), len(data) - 1))
            if action == 0:
                struct.pack_into(
                    f"{order}H", changed, at, draw.choice((*range(254, 280), 317, 322, 324, 338, 339, 347))
                )
            elif action == 1:
                struct.pack_into(f"{order}H", changed, at + 2, draw.randrange(20))
            elif action == 2:
                struct.pack_into(f"{order}{'Q' if big else 'I'}", changed, at + 4, number)
            elif action == 3:
                struct.pack_into(f"{order}{'Q' if big else 'I'}", changed, at + (12 if big else 8), number)
            elif action == 4:
                where = first + size * count
                struct.pack_into(f"{order}{'Q' if big else 'I'}", changed, where, draw.choice((start, 1, 8, number)))
            else:
                struct.pack_into(f"{order}H", changed, at + (12 if big else 8), draw.randrange(20))
    return bytes(changed)


# DICOM.


def change_dicom(data: bytes, draw: random.Random) -> bytes:
    """Change elements: remove one, or give it another value, by pydicom; else change the length of one."""
    import pydicom
    from pydicom.dataelem import RawDataElement
    from pydicom.uid import AllTransferSyntaxes

    with suppress(Exception):  # what pydicom refuses to write is left to the other mutations
        dataset: Any = pydicom.dcmread(BytesIO(data), force=True)
        for _ in range(draw.choice((1, 1, 2, 4))):
            tag = draw.choice(_DICOM_TAGS)
            action = draw.randrange(6)
            if action == 0:
                dataset.pop(tag, None)
            elif action == 1:
                dataset.file_meta.TransferSyntaxUID = draw.choice(AllTransferSyntaxes)
            elif action == 2:
                value = draw.choice(
                    (*map(str, _EXTREMES), "", "A", "-1", "1.5", "\\", "CT", "INVERSE", "1\\2", "\x1b[31m")
                )
                vr = draw.choice(("US", "SS", "DS", "IS", "CS", "LO", "OW", "UN", "SQ", "FL", "AT", "UI", "zz"))
                raw = value.encode() + b" " * (len(value) % 2)
                little = bool(dataset.original_encoding[1])
                implicit = bool(dataset.original_encoding[0])
                dataset[tag] = RawDataElement(pydicom.tag.Tag(tag), vr, len(raw), raw, 0, implicit, little, True)
            elif action == 3:
                number = draw.choice(_EXTREMES) % 65536
                dataset[tag] = pydicom.DataElement(tag, "US", draw.choice((number, [number, 0, 16], None)))
            elif action == 4:
                lut = pydicom.Dataset()
                lut.add_new(
                    0x00283002, "US", [draw.choice(_EXTREMES) % 65536 for _ in range(draw.choice((1, 3, 3, 4)))]
                )
                lut.add_new(0x00283006, "OW", draw.randbytes(2 * draw.randrange(600)))
                dataset.add_new(draw.choice((0x00283000, 0x00283010)), "SQ", [lut] * draw.choice((1, 1, 2)))
            else:
                dataset.add_new(
                    0x7FE00010, draw.choice(("OB", "OW")), draw.choice((b"", draw.randbytes(500), data[-600:]))
                )
        buffer = BytesIO()
        pydicom.dcmwrite(buffer, dataset, enforce_file_format=False)
        return buffer.getvalue()
    at = data.find(b"\x28\0", 132)
    return data[: at + 6] + struct.pack("<H", draw.choice(_EXTREMES) % 65536) + data[at + 8 :]


_DICOM_TAGS = (
    0x00080016, 0x00080060, 0x00080068, 0x00080005, 0x00101010, 0x00185101, 0x00200020, 0x00280002, 0x00280004,
    0x00280006, 0x00280008, 0x00280010, 0x00280011, 0x00280030, 0x00280034, 0x00280100, 0x00280101, 0x00280102,
    0x00280103, 0x00280120, 0x00280121, 0x00281050, 0x00281051, 0x00281052, 0x00281053, 0x00281056, 0x00283000,
    0x00283010, 0x20500020, 0x60000102, 0x52009229,
)  # fmt: skip


# WebP (RIFF).


def change_webp(data: bytes, draw: random.Random) -> bytes:
    """Change, drop, double or add chunks, with the right length of the whole."""
    chunks, at = list[tuple[bytes, bytes]](), 12
    while at + 8 <= len(data):
        kind, length = struct.unpack_from("<4sI", data, at)
        chunks.append((kind, data[at + 8 : at + 8 + length]))
        at += 8 + length + length % 2
    place = draw.randrange(len(chunks)) if chunks else 0
    action = draw.randrange(4)
    if action == 0 and chunks:
        kind, content = chunks[place]
        changed = bytearray(content or b"\0")
        changed[draw.randrange(min(len(changed), 40))] = draw.randrange(256)
        chunks[place] = (kind, bytes(changed))
    elif action == 1 and chunks:
        del chunks[place]
    elif action == 2 and chunks:
        chunks.insert(place, chunks[place])
    else:
        kind = draw.choice((b"VP8X", b"ANIM", b"ANMF", b"EXIF", b"XMP ", b"ICCP", b"ALPH", b"zzzz"))
        chunks.insert(draw.randrange(len(chunks) + 1), (kind, draw.randbytes(draw.choice((0, 10, 300)))))
    body = b"".join(
        kind + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2) for kind, content in chunks
    )
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body


ANY: tuple[Mutation, ...] = (
    flip_bits, flip_bits, truncate, zero_run, repeat_run, delete_run, insert_noise, change_number, change_number,
    join_files, append, compress,
)  # fmt: skip
"""Mutations of any file; each is as likely as the others."""

BY_FORMAT: dict[str, tuple[Mutation, ...]] = {
    "png": (change_png,),
    "jpeg": (change_jpeg,),
    "tiff": (change_tiff,),
    "webp": (change_webp,),
    "dicom": (change_dicom,),
    "csv": (change_cells, change_cells, change_encoding, change_workbook),
    "parquet": (change_parquet,),
    "json": (change_json,),
}
"""Format -> mutations of its parts; half of all files get one of them."""


def mutate(data: bytes, form: str, draw: random.Random) -> tuple[bytes, str]:
    """Return a mutation of a file, and its name.

    Args:
        data: The file.
        form: Its format, a key of `BY_FORMAT`; another has mutations of bytes alone.
        draw: The source of random numbers.
    """
    own = BY_FORMAT.get(form, ())
    mutation = draw.choice(own) if own and draw.random() < 0.5 else draw.choice(ANY)
    changed = mutation(data, draw)
    name = mutation.__name__
    if draw.random() < 0.1:
        second = draw.choice(ANY)
        changed, name = second(changed or b"\0", draw), f"{name}+{second.__name__}"
    return changed, name
