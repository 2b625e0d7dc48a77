"""A Sphinx extension: formulas as MathML, which browsers show without a script, in a font that comes with the pages.

The font matters: a phone or a Linux without one for mathematics stretches no bracket and draws small sums.
"""

import re
import unicodedata
from html import unescape
from importlib.resources import as_file, files
from pathlib import Path

from docutils import nodes
from fontTools import subset
from fontTools.ttLib import TTFont
from math_core import LatexError, LatexToMathML
from sphinx.util import logging

FONT = "mathematics.woff"  # course.css names it
CONVERTER = LatexToMathML(fancy_error=False)
# A browser shows <mi>x</mi> as an italic letter, which has a code point of its own.
CODES = (0x210E, *range(0x1D434, 0x1D468), *range(0x1D6FC, 0x1D71C))
# What a browser draws without its being in the text: the sign of a root, bars, arrows.
SIGNS = {chr(code) for code in (*range(0x20, 0x7F), *range(0x2190, 0x2300))}
ITALIC = {chr(code): unicodedata.normalize("NFKC", chr(code)) for code in CODES}


def setup(app) -> dict:
    app.add_html_math_renderer("mathml", (_inline, None), (_display, None))
    app.connect("doctree-resolved", _keep_together)
    app.connect("build-finished", _write_font)
    return {"parallel_read_safe": True}


def _keep_together(app, doctree, docname) -> None:
    """A browser may break a line between a formula and its comma; not within this."""
    for formula in list(doctree.findall(nodes.math)):
        siblings, index = formula.parent, formula.parent.index(formula)
        opening = closing = ""
        if index and isinstance(siblings[index - 1], nodes.Text):
            before, opening = re.fullmatch(r"(.*?)([^\s\w]*)", siblings[index - 1], re.DOTALL).groups()
            siblings[index - 1] = nodes.Text(before)
        if index + 1 < len(siblings) and isinstance(siblings[index + 1], nodes.Text):
            closing, after = re.fullmatch(r"([^\s\w]*)(.*)", siblings[index + 1], re.DOTALL).groups()
            siblings[index + 1] = nodes.Text(after)
        inside = [nodes.Text(opening), formula.deepcopy(), nodes.Text(closing)]
        siblings[index] = nodes.inline("", "", *inside, classes=["together"])


def _inline(writer, node) -> None:
    writer.body.append(_converted(writer, node, displaystyle=False))
    raise nodes.SkipNode


def _display(writer, node) -> None:
    writer.body.append(f'<div class="formula">{_converted(writer, node, displaystyle=True)}</div>\n')
    raise nodes.SkipNode


def _converted(writer, node, displaystyle: bool) -> str:
    try:
        return CONVERTER.convert_with_local_state(node.astext(), displaystyle=displaystyle)
    except LatexError as error:
        logging.getLogger(__name__).warning("%s: %s", node.astext(), error, location=node)
        return writer.encode(node.astext())


def _write_font(app, exception) -> None:
    """STIX Two Math, which ziamath brings, with the characters that occur in a formula and no others."""
    if exception:
        return
    pages = "".join(path.read_text(encoding="utf8") for path in Path(app.outdir).rglob("*.html"))
    used = set(unescape(re.sub(r"<[^>]+>", "", "".join(re.findall(r"<math.*?</math>", pages, re.DOTALL)))))
    used |= SIGNS | {italic for italic, plain in ITALIC.items() if plain in used}
    options = subset.Options(flavor="woff", hinting=False, name_IDs=["*"])  # its licence is among the names
    options.layout_features.append("ssty")  # the forms for exponents
    with as_file(files("ziamath") / "fonts" / "STIXTwoMath-Regular.ttf") as path:
        font = TTFont(path, recalcTimestamp=False)
        subsetter = subset.Subsetter(options)
        subsetter.populate(text="".join(used))
        subsetter.subset(font)
        subset.save_font(font, Path(app.outdir) / "_static" / FONT, options)
