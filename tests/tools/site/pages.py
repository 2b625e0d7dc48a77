"""The pages of the site, made from the README, the notebooks and the starters as they are; nothing is written twice.

`write(folder)` puts what Sphinx reads into a folder, under the paths that the files have in the repository.
"""

import re
import shutil
from pathlib import Path

import nbformat

from tests.tools import address
from tests.tools.site import filming, front, moving

RECIPE = address.ROOT / "notebooks" / "recipe.md"
README = address.ROOT / "README.md"
LINK = re.compile(r"(?<=\]\()[^)\s]+(?=\))")
EXTRA = "extra"  # the folder of what goes to the site as it is
ON_PAPER = {
    "notebooks": "Figures move here; code runs in a live notebook. {} or in JupyterLab.",
    "exercises": "Answers are written and checked in a live notebook. {} or in JupyterLab.",
}
CONTENTS = """
```{{toctree}}
:hidden:
:caption: {caption}

{names}
```
"""


def notebooks() -> list[Path]:
    return sorted((address.ROOT / "notebooks").glob("*.ipynb"))


def starters() -> list[Path]:
    return sorted((address.ROOT / "exercises").glob("*.ipynb"))


def pictures() -> list[Path]:
    """Return the pictures that the README shows and that do not move."""
    return sorted(path for path in (address.ROOT / "tests" / "tools" / "pictures").iterdir() if path.suffix == ".png")


def write(folder: Path, films: dict[str, Path] | None = None) -> None:
    """films: stem of a notebook -> the folder of its films; made now, unless they are given."""
    if films is None:
        films = {path.stem: made for path, made in filming.films_of(notebooks()).items()}
    for path in notebooks() + starters():
        notebook, extra = page(path), folder / EXTRA / "films" / path.stem
        if path.stem in films:
            moving.put_films(notebook, films[path.stem], extra, f"../films/{path.stem}")
            moving.put_guesses(notebook, films[path.stem])
        nbformat.write(notebook, _target(folder, path))
    _target(folder, RECIPE).write_text(links(RECIPE.read_text(encoding="utf8"), RECIPE), encoding="utf8")
    for path in pictures():
        shutil.copy(path, _target(folder, path))
    text = README.read_text(encoding="utf8")
    (folder / "README.md").write_text(readme(text, films), encoding="utf8")
    (folder / "index.md").write_text(front.page(text, films, folder / EXTRA) + contents(), encoding="utf8")


def readme(text: str, films: dict[str, Path]) -> str:
    """Return the README as a page: its moving picture as a film, which moves when it is asked to."""
    text = text.replace(address.badge(notebooks()[0]), _launch("Open the first notebook in Colab", notebooks()[0]))
    return links(front.MOVING.sub(lambda _: front.figure(front.flagship(films)), text), README)


def contents() -> str:
    """Return the map of the site that goes into the sidebar."""
    text = ""
    groups = (("Notebooks", [*notebooks(), RECIPE]), ("Exercises", starters()), ("The project", [README]))
    for caption, paths in groups:
        names = "\n".join(_in_repository(path.with_suffix("")) for path in paths)
        text += CONTENTS.format(caption=caption, names=names)
    return text


def page(path: Path) -> nbformat.NotebookNode:
    """Return a notebook as it is saved, without what only a live one needs."""
    notebook = nbformat.read(path, as_version=4)
    notebook.metadata.language_info.pygments_lexer = "ipython3"  # a cell may hold a magic
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            note = "{.on-paper}\n" + ON_PAPER[path.parent.name].format(_launch("Open it in Colab", path))
            cell.source = links(cell.source.replace(address.badge(path), note), path)
        else:
            folded = cell.metadata.get("jupyter", {}).get("source_hidden", False)
            shown = {**_alternative(cell), **_title(cell)}
            cell.metadata = nbformat.from_dict({"mystnb": shown, "tags": ["hide-input"] * folded})
    set_up = next(cell for cell in notebook.cells if cell.cell_type == "code")
    set_up.metadata.tags = ["hide-input"]
    set_up.metadata.mystnb = {"code_prompt_show": "Set-up", "code_prompt_hide": "Set-up", **set_up.metadata.mystnb}
    return notebook


def links(text: str, page: Path) -> str:
    """Links to what is on the site stay, links to other files of the repository lead to its address."""
    here = {path.resolve() for path in [*notebooks(), *starters(), *pictures(), RECIPE, README]}

    def there(link: re.Match) -> str:
        target, hash_sign, heading = link[0].partition("#")
        path = (page.parent / target).resolve()
        if not target or re.match(r"\w+:", target) or path in here:
            return link[0]
        return f"{address.address()}/{'tree' if path.is_dir() else 'blob'}/main/{_in_repository(path)}{hash_sign}{heading}"

    return LINK.sub(there, text)


def _launch(words: str, path: Path) -> str:
    return f"[{words}]({LINK.findall(address.badge(path))[-1]}){{.launch}}"


def _alternative(cell: nbformat.NotebookNode) -> dict:
    """The text equivalent of a cell's picture, where myst-nb looks for it; the size it finds by itself."""
    texts = [output.metadata["image/png"].alt for output in cell.outputs if "image/png" in output.get("data", {})]
    return {"image": {"alt": "\n".join(texts)}} if texts else {}


def _title(cell: nbformat.NotebookNode) -> dict:
    """The title of a folded cell, `#@title …` in its first line, as the words that one clicks on."""
    title = re.match(r"#@title (.+)", cell.source)
    return {"code_prompt_show": title[1], "code_prompt_hide": title[1]} if title else {}


def _in_repository(path: Path) -> str:
    return path.relative_to(address.ROOT).as_posix()


def _target(folder: Path, path: Path) -> Path:
    target = folder / path.relative_to(address.ROOT)
    target.parent.mkdir(parents=True, exist_ok=True)
    return target
