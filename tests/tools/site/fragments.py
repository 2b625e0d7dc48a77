"""What Markdown has no words for: a film and a guess, as HTML. course.js moves them; without it, a film is the saved still."""

import html
import json
import re

NUMBER = re.compile(r"(-?[\d.,]+)( .*)?")
UNIT = re.compile(r"(?<=\d) (?=%)")  # where a line is not to break


def film_figure(folder: str, film: dict, still: str, drawn: tuple[int, int], alt: str) -> str:
    """Return a film as a figure.

    folder: the address of its pictures, seen from the page. film: what film.json holds. still: the address of the saved
    picture, which is `drawn` (width, height) CSS pixels large and says `alt`.
    """
    width, height = film["size"]
    left, top, right, bottom = (side / 2 for side in film["region"])
    places = {"left": left / width, "top": top / height, "width": (right - left) / width, "height": (bottom - top) / height}
    over = "; ".join(f"{name}: {100 * share:.4f}%" for name, share in places.items())
    texts = [UNIT.sub("\N{NO-BREAK SPACE}", each) for each in film["texts"]]
    text = texts[film["start"]]
    tracks = [track["words"] for track in film["tracks"]]
    data = {"tracks": tracks, "states": film["states"], "shown": film["shown"], "texts": texts}
    name = folder.rpartition("/")[2]
    controls = "".join(_control(track, f"film-{name}-{number}") for number, track in enumerate(film["tracks"]))
    return f"""<figure class="film" data-frames="{_said(folder)}">
<div class="film-moves">
<div class="film-controls">{controls}</div>
<div class="film-window"><div class="film-picture" style="max-width: {width}px">
<img class="film-below" src="{_said(folder)}/below.webp" width="{width}" height="{height}" alt="{_said(text)}" loading="lazy">
<div class="film-over" style="{over}"></div>
</div></div>
<p class="film-words" role="status">{html.escape(text)}</p>
</div>
<noscript><img src="{_said(still)}" width="{drawn[0]}" height="{drawn[1]}" alt="{_said(alt)}"></noscript>
<script type="application/json">{_data(data)}</script>
</figure>"""


def _control(track: dict, name: str) -> str:
    """Return a control: an input that every browser and screen reader knows, with its label, and what it stands at."""
    label, words, start = html.escape(track["label"]), track["words"], track["start"]
    if track["kind"] == "checkbox":
        return f'<label class="film-check"><input type="checkbox"{" checked" * start}> {label}</label>'
    if track["kind"] == "menu":
        options = "".join(
            f"<option{' selected' * (number == start)}>{html.escape(word)}</option>" for number, word in enumerate(words)
        )
        return f"<label>{label} <select>{options}</select></label>"
    now = _said(words[start])
    return _slider(label, name, now, f'min="0" max="{len(words) - 1}" value="{start}" aria-valuetext="{now}"')


def _slider(label: str, name: str, now: str, settings: str, unit: str = "") -> str:
    """Return a slider under its label and what it stands at. That is outside of the label, which else would belong to it."""
    said = f'<label for="{name}">{label}</label> <output for="{name}" aria-live="off">{now}</output>{unit}'
    return f'<div class="film-slider"><div>{said}</div><input id="{name}" type="range" {settings}></div>'


def guess_form(question: dict, answer: str, name: str) -> str:
    """Return a question as a form that shows the measured `answer`, such as "64 %", once it is asked for.

    question: a Question's fields. name: of its buttons, another for each guess of a page. Without a script the answer is
    behind a click.
    """
    said = re.fullmatch(NUMBER, answer)
    if isinstance(question["answers"][0], str):
        options = "".join(
            f'<label><input type="radio" name="{name}" value="{_said(word)}"> {html.escape(word)}</label>'
            for word in question["answers"]
        )
        fields, kind = f'<div class="guess-words">{options}</div>', "words"
    elif said is None:
        raise ValueError(f"the guess {question['question']!r} is answered by {answer!r}, which is no number")
    else:
        low, high, step = question["answers"]
        unit = f" {html.escape(question['unit'])}" if question["unit"] else ""
        settings = f'min="{low:g}" max="{high:g}" step="{step:g}" value="{low:g}"'
        fields = _slider("Your guess", _said(name), f"{low:g}", settings, unit)
        kind = "number"
    return f"""<form class="guess" data-kind="{kind}" data-answer="{_said(answer)}" data-unit="{_said(question["unit"])}">
<fieldset><legend>{html.escape(question["question"])}</legend>
{fields}
<button type="submit">See</button>
<p role="status"></p></fieldset>
<noscript><details><summary>The answer</summary>It is {html.escape(answer)}.</details></noscript>
</form>"""


def _said(text: str) -> str:
    return html.escape(str(text), quote=True)


def _data(data: dict) -> str:
    return json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("</", "<\\/")
