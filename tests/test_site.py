"""The site is built once; then every page is held against rules, and each rule is seen to fail on a page that was spoilt."""

import html
import json
import re
from collections.abc import Callable
from types import SimpleNamespace
from urllib.parse import unquote

import nbformat
import pytest

pytest.importorskip("sphinx", reason="the site needs pip install -e '.[site]'")
from bs4 import BeautifulSoup
from markdown_it import MarkdownIt
from mdit_py_plugins.dollarmath import dollarmath_plugin

from tests.tools import address
from tests.tools.site import build, pages

pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::PendingDeprecationWarning"
)  # Sphinx's extensions
SOURCES = {f"{path.parent.name}/{path.stem}.html": path for path in pages.notebooks() + pages.starters()}
MAP = [f"{path.parent.name}/{path.stem}.html" for path in [*pages.notebooks(), pages.RECIPE, *pages.starters()]]
MAP.append("README.html")
CODE = ["code", "pre", "script", "style", "math"]
MARKDOWN = MarkdownIt("commonmark").enable("table").use(dollarmath_plugin, double_inline=True)
RULES: dict[str, Callable] = {}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("built") / "site"
    build.build(out)
    return out


@pytest.fixture(scope="module")
def site(folder):
    """files: their names; pages: name -> what the browser gets; styles: likewise."""
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    text = {name: (folder / name).read_text(encoding="utf8") for name in files if name.endswith((".html", ".css", "index.js"))}
    return SimpleNamespace(folder=folder, files=files, text=text, soups={})


def of_pages(rule):
    RULES[rule.__name__] = rule
    return rule


def soup(site, name):
    if name not in site.soups:
        site.soups[name] = BeautifulSoup(site.text[name], "html.parser")
    return site.soups[name]


def words(text):
    """Without the differences that typography and line breaks make."""
    return "".join(text.translate(str.maketrans("’‘“”", "''\"\"")).replace("–", "--").replace("…", "...").split())


def beside(name, target):
    """A relative address, seen from a page."""
    parts = name.split("/")[:-1]
    for part in target.split("/"):
        parts = parts[:-1] if part == ".." else parts + [part] * (part not in (".", ""))
    return "/".join(parts)


def external(target):
    return re.match(r"(?:[a-z]+:)?//|mailto:|data:", target)


# ---- rules: (site, page) -> complaints ----


@of_pages
def leads_where_something_is(site, name):
    """Every link inside the site, every file that a page asks for, every heading that a link names."""
    found = []
    for tag in soup(site, name).find_all(lambda tag: tag.has_attr("href") or tag.has_attr("src")):
        target, _, heading = unquote(tag.get("href") or tag.get("src") or "").partition("#")
        if external(target):
            continue
        file = beside(name, target.partition("?")[0]) if target else name
        if file not in site.files or (heading and file.endswith(".html") and not soup(site, file).find(id=heading)):
            found.append(str(tag)[:200])
    return found


@of_pages
def loads_nothing_from_elsewhere(site, name):
    tags = soup(site, name).find_all(["link", "script", "img", "iframe", "source", "video", "audio", "object", "embed"])
    asked = [tag.get("href") or tag.get("src") or tag.get("srcset") or tag.get("data") or "" for tag in tags]
    return [target for target in asked if external(target) and not target.startswith("data:")]


@of_pages
def shows_each_picture_with_its_text_equivalent(site, name):
    shown = [tag.get("alt", "") for tag in stills(site, name)]
    if name == "index.html":
        shown = [
            alt for tag, alt in zip(stills(site, name), shown, strict=True) if not tag.find_parent("a")
        ]  # its words follow
    if name not in SOURCES:
        return ["a picture without alternative text"] * shown.count("")
    saved = [output["metadata"]["image/png"]["alt"] for output in saved_pictures(SOURCES[name])]
    return [] if list(map(words, shown)) == list(map(words, saved)) else [f"{len(shown)} shown, {len(saved)} saved"]


@of_pages
def shows_each_figure_as_wide_as_it_was_drawn(site, name):
    if name not in SOURCES:
        return []
    shown = [width(tag) for tag in stills(site, name)]
    drawn = [output["metadata"]["image/png"]["width"] for output in saved_pictures(SOURCES[name])]
    return [] if shown == drawn else [f"{shown} pixels wide on the page, drawn for {drawn}"]


def stills(site, name):
    """Return the pictures of a page that do not move: of a film, what is shown where no script runs."""
    return [tag for tag in soup(site, name).article.find_all("img") if "film-below" not in tag.get("class", ())]


def width(tag):
    """In pixels of CSS; Sphinx 8 says it in the style, Sphinx 9 in an attribute."""
    styled = re.search(r"width: (\d+)px", tag.get("style", ""))
    return int(styled[1] if styled else tag.get("width", 0))


def saved_pictures(path):
    cells = nbformat.read(path, as_version=4).cells
    return [output for cell in cells for output in cell.get("outputs", []) if "image/png" in output.get("data", {})]


@of_pages
def moves_every_live_figure(site, name):
    """A film for each, but for those in which nothing can be chosen: a field for text, with one word."""
    live = [cell for cell in cells_of(name, "code") if "LiveFigure(" in cell.source and name.startswith("notebooks/")]
    wanted = [cell.outputs[-1].metadata["image/png"].alt for cell in live if "widgets.Text(" not in cell.source]
    found = [figure.noscript.img["alt"] for figure in soup(site, name).find_all("figure", class_="film") if figure.noscript]
    return [alt for alt in wanted if words(alt) not in map(words, found)]


@of_pages
def has_a_frame_and_words_for_every_state_of_a_film(site, name):
    found = []
    for figure in soup(site, name).find_all("figure", class_="film"):
        film = json.loads(figure.script.string)
        files = {beside(name, f"{figure['data-frames']}/{number:03d}.webp") for number in film["shown"]}
        lengths = len(film["states"]), len(film["shown"]), len(film["texts"])
        if files - site.files or len(set(lengths)) > 1 or not all(film["texts"]) or lengths[0] < 2:
            found.append(f"{figure['data-frames']}: {lengths} states, frames and texts; {sorted(files - site.files)[:3]}")
        if figure.find(class_="film-below")["alt"] not in film["texts"]:
            found.append(f"{figure['data-frames']} starts with words of no state")
    return found


@of_pages
def labels_every_control(site, name):
    """By a label of its own, with words, that names it or stands around it and nothing else that could have one."""
    article, found = soup(site, name).article, []
    for tag in article.find_all(["input", "select"]):
        label = (tag.get("id") and article.find("label", attrs={"for": tag["id"]})) or tag.find_parent("label")
        if not label or not label.get_text(strip=True) or label.find("output"):
            found.append(tag)
    return found


@of_pages
def asks_each_guess_and_knows_the_saved_answer(site, name):
    asked = [cell for cell in cells_of(name, "code") if re.search(r"^\w+ = Guess\(", cell.source, re.MULTILINE)]
    forms = soup(site, name).find_all("form", class_="guess")
    said = " ".join(output.get("text", "") for cell in cells_of(name, "code") for output in cell.outputs)
    unknown = [form["data-answer"] for form in forms if f"It is {form['data-answer']}." not in said]
    return unknown + [f"{len(forms)} forms for {len(asked)} guesses"] * (len(forms) != len(asked))


@of_pages
def says_what_a_shared_link_shows(site, name):
    said = {tag.get("property") or tag.get("name"): tag.get("content", "") for tag in soup(site, name).find_all("meta")}
    missing = [key for key in ("description", "og:title", "og:description", "og:image", "og:url") if not said.get(key)]
    return missing + [said["og:image"]] * ("front/shared.png" not in site.files)


@of_pages
def shows_no_raw_formula(site, name):
    text = " ".join(text for text in soup(site, name).article.find_all(string=True) if not text.find_parent(CODE))
    return re.findall(r"\$.{0,30}|\\[a-zA-Z]{2,}.{0,30}|\\\[|\\\(", text)


@of_pages
def shows_every_formula(site, name):
    wanted = sum(token.type.startswith("math") for token in tokens(name))
    formulas = soup(site, name).article.find_all("math")
    return [] if len(formulas) == wanted and not soup(site, name).find("merror") else [f"{len(formulas)} of {wanted}"]


@of_pages
def keeps_a_formula_and_its_comma_on_one_line(site, name):
    article = soup(site, name).article
    alone = [tag for tag in article.find_all("math") if not tag.find_parent(class_=["formula", "together"])]
    after = [tag.next_sibling for tag in article.find_all(class_="together")]
    return alone + [text for text in after if isinstance(text, str) and re.match(r"[^\s\w]", text)]


@of_pages
def folds_the_set_up_and_what_its_notebook_folds(site, name):
    code = cells_of(name, "code")
    folded = [cell for cell in code if cell.metadata.get("jupyter", {}).get("source_hidden") or cell is code[0]]
    wanted = [words(cell.source) for cell in folded]
    found = [words(tag.pre.get_text()) for tag in soup(site, name).article.find_all("details", class_="hide")]
    return [] if found == wanted else wanted


@of_pages
def says_all_that_its_source_says(site, name):
    """Nothing was taken for a comment, a directive or a label of MyST's."""
    said = words(soup(site, name).article.get_text())
    text = [token.content for token in tokens(name) if token.type in ("text", "code_inline", "fence")]
    code = [cell.source for cell in cells_of(name, "code")]
    return [part for part in text + code if words(part) not in said and part not in ("Open in Colab",)]


def cells_of(name, kind):
    if name not in SOURCES:
        return []
    return [cell for cell in nbformat.read(SOURCES[name], as_version=4).cells if cell.cell_type == kind]


def tokens(name):
    if name == "README.html":
        sources = [pages.README.read_text(encoding="utf8")]
    else:
        sources = [cell.source for cell in cells_of(name, "markdown")]
    if name == "index.html":
        sources = [re.search(r"^The main result of .+?(?=\n\n)", pages.README.read_text("utf8"), re.MULTILINE | re.DOTALL)[0]]
    blocks = [block for source in sources for block in MARKDOWN.parse(source)]
    return [token for block in blocks for token in (block, *(block.children or []))]


@of_pages
def launches_its_own_notebook_and_no_other(site, name):
    source = SOURCES.get(name, pages.notebooks()[0] if name == "README.html" else None)
    targets = {tag["href"] for tag in soup(site, name).find_all("a", href=re.compile("colab"))}
    wanted = {re.search(r"\]\(([^)]+)\)$", address.badge(source))[1]} if source else set()
    return [] if targets == wanted else [f"{targets} instead of {wanted}"]


@of_pages
def tells_no_answer(site, name):
    if not name.startswith("exercises/"):
        return []
    solution = address.ROOT / "exercises" / "solutions" / SOURCES[name].name
    answers = [cell.source for cell in nbformat.read(solution, as_version=4).cells if cell.cell_type == "code"]
    starter = {line.strip() for cell in cells_of(name, "code") for line in cell.source.splitlines()}
    secret = {line.strip() for cell in answers for line in cell.splitlines() if len(line) > 20} - starter
    assert secret
    said = words(soup(site, name).article.get_text())
    return [line for line in secret if words(line) in said]


@pytest.mark.parametrize("rule", RULES.values(), ids=lambda rule: rule.__name__)
def test_every_page(site, rule):
    names = ["index.html", "README.html", *SOURCES]
    assert {name: rule(site, name) for name in names if rule(site, name)} == {}


# ---- the site as a whole ----


def test_there_is_a_page_for_each_and_no_other(site):
    made = {name for name in site.files if name.endswith(".html") and not name.startswith("_static/")}
    assert made == {"index.html", "search.html", *MAP}
    assert "README.html" in made
    assert not [name for name in site.files if "solution" in name]


def test_the_map_leads_from_every_page_to_every_other_in_their_order(site):
    for name in ("index.html", *MAP):
        links = [tag["href"] for tag in soup(site, name).select(".bd-sidebar-primary nav a.reference.internal")]
        targets = [beside(name, link) if link != "#" else name for link in links]
        assert targets == MAP, name


def test_styles_load_what_is_there(site):
    for name, text in site.text.items():
        if name.endswith(".css"):
            for target in re.findall(r"url\(\s*[\"']?([^\"')]+)", text) + re.findall(r"@import\s+[\"']([^\"']+)", text):
                assert target.startswith("data:") or beside(name, re.split("[?#]", target)[0]) in site.files, (name, target)


def test_the_font_of_formulas_has_every_character_of_them(site):
    from fontTools.ttLib import TTFont

    with TTFont(site.folder / "_static" / "mathematics.woff") as font:
        known = font.getBestCmap()
        assert "MATH" in font
        assert "OFL" in font["name"].getDebugName(13) + font["name"].getDebugName(14)
    used = {character for name in SOURCES for tag in soup(site, name).find_all("math") for character in tag.get_text()}
    used -= {*" \n\ufe00"}  # the last chooses between two forms of a script letter
    assert [character for character in used if ord(character) not in known] == []
    assert {0x1D447, 0x1D6FC, 0x221A} <= set(known)  # what a browser makes of them: T and α in italics, the sign of a root


@pytest.mark.parametrize(
    ("word", "page"), [("calibr", "notebooks/07_production"), ("boot", "notebooks/01_dark_knowledge"), ("sandbox", "README")]
)
def test_search_finds_a_word_of_the_course(site, word, page):
    index = json.loads(re.fullmatch(r"Search\.setIndex\((.*)\)", site.text["searchindex.js"], re.DOTALL)[1])
    found = [index[where].get(word, []) for where in ("terms", "titleterms")]
    numbers = [number for each in found for number in (each if isinstance(each, list) else [each])]
    assert page in [index["docnames"][number] for number in numbers]


def test_figures_have_twice_the_pixels_of_their_size_on_the_page(site):
    from PIL import Image

    for name in SOURCES:
        for tag in soup(site, name).article.find_all("img"):  # films and what stands still alike
            with Image.open(site.folder / beside(name, tag["src"])) as image:
                assert image.width == 2 * width(tag)


# ---- each rule, seen to fail ----


def first(old, new):
    return lambda page: page.replace(old, new, 1)


def with_more(more):
    return lambda page: page.replace("</article>", more + "</article>", 1)


def with_page(site, name, text):
    """Return the site with another text of one page; the others need not be read again."""
    soups = {other: read for other, read in site.soups.items() if other != name}
    return SimpleNamespace(folder=site.folder, files=site.files, text={**site.text, name: text}, soups=soups)


BROKEN = [
    ("leads_where_something_is", with_more('<a href="09_nowhere.html">on</a>')),
    ("leads_where_something_is", with_more('<a href="02_temperature.html#nothing-of-the-kind">on</a>')),
    ("leads_where_something_is", with_more('<a href="#nothing-of-the-kind">up</a>')),
    ("leads_where_something_is", first("../_static/course.css", "../_static/curse.css")),
    ("leads_where_something_is", lambda page: re.sub(r'src="\.\./_images/\w', 'src="../_images/x', page, count=1)),
    ("loads_nothing_from_elsewhere", first("</head>", '<script src="https://example.org/a.js"></script></head>')),
    ("loads_nothing_from_elsewhere", first("</head>", '<link rel="stylesheet" href="//example.org/a.css"></head>')),
    (
        "shows_each_picture_with_its_text_equivalent",
        lambda page: re.sub(r'<img (?=[^>]*_images/)([^>]*?)alt="[^"]*"', r'<img \1alt=""', page, count=1),
    ),
    ("shows_each_figure_as_wide_as_it_was_drawn", lambda page: re.sub(r"(width\W{2})880", r"\g<1>1760", page)),
    ("moves_every_live_figure", first('<figure class="film"', '<figure class="still"')),
    ("has_a_frame_and_words_for_every_state_of_a_film", first('"states":[[0]', '"states":[[0],[0]')),
    ("has_a_frame_and_words_for_every_state_of_a_film", first('data-frames="../films/01', 'data-frames="../films/10')),
    ("labels_every_control", with_more('<p>x <input type="range"></p>')),
    ("asks_each_guess_and_knows_the_saved_answer", first('class="guess"', 'class="guest"')),
    ("asks_each_guess_and_knows_the_saved_answer", lambda page: re.sub(r'data-answer="\d', 'data-answer="9', page, count=1)),
    ("says_what_a_shared_link_shows", first('name="description"', 'name="descriptor"')),
    ("shows_no_raw_formula", with_more(r"<p>where $p_i$ is</p>")),
    ("shows_no_raw_formula", with_more(r"<p>so \frac{1}{2}</p>")),
    ("shows_every_formula", lambda page: re.sub(r"<math.*?</math>", "", page, count=1, flags=re.DOTALL)),
    ("shows_every_formula", first("</math>", "<merror></merror></math>")),
    ("keeps_a_formula_and_its_comma_on_one_line", first("</math>,</span>", "</math></span>,")),
    ("keeps_a_formula_and_its_comma_on_one_line", first('class="together"', "")),
    ("folds_the_set_up_and_what_its_notebook_folds", lambda page: page.replace("details", "section")),
    ("says_all_that_its_source_says", first("ranks all classes", "")),
    ("says_all_that_its_source_says", first("plot_histograms", "")),
    ("launches_its_own_notebook_and_no_other", first("blob/main/notebooks/01", "blob/main/notebooks/02")),
    ("launches_its_own_notebook_and_no_other", first(address.slug() + "/blob", "someone/else/blob")),
]


@pytest.mark.parametrize(("name", "spoil"), BROKEN, ids=[f"{name}-{n}" for n, (name, _) in enumerate(BROKEN)])
def test_a_spoilt_page_is_told_by_its_rule_and_by_no_other(site, name, spoil):
    page = "notebooks/01_dark_knowledge.html"
    spoilt = spoil(site.text[page])
    assert spoilt != site.text[page]
    broken = with_page(site, page, spoilt)
    assert {rule for rule in RULES if RULES[rule](broken, page)} == {name}


def test_a_page_that_tells_an_answer_is_told(site):
    page = "exercises/01_soft_targets.html"
    cells = nbformat.read(address.ROOT / "exercises" / "solutions" / "01_soft_targets.ipynb", as_version=4).cells
    answer = next(cell.source for cell in cells if "# === answer" in cell.source)
    spoilt = with_more(f"<pre>{html.escape(answer)}</pre>")(site.text[page])
    broken = with_page(site, page, spoilt)
    assert [rule for rule in RULES if RULES[rule](broken, page)] == ["tells_no_answer"]


def test_every_rule_was_seen_to_fail():
    assert {name for name, _ in BROKEN} | {"tells_no_answer"} == set(RULES)


# ---- the pages before Sphinx reads them ----


@pytest.mark.parametrize(
    ("link", "becomes"),
    [
        ("02_temperature.ipynb", "02_temperature.ipynb"),
        ("../exercises/01_soft_targets.ipynb#entropy", "../exercises/01_soft_targets.ipynb#entropy"),
        ("#a-heading", "#a-heading"),
        ("https://example.org/a", "https://example.org/a"),
        ("../course_lib/losses.py#L3", f"{address.address()}/blob/main/course_lib/losses.py#L3"),
        ("../course_lib", f"{address.address()}/tree/main/course_lib"),
        ("../exercises/solutions", f"{address.address()}/tree/main/exercises/solutions"),
    ],
)
def test_a_link_stays_on_the_site_or_leads_to_the_repository(link, becomes):
    assert pages.links(f"[a]({link}) and ![b]({link})", pages.notebooks()[0]) == f"[a]({becomes}) and ![b]({becomes})"


# ---- where it is written to ----


@pytest.fixture
def small(monkeypatch):
    """A course of one page."""
    monkeypatch.setattr(pages, "write", lambda folder: (folder / "index.md").write_text("# Small\n\n$T = 1$\n", "utf8"))


def test_what_an_earlier_build_left_is_replaced(small, tmp_path, monkeypatch, capsys):
    assert build.main(["--out", str(tmp_path / "new" / "site")]) == 0
    monkeypatch.setattr(pages, "write", lambda folder: (folder / "index.md").write_text("# Other\n", "utf8"))
    assert build.main(["--out", str(tmp_path / "new" / "site")]) == 0
    assert "Other" in (tmp_path / "new" / "site" / "index.html").read_text("utf8")
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["site"]
    assert "index.html" in capsys.readouterr().out


def content(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("spoil", ["added", "changed", "forgotten", "scrambled"])
def test_a_folder_that_holds_anything_else_is_left_as_it_is(small, tmp_path, spoil, capsys):
    out = tmp_path / "site"
    build.build(out)
    name, text = {
        "added": ("mine.txt", "mine"),
        "changed": ("index.html", "mine"),
        "forgotten": (build.MADE, "{}"),
        "scrambled": (build.MADE, "no json"),
    }[spoil]
    (out / name).write_text(text, "utf8")
    before = content(tmp_path)
    assert build.main(["--out", str(out)]) == 1
    assert content(tmp_path) == before
    assert {"added": "mine.txt", "changed": "index.html"}.get(spoil, ".buildinfo") in capsys.readouterr().err


def test_a_file_in_place_of_the_folder_is_left_as_it_is(small, tmp_path, capsys):
    (tmp_path / "site").write_text("mine", "utf8")
    assert build.main(["--out", str(tmp_path / "site")]) == 1
    assert (tmp_path / "site").read_text("utf8") == "mine"
    assert "is a file" in capsys.readouterr().err


@pytest.mark.parametrize("wrong", [r"$\nocommand{T}$", "[on](09_nowhere.ipynb)", "![b](nowhere.png)"])
def test_a_wrong_formula_or_link_is_an_error_and_the_old_site_stays(small, tmp_path, monkeypatch, capsys, wrong):
    build.build(tmp_path / "site")
    before = content(tmp_path)
    monkeypatch.setattr(pages, "write", lambda folder: (folder / "index.md").write_text(f"# Wrong\n\n{wrong}\n", "utf8"))
    assert build.main(["--out", str(tmp_path / "site")]) == 1
    assert content(tmp_path) == before
    assert "index.md" in capsys.readouterr().err
