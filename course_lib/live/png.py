"""Writes frame after frame as PNG, and packs only the rows again that have changed since the last one."""

import struct

import numpy as np
from PIL import Image

try:
    from isal import isal_zlib as zlib  # packs a frame in a tenth of the time
except ImportError:  # on Colab, where nothing is installed beside the course
    import zlib

BANDS = 16  # parts of an image that are compressed each for itself; more of them cost size, fewer are seldom unchanged
ADLER = 65521  # the modulus of zlib's checksum (RFC 1950)


class PngWriter:
    """Called with (height, width, 4) bytes, gives a PNG file without alpha, with the pixels that a fresh writer would give.

    Pillow tries five filters on every row, at several times the cost. Here each pixel is written as its difference from
    the one above, which suits drawings of axes. A deflate stream may be cut at any byte (RFC 1951), and PNG's data at any
    chunk, so that the chunk of a band of rows can be kept for as long as the band stays the same.
    """

    def __init__(self):
        self._bands: list[_Band] = []  # from the top

    def __call__(self, rgba: memoryview) -> bytes:
        pixels = np.ascontiguousarray(rgba).view(np.uint32)[..., 0]
        height, width = pixels.shape
        parts = np.array_split(pixels, min(BANDS, height))
        bands, self._bands = self._bands, []  # an interrupt must not leave one that is half done
        if [band.pixels.shape for band in bands] != [part.shape for part in parts]:
            bands = [_Band(part) for part in parts]
        checksum = 1
        for band, part in zip(bands, parts, strict=True):
            band.update(part)
            checksum = _joined(checksum, band.checksum, band.rows.size)
        self._bands = bands
        return b"".join(
            [
                b"\x89PNG\r\n\x1a\n",
                _chunk(b"IHDR", struct.pack(">2I5B", width, height, 8, 2, 0, 0, 0)),
                _chunk(b"IDAT", b"\x78\x01"),  # zlib's header
                *(band.chunk for band in bands),
                _chunk(b"IDAT", b"\x03\x00" + struct.pack(">I", checksum)),  # deflate's last, empty block
                _chunk(b"IEND", b""),
            ]
        )


class _Band:
    """Some rows of an image: `pixels`, each one number of four bytes; `rows`, what is packed of them; and the `chunk`."""

    def __init__(self, pixels: np.ndarray):
        height, width = pixels.shape
        self.pixels = ~pixels  # different everywhere, so that the first update packs it
        self.rows = np.zeros((height, 1 + 3 * width), np.uint8)  # each starts with the number of its filter
        self.rows[1:, 0] = 2  # up; none for the first, since the row above it belongs to another band
        self.chunk, self.checksum = b"", 0

    def update(self, pixels: np.ndarray) -> None:
        changed = (pixels != self.pixels).any(axis=0).nonzero()[0]
        if not changed.size:
            return
        first, last = changed[0], changed[-1] + 1
        self.pixels[:, first:last] = pixels[:, first:last]
        part = np.ascontiguousarray(pixels[:, first:last])
        image = Image.frombuffer("RGBA", part.shape[::-1], part, "raw", "RGBA", 0, 1)
        rgb = np.frombuffer(image.tobytes("raw", "RGB"), np.uint8).reshape(len(part), -1)
        into = self.rows[:, 1 + 3 * first : 1 + 3 * last]
        into[0] = rgb[0]
        np.subtract(rgb[1:], rgb[:-1], out=into[1:])
        packer = zlib.compressobj(level=1, wbits=-15)
        data = packer.compress(self.rows) + packer.flush(zlib.Z_FULL_FLUSH)
        self.chunk, self.checksum = _chunk(b"IDAT", data), zlib.adler32(self.rows)


def _joined(first: int, second: int, length: int) -> int:
    """The Adler-32 checksum of two parts put together, from theirs and the length of the second."""
    low = ((first & 0xFFFF) + (second & 0xFFFF) - 1) % ADLER
    high = ((first >> 16) + (second >> 16) + length * ((first & 0xFFFF) - 1)) % ADLER
    return high << 16 | low


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
