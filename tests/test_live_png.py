import io
import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from course_lib.live import png
from course_lib.live.png import PngWriter


@pytest.fixture(params=["isal", "zlib"], autouse=True, scope="module")
def packer(request):
    """Both that may pack a frame; which one does depends on what is installed."""
    before = png.zlib
    png.zlib = pytest.importorskip("isal.isal_zlib") if request.param == "isal" else zlib
    yield
    png.zlib = before


def pixels(height, width, seed=0):
    """Rows that repeat, as in a picture of axes, and some that do not."""
    draw = np.random.default_rng(seed)
    picture = np.repeat(draw.integers(0, 256, (-(-height // 7), width, 4), dtype=np.uint8), 7, axis=0)[:height]
    picture[height // 2] = draw.integers(0, 256, (width, 4))
    return np.ascontiguousarray(picture)


def read(file: bytes):
    with Image.open(io.BytesIO(file)) as image:
        image.verify()  # the checksums of the chunks
    with Image.open(io.BytesIO(file)) as image:
        assert image.mode == "RGB"
        return np.asarray(image)


def chunks(file: bytes) -> list[tuple[bytes, bytes]]:
    """(kind, data) of each chunk of a PNG file, its checksum compared."""
    found, place = [], 8
    while place < len(file):
        length, kind = struct.unpack(">I4s", file[place : place + 8])
        data = file[place + 8 : place + 8 + length]
        assert struct.unpack(">I", file[place + 8 + length : place + 12 + length])[0] == zlib.crc32(kind + data)
        found.append((kind, data))
        place += 12 + length
    return found


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 50), (2, 3), (15, 9), (16, 9), (17, 9), (400, 300)])
def test_what_goes_in_comes_out(height, width):
    picture = pixels(height, width)
    np.testing.assert_array_equal(read(PngWriter()(memoryview(picture))), picture[..., :3])


def test_the_stream_is_whole_with_its_checksum():
    # zlib raises where the Adler-32 at the end is wrong or the stream goes on; picture viewers forgive it.
    picture = pixels(100, 40)
    (header, _), *data, (end, _) = chunks(PngWriter()(memoryview(picture)))
    assert (header, {kind for kind, _ in data}, end) == (b"IHDR", {b"IDAT"}, b"IEND")
    stream = zlib.decompressobj()
    assert len(stream.decompress(b"".join(part for _, part in data))) == 100 * (1 + 3 * 40)
    assert stream.eof
    assert not stream.unused_data


@given(st.lists(st.tuples(st.integers(0, 99), st.integers(0, 39), st.integers(0, 255)), max_size=12))
def test_a_later_frame_is_the_one_that_a_fresh_writer_gives(changes):
    picture, writer = pixels(100, 40), PngWriter()
    writer(memoryview(picture))
    for row, column, value in changes:  # in place, as a canvas is drawn on
        picture[row, column] = value
        later, fresh = writer(memoryview(picture)), PngWriter()(memoryview(picture))
        np.testing.assert_array_equal(read(later), picture[..., :3])
        np.testing.assert_array_equal(read(fresh), picture[..., :3])
        assert later == fresh or png.zlib is not zlib  # isal may pack the same pixels into other bytes


def test_without_isal_zlib_packs_the_frames():
    code = "import sys; sys.modules['isal'] = None; from course_lib.live import png; print(png.zlib.__name__)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "zlib"


def test_a_frame_of_another_size():
    writer = PngWriter()
    for height, width in [(100, 40), (100, 41), (90, 41), (8, 41), (100, 40)]:
        picture = pixels(height, width)
        np.testing.assert_array_equal(read(writer(memoryview(picture))), picture[..., :3])


def test_only_bands_that_changed_are_compressed_again(monkeypatch):
    picture, writer, packed, packer = pixels(160, 40), PngWriter(), [], png.zlib.compressobj
    monkeypatch.setattr(png.zlib, "compressobj", lambda **how: packed.append(how) or packer(**how))
    writer(memoryview(picture))
    assert len(packed) == png.BANDS
    writer(memoryview(picture))
    assert len(packed) == png.BANDS
    picture[75, 3] ^= 1
    writer(memoryview(picture))
    assert len(packed) == png.BANDS + 1


def test_only_columns_that_changed_are_filtered_again(monkeypatch):
    picture, writer, sizes, convert = pixels(160, 40), PngWriter(), [], png.Image.frombuffer
    writer(memoryview(picture))
    monkeypatch.setattr(png.Image, "frombuffer", lambda mode, size, *more: sizes.append(size) or convert(mode, size, *more))
    picture[:, 7:9, 1] ^= 1  # a line across all bands, as a cursor is
    np.testing.assert_array_equal(read(writer(memoryview(picture))), picture[..., :3])
    assert sizes == [(2, 10)] * png.BANDS


def interrupt(rows):
    raise KeyboardInterrupt


def test_a_frame_that_was_interrupted_leaves_nothing_half_done(monkeypatch):
    first, writer = pixels(160, 40), PngWriter()
    second = first ^ 1
    writer(memoryview(first))
    turns = iter([png.zlib.adler32] * 5)
    with monkeypatch.context() as patch:
        patch.setattr(png.zlib, "adler32", lambda rows: next(turns, interrupt)(rows))
        with pytest.raises(KeyboardInterrupt):
            writer(memoryview(second))
    for picture in (second, first):
        np.testing.assert_array_equal(read(writer(memoryview(picture))), picture[..., :3])


@given(st.binary(max_size=9000), st.binary(max_size=9000))
def test_checksums_are_joined_as_zlib_would(first, second):
    assert png._joined(zlib.adler32(first), zlib.adler32(second), len(second)) == zlib.adler32(first + second)
