"""A Sphinx extension: what pages say of themselves where a link is shared, and none of the theme's megabytes that nobody sees.

The theme loads 1.6 MB of script to draw a handful of icons, and has the same icons as fonts. The script goes, and of the fonts
stay the characters that a page or a style names.
"""

import html
import re
from pathlib import Path

from docutils import nodes

from tests.tools import address

ICONS = re.compile(r'class="(fa[^"]*)"')
SCRIPT = re.compile(r"\s*<(?:script|link)\b[^>]*\bfontawesome\.js[^>]*>(?:</script>)?")
LAZY = re.compile(r"<img (?=[^>]*_images/)(?![^>]*loading=)")
# What has words in sight is named by them: a name that says something else cannot be spoken to.
NAMED_TWICE = re.compile(
    r' aria-label="Toggle hidden content"'
    r'|(?<=search-button-field search-button__button pst-js-only") title="Search" aria-label="Search"'
)
NAMED = re.compile(r'((?:\.fa-[\w-]+(?:::?before)?,?)+)\{(?:--fa|content): ?"(\\[0-9a-f]+|.)"')
IN_STYLES = re.compile(r'--pst-icon-[\w-]+: ?"(\\[0-9a-f]+|.)"')
PICTURE = "front/shared.png"


def setup(app) -> dict:
    app.connect("html-page-context", _describe)
    app.connect("build-finished", _slim)
    return {"parallel_read_safe": True}


def site_address() -> str:
    """Return where GitHub Pages shows the site of this repository."""
    owner, repository = address.slug().split("/")
    return f"https://{owner.lower()}.github.io/{repository}/"


def _describe(app, pagename, templatename, context, doctree) -> None:
    title = re.sub(r"<[^>]+>", "", context.get("title") or app.config.project)
    said = {"og:title": html.unescape(title), "og:type": "website", "og:site_name": app.config.project}
    said |= {"og:url": f"{site_address()}{pagename}.html", "og:image": site_address() + PICTURE}
    description = _first_paragraph(doctree) if doctree is not None else ""
    tags = [f'<meta property="{name}" content="{html.escape(content)}">' for name, content in said.items()]
    if description:
        content = html.escape(description)
        tags += [f'<meta name="description" content="{content}">', f'<meta property="og:description" content="{content}">']
    context["metatags"] = context.get("metatags", "") + "\n" + "\n".join(tags)


def _first_paragraph(doctree) -> str:
    for node in doctree.findall(lambda node: isinstance(node, (nodes.paragraph, nodes.raw))):
        text = re.sub(r"<[^>]+>", "", node.astext()) if isinstance(node, nodes.raw) else node.astext()
        text = " ".join(html.unescape(text).split())
        if len(text) > 60 and "Open it in Colab" not in text:
            return text if len(text) <= 200 else text[:200].rpartition(" ")[0] + " …"
    return ""


def _slim(app, exception) -> None:
    if exception:
        return
    out = Path(app.outdir)
    static = out / "_static"
    for path in {*static.rglob("*.map"), *static.glob("scripts/fontawesome.js*")}:
        path.unlink()
    used = set()
    for path in out.rglob("*.html"):
        text = path.read_text(encoding="utf8")
        used |= {name for classes in ICONS.findall(text) for name in re.findall(r"\bfa-([\w-]+)", classes)}
        text = NAMED_TWICE.sub("", LAZY.sub('<img loading="lazy" ', SCRIPT.sub("", text)))
        path.write_text(text, encoding="utf8")
    styles = "".join(path.read_text(encoding="utf8") for path in static.rglob("*.css"))
    named = [code for names, code in NAMED.findall(styles) if used & set(re.findall(r"\.fa-([\w-]+)", names))]
    codes = {int(code[1:], 16) if code.startswith("\\") else ord(code) for code in named + IN_STYLES.findall(styles)}
    for path in static.rglob("webfonts/*.woff2"):
        _subset(path, codes)


def _subset(path: Path, codes: set[int]) -> None:
    """Leave those characters in a font. Where Python has no brotli, which packs such fonts, it stays whole."""
    try:
        import brotli  # noqa: F401
    except ImportError:
        return
    from fontTools import subset
    from fontTools.ttLib import TTFont

    options = subset.Options(flavor="woff2", name_IDs=["*"])  # its licence is among the names
    with TTFont(path, recalcTimestamp=False) as font:
        subsetter = subset.Subsetter(options)
        subsetter.populate(unicodes=codes)
        subsetter.subset(font)
        subset.save_font(font, path, options)
