"""Writes frame after frame as PNG, and compresses only those rows again that have changed since the last frame."""

import struct

import numpy as np
from PIL import Image

try:
    from isal import isal_zlib as zlib  # packs a frame in a tenth of the time
except ImportError:  # on Colab, where nothing is installed beside the course
    import zlib

BANDS = 16  # parts of a picture that are compressed each for itself; more of them cost size, fewer are seldom unchanged
ADLER = 65521  # the modulus of zlib's checksum (RFC 1950)


class PngWriter:
    """Called with (height, width, 4) bytes, gives a PNG file without alpha, with the pixels that a fresh writer would give.

    Pillow tries five filters on every row, at several times the cost. Here each pixel is written as its difference from
    the one above, which suits pictures of axes. A deflate stream may be cut at any byte (RFC 1951), and PNG's data at any
    chunk, so that the chunk of a band of rows can be kept for as long as the band stays the same.
    """

    def __init__(self):
        self._bands: list[tuple[np.ndarray, bytes, int, int]] = []  # pixels, chunk, checksum, length; from the top

    def __call__(self, rgba: memoryview) -> bytes:
        pixels = np.asarray(rgba)
        height, width = pixels.shape[:2]
        parts = np.array_split(pixels, min(BANDS, height))
        known = self._bands if len(self._bands) == len(parts) else [None] * len(parts)
        self._bands = [
            old if old is not None and np.array_equal(old[0], part) else _compressed(part)
            for old, part in zip(known, parts, strict=True)
        ]
        checksum = 1
        for _, _, part, length in self._bands:
            checksum = _joined(checksum, part, length)
        return b"".join(
            [
                b"\x89PNG\r\n\x1a\n",
                _chunk(b"IHDR", struct.pack(">2I5B", width, height, 8, 2, 0, 0, 0)),
                _chunk(b"IDAT", b"\x78\x01"),  # zlib's header
                *(chunk for _, chunk, _, _ in self._bands),
                _chunk(b"IDAT", b"\x03\x00" + struct.pack(">I", checksum)),  # deflate's last, empty block
                _chunk(b"IEND", b""),
            ]
        )


def _compressed(pixels: np.ndarray) -> tuple[np.ndarray, bytes, int, int]:
    height, width = pixels.shape[:2]
    image = Image.frombuffer("RGBA", (width, height), np.ascontiguousarray(pixels), "raw", "RGBA", 0, 1)
    rgb = np.frombuffer(image.tobytes("raw", "RGB"), np.uint8).reshape(height, -1)
    rows = np.empty((height, 1 + 3 * width), np.uint8)  # each row starts with the number of its filter
    rows[0, 0], rows[0, 1:] = 0, rgb[0]  # none: the row above belongs to another band
    rows[1:, 0] = 2  # up
    np.subtract(rgb[1:], rgb[:-1], out=rows[1:, 1:])
    packer = zlib.compressobj(level=1, wbits=-15)
    data = packer.compress(rows) + packer.flush(zlib.Z_FULL_FLUSH)
    return pixels.copy(), _chunk(b"IDAT", data), zlib.adler32(rows), rows.size


def _joined(first: int, second: int, length: int) -> int:
    """The Adler-32 checksum of two parts put together, from theirs and the length of the second."""
    low = ((first & 0xFFFF) + (second & 0xFFFF) - 1) % ADLER
    high = ((first >> 16) + (second >> 16) + length * ((first & 0xFFFF) - 1)) % ADLER
    return high << 16 | low


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
