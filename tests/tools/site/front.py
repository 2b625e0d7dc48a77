"""The front page: what this is, a figure to drag at once, three doors, the map as pictures, one result.

Its words about the course are the README's; only what leads a visitor on is written here.
"""

import base64
import html
import io
import re
from pathlib import Path
from typing import NamedTuple

import nbformat
from PIL import Image

from tests.tools import address
from tests.tools.site import fragments
from tests.tools.site.moving import films_in

FLAGSHIP = "02_temperature"  # the notebook whose first film is dragged on the front page, and shown on the README's
LABELS = {"T": "temperature T", "picture": "photograph"}
RESULT = address.ROOT / "tests" / "tools" / "pictures" / "main_result.png"
ROW = re.compile(r"^\| \[(\d\d [^]]+)\]\((notebooks/[^)]+)\.ipynb\) \| (.+?) \| (.+?) \|", re.MULTILINE)
MOVING = re.compile(r"^!\[(.+?)\]\(\S+\.gif\)$", re.MULTILINE)
SHARED = (1200, 630)  # pixels of the picture that a shared link shows
THUMBNAIL = 560  # pixels, at twice the density

PAGE = """# {title}

<p class="lead">{sentence}</p>

<p class="on-paper"><b>Drag the temperature T.</b> The bars are the teacher's answer about one photograph. T = 1 is its answer
as it is; a higher T reads the same answer more softly.</p>

{film}

<p class="on-paper">At T = 1/8 the teacher names one of ten kinds of clothes and nothing else. Raise T: what else it sees in the
photograph comes to light, first what looks most like it. That is what a student learns from, and a label does not say it. Far
to the right all ten are nearly alike, and little is left to learn. The lower curve is the entropy: how many bits the answer
leaves open.</p>

<nav class="doors" aria-label="Where to begin">
<a href="{first}.html"><b>Learn</b><span>{count} notebooks, figures that move, students trained in seconds. Read them
here, or run them.</span></a>
<a href="README.html#for-instructors"><b>Teach</b><span>Exercises that name the usual mistakes, and one command that grades a
class.</span></a>
<a href="README.html#use-the-loss-in-your-own-work"><b>Use the loss</b><span>One file to copy: exact in half precision, quick on
large vocabularies.</span></a>
</nav>

## The course

<ul class="map">
{cards}
</ul>

## One result

{result}

```{{image}} {picture}
:alt: {alt}
:width: {width}px
```

{verdict}
"""
CARD = """<li><a href="{page}.html"><img src="{picture}" width="{width}" height="{height}" alt="" loading="lazy"><b>{title}</b>
<span>{asks}</span><small>{takes}</small></a></li>"""


class Flagship(NamedTuple):
    """The film that stands for the course: the folder of its files, its address on the site, and what film.json holds."""

    folder: Path
    address: str
    film: dict


def flagship(films: dict[str, Path]) -> Flagship:
    """Return the first film of that notebook; films: stem of a notebook -> folder of its films."""
    (number, picture), film = next(iter(films_in(films[FLAGSHIP]).items()))
    return Flagship(films[FLAGSHIP] / f"{number}-{picture}", f"films/{FLAGSHIP}/{number}-{picture}", film)


def figure(shown: Flagship) -> str:
    """Return the film as a figure for a page at the top of the site, its controls named for who has not read a line yet."""
    still, text = f"{shown.address}/below.webp", shown.film["texts"][shown.film["start"]]
    tracks = [{**track, "label": LABELS.get(track["label"], track["label"])} for track in shown.film["tracks"]]
    made = fragments.film_figure(shown.address, {**shown.film, "tracks": tracks}, still, tuple(shown.film["size"]), text)
    return f"```{{raw}} html\n{made}\n```"


def page(readme: str, films: dict[str, Path], out: Path) -> str:
    """Write the pictures of the front page to `out`/front, and return the page, as Markdown."""
    folder, shown = out / "front", flagship(films)
    folder.mkdir(parents=True)
    shared_picture(shown.folder / "below.webp", folder / "shared.png")
    rows = ROW.findall(readme)
    title = re.match(r"# (.+)", readme)[1]
    sentence = re.search(r"\n\n(A course in.+?\.) ", readme, re.DOTALL)[1]
    alt, picture = re.search(r"^!\[(.+?)\]\((\S+main_result\.png)\)$", readme, re.MULTILINE).groups()
    result = re.search(r"^The main result of .+?(?=\n\n)", readme, re.MULTILINE | re.DOTALL)[0]
    verdict = re.search(r"^Shuffled among .+?(?=\n\n)", readme, re.MULTILINE | re.DOTALL)[0]
    with Image.open(RESULT) as image:
        width = image.width // 2
    return PAGE.format(
        title=title,
        sentence=html.escape(" ".join(sentence.split())),
        film=figure(shown),
        first=rows[0][1],
        count=len(rows),
        cards="\n".join(_card(row, films, folder) for row in rows),
        result=result,
        picture=picture,
        alt=alt,
        width=width,
        verdict=verdict,
    )


def _card(row: tuple[str, str, str, str], films: dict[str, Path], folder: Path) -> str:
    title, page, asks, takes = row
    stem = page.rpartition("/")[2]
    with Image.open(_first_picture(page, films.get(stem))) as image:
        size = (THUMBNAIL, round(image.height * THUMBNAIL / image.width))
        small = image.convert("RGB").resize(size, Image.Resampling.LANCZOS)
    small.save(folder / f"{stem}.webp", quality=70)
    words = {"title": html.escape(title), "asks": html.escape(asks), "takes": html.escape(takes)}
    return CARD.format(page=page, picture=f"front/{stem}.webp", width=small.width // 2, height=small.height // 2, **words)


def _first_picture(page: str, films: Path | None) -> Path | io.BytesIO:
    """Return how the first film of a notebook starts or, if it has none, its first saved picture."""
    for number, picture in films_in(films) if films else ():
        return films / f"{number}-{picture}" / "below.webp"
    cells = nbformat.read(address.ROOT / f"{page}.ipynb", as_version=4).cells
    outputs = (output.get("data", {}) for cell in cells for output in cell.get("outputs", ()))
    return io.BytesIO(base64.b64decode(next(data["image/png"] for data in outputs if "image/png" in data)))


def shared_picture(below: Path, path: Path) -> None:
    """Write what a shared link shows: the film's first picture, in the middle of white."""
    with Image.open(below) as image:
        picture = image.convert("RGB")
    picture.thumbnail(SHARED, Image.Resampling.LANCZOS)
    whole = Image.new("RGB", SHARED, "white")
    whole.paste(picture, ((SHARED[0] - picture.width) // 2, (SHARED[1] - picture.height) // 2))
    whole.quantize(128, dither=Image.Dither.NONE).save(path, optimize=True)
