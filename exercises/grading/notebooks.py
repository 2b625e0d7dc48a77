"""Reading what is called a notebook: leniently, since only the text of its code cells is needed."""

import contextlib
import io
import json
import logging
import warnings

import nbformat

MAX_BYTES = 50_000_000  # outputs with many pictures are common; more than this is not a notebook
MAX_CODE = 200_000  # characters; the longest solution has 5,000
MAX_CELLS = 5_000
_ENCODINGS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}


class UnreadableError(ValueError):
    """This is not a notebook; the message says why, in words for the learner."""


def read(data: bytes) -> list[str]:
    """The text of each code cell, from the bytes of an .ipynb of format 3 or 4. Raises UnreadableError."""
    if len(data) > MAX_BYTES:
        raise UnreadableError(f"The file is larger than {MAX_BYTES // 1_000_000} MB.")
    if not data.strip():
        raise UnreadableError("The file is empty.")
    raw = _json(_text(data))
    if not isinstance(raw, dict):
        raise UnreadableError("The file is JSON, but not a notebook.")
    cells = _cells(raw)
    code = [_source(cell) for cell in cells if isinstance(cell, dict) and cell.get("cell_type") == "code"]
    if len(cells) > MAX_CELLS or sum(map(len, code)) > MAX_CODE:
        raise UnreadableError("The notebook holds more code than a person writes.")
    return code


def _text(data: bytes) -> str:
    encoding = next((name for mark, name in _ENCODINGS.items() if data.startswith(mark)), "utf-8")
    for attempt in (encoding, "utf-16" if b"\x00" in data[:4] else "cp1252"):
        with contextlib.suppress(UnicodeDecodeError):
            return data.decode(attempt)
    raise UnreadableError("The file is not text: neither UTF-8, UTF-16 nor Windows-1252.")


def _json(text: str):
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as problem:
        what = "a web page" if text.lstrip()[:1] == "<" else "a notebook"
        detail = f" ({problem})" if what == "a notebook" and isinstance(problem, ValueError) else ""
        raise UnreadableError(
            f"The file is {'damaged or ' if what == 'a notebook' else ''}not a notebook"
            f"{', but ' + what if what != 'a notebook' else ''}{detail}."
        ) from None


def _cells(raw: dict) -> list:
    if isinstance(raw.get("cells"), list):
        return raw["cells"]
    if not isinstance(raw.get("worksheets"), list):
        raise UnreadableError("The file is JSON, but holds no cells.")
    # Format 3. nbformat knows how to turn it into 4; it also writes about it, which nobody needs here.
    logging.getLogger("traitlets").setLevel(logging.CRITICAL)
    with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        try:
            return nbformat.convert(nbformat.from_dict({**raw, "nbformat": 3}), 4).cells
        except Exception as problem:
            raise UnreadableError(f"The file says that it is a notebook of format 3, but it is not ({problem}).") from None


def _source(cell: dict) -> str:
    """A cell's text: in files it is a string, or a list of lines."""
    source = cell.get("source", cell.get("input", ""))
    if isinstance(source, list):
        source = "".join(line for line in source if isinstance(line, str))
    if not isinstance(source, str):
        return ""
    # Half of a character pair can't be written anywhere; \r\n comes from Windows.
    return source.encode("utf8", "replace").decode("utf8").replace("\r\n", "\n").replace("\r", "\n")
