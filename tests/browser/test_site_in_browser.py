"""The built site as a reader meets it: wide and narrow, light and dark, with nothing but its own folder to load from."""

import base64
import functools
import http.server
import io
import json
import shutil
import subprocess
import tarfile
import threading

import pytest
from lab import browser, why_not

pytest.importorskip("sphinx", reason="the site needs pip install -e '.[site]'")

import numpy as np
from PIL import Image

from tests.tools.site import build, filming, moving, pages

pytestmark = [
    pytest.mark.skipif(bool(why_not()), reason=why_not() or "there is a browser"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::PendingDeprecationWarning"),  # Sphinx's extensions
]
NAMES = [
    "index.html",
    "README.html",
    *(f"{path.parent.name}/{path.stem}.html" for path in pages.notebooks() + pages.starters()),
]
# What sticks out on the right and is not inside of something that scrolls.
STICKS_OUT = """() => [...document.querySelectorAll('article *')].filter(node => {
    if (node.getBoundingClientRect().right <= innerWidth + 1) return false;
    for (let up = node.parentElement; up.tagName !== 'ARTICLE'; up = up.parentElement)
        if (getComputedStyle(up).overflowX !== 'visible') return false;
    return true;
}).map(node => node.outerHTML.slice(0, 100))"""
FIRST_VIEW = 1_500_000  # bytes, unpacked as a plain server sends them
# The picture below a film is asked for when it comes into sight, and is there some time later.
BELOW_IS_THERE = "film => { const below = film.querySelector('.film-below'); below.loading = 'eager'; return below.decode(); }"
# What a film shows, as it lies there: the picture below, and over it the frame where it belongs.
SHOWN = """film => {
    const below = film.querySelector('.film-below'), over = film.querySelector('.film-over img');
    const canvas = document.createElement('canvas'), sides = film.querySelector('.film-over').style;
    [canvas.width, canvas.height] = [below.naturalWidth, below.naturalHeight];
    const context = canvas.getContext('2d'), part = name => parseFloat(sides[name]) / 100;
    context.drawImage(below, 0, 0);
    if (over) context.drawImage(over, Math.round(part('left') * canvas.width), Math.round(part('top') * canvas.height));
    return canvas.toDataURL('image/png').split(',')[1];
}"""
# By how many pixels the frame over a picture lies, or ends, elsewhere than it should.
ASIDE = """film => {
    const inside = image => {
        const box = image.getBoundingClientRect(), style = getComputedStyle(image), side = name => parseFloat(style[name]) || 0;
        return [box.x + side('paddingLeft') + side('borderLeftWidth'), box.y + side('paddingTop') + side('borderTopWidth'),
                image.clientWidth - side('paddingLeft') - side('paddingRight'),
                image.clientHeight - side('paddingTop') - side('paddingBottom')];
    };
    const image = film.querySelector('.film-below'), [x, y, width, height] = inside(image);
    const over = film.querySelector('.film-over img'), sides = film.querySelector('.film-over').style;
    const part = name => parseFloat(sides[name]) / 100;
    const wanted = [x + part('left') * width, y + part('top') * height,
                    over.naturalWidth * width / image.naturalWidth, over.naturalHeight * height / image.naturalHeight];
    return Math.max(...inside(over).map((found, each) => Math.abs(found - wanted[each])));
}"""
# A browser loads a font when something on the page is drawn in it.
IN_OUR_FONT = """async () => {
    await document.fonts.ready;
    return [...document.fonts].some(font => font.family.includes('Course Mathematics') && font.status === 'loaded');
}"""


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """The URL at which the site is served."""
    out = tmp_path_factory.mktemp("built") / "site"
    build.build(out)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=out)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture(scope="module")
def chromium():
    with browser() as opened:
        yield opened


def heard(page, address):
    """Return a list that grows while a page is used, of what should not happen: requests to elsewhere or in vain, errors."""
    complaints = []
    page.on("request", lambda request: request.url.startswith((address, "data:")) or complaints.append(request.url))
    page.on("response", lambda response: response.status < 400 or complaints.append(f"{response.status} {response.url}"))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda said: said.type in ("error", "warning") and complaints.append(said.text))
    return complaints


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_every_page_fits_its_window_and_loads_from_its_folder_alone(chromium, address, width, scheme):
    page = chromium.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    complaints = heard(page, address)
    for name in NAMES:
        page.goto(address + name)
        assert page.evaluate("() => document.documentElement.scrollWidth") <= width, name
        assert page.evaluate(STICKS_OUT) == [], name
        assert page.evaluate("() => [...document.images].filter(each => each.complete && !each.naturalWidth).length") == 0, name
        assert not page.locator("math").count() or page.evaluate(IN_OUR_FONT), name
        dark = page.evaluate("() => getComputedStyle(document.body).backgroundColor.match(/\\d+/g).every(part => part < 60)")
        assert dark == (scheme == "dark"), name
    assert complaints == []
    page.close()


def test_the_first_view_of_every_page_is_light(chromium, address):
    weights = {}
    for name in NAMES:
        page, sizes = chromium.new_page(viewport={"width": 1280, "height": 900}), []
        page.on("response", lambda answer, sizes=sizes: sizes.append(int(answer.headers.get("content-length", 0))))
        page.goto(address + name, wait_until="networkidle")
        weights[name] = sum(sizes)
        page.close()
    assert {name: weight for name, weight in weights.items() if weight > FIRST_VIEW} == {}


# ---- films ----


def films_on(page):
    return page.locator("figure.film").all()


def data_of(film):
    return json.loads(film.locator("script").text_content())


def controls_of(film):
    return film.locator(".film-controls input, .film-controls select").all()


def state_of(film):
    """The numbers of the values that the controls stand at."""
    code = "node => node.type === 'checkbox' ? +node.checked : node.tagName === 'SELECT' ? node.selectedIndex : +node.value"
    return [control.evaluate(code) for control in controls_of(film)]


def assert_shows_its_state(page, film, name):
    """The frame, the words and the alternative text are those of what the controls stand at."""
    data = data_of(film)
    number = data["states"].index(state_of(film))
    code = "([film, frame]) => film.dataset.frame === String(frame)"
    try:
        page.wait_for_function(code, arg=[film.element_handle(), data["shown"][number]], timeout=30_000)
    except Exception as error:
        raise AssertionError(f"{name}: frame {film.get_attribute('data-frame')}, not {data['shown'][number]}") from error
    shown = film.locator(".film-over img")
    film.evaluate(BELOW_IS_THERE)
    assert film.evaluate(ASIDE) < 1.5, name
    assert shown.get_attribute("src").endswith(f"/{data['shown'][number]:03d}.webp"), name
    assert film.locator("[role=status]").text_content() == data["texts"][number], name
    assert film.locator(".film-below").get_attribute("alt") == data["texts"][number], name
    for control, words, value in zip(controls_of(film), data["tracks"], state_of(film), strict=True):
        if control.get_attribute("type") == "range":
            assert control.get_attribute("aria-valuetext") == words[value], name


def set_value(control, value):
    kind = control.get_attribute("type")
    if kind == "checkbox":
        control.set_checked(bool(value))
    elif kind == "range":
        control.fill(str(value))
    else:
        control.select_option(index=value)


def move_by_keyboard(page, control):
    control.focus()
    kind = control.get_attribute("type")
    if kind == "checkbox":
        page.keyboard.press("Space")
    else:
        at_the_end = control.evaluate("node => node.tagName === 'SELECT' ? node.selectedIndex > 0 : +node.value >= +node.max")
        page.keyboard.press(
            {True: "ArrowUp", False: "ArrowDown"}[at_the_end]
            if kind is None
            else {True: "ArrowLeft", False: "ArrowRight"}[at_the_end]
        )


def point_on(slider, share):
    box = slider.bounding_box()
    return box["x"] + box["width"] * share, box["y"] + box["height"] / 2


def films_of_every_page(page, address):
    """Yield (name of the page, film), with the film in sight."""
    for name in NAMES:
        if name.startswith("exercises/"):
            continue
        page.goto(address + name)
        for film in films_on(page):
            film.scroll_into_view_if_needed()
            yield name, film


def test_every_film_moves_under_keyboard_and_mouse(chromium, address):
    page = chromium.new_page(viewport={"width": 1280, "height": 900}, color_scheme="light")
    complaints, count = heard(page, address), 0
    for name, film in films_of_every_page(page, address):
        count += 1
        for control in controls_of(film):
            before = state_of(film)
            move_by_keyboard(page, control)
            assert state_of(film) != before, name
            assert_shows_its_state(page, film, name)
            if control.get_attribute("type") == "range":
                page.mouse.click(*point_on(control, 0.9))
                assert_shows_its_state(page, film, name)
                page.mouse.move(*point_on(control, 0.9))
                page.mouse.down()
                page.mouse.move(*point_on(control, -0.05), steps=5)
                page.mouse.up()
                assert control.input_value() == "0", name
                assert_shows_its_state(page, film, name)
    assert count > len(pages.notebooks())
    assert complaints == []
    page.close()


def test_every_film_moves_under_a_finger_and_the_page_does_not(chromium, address):
    context = chromium.new_context(viewport={"width": 390, "height": 844}, color_scheme="dark", has_touch=True, is_mobile=True)
    page = context.new_page()
    complaints, touch = heard(page, address), context.new_cdp_session(page)

    def drag(start, end):
        way = [(start[0] + (end[0] - start[0]) * k / 5, start[1] + (end[1] - start[1]) * k / 5) for k in range(1, 6)]
        for kind, points in (("touchStart", [start]), *(("touchMove", [point]) for point in way), ("touchEnd", [])):
            touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y} for x, y in points]})

    for name, film in films_of_every_page(page, address):
        for control in film.locator("input[type=range]").all():
            control.scroll_into_view_if_needed()
            height = page.evaluate("() => scrollY")
            start = point_on(control, 0.5)
            drag(start, (point_on(control, 0.03)[0], start[1] + 40))
            assert control.input_value() == "0", name
            drag(start, (point_on(control, 0.97)[0], start[1] + 40))
            assert control.input_value() == control.get_attribute("max"), name
            assert_shows_its_state(page, film, name)
            assert page.evaluate("() => scrollY") == height, name
    page.goto(address + "notebooks/02_temperature.html")
    drag((200, 700), (200, 300))  # anywhere else a finger scrolls
    page.wait_for_function("() => scrollY > 100")
    assert complaints == []
    context.close()


def test_every_film_shows_what_its_figure_shows(chromium, address):
    """Compared with the PNGs that the LiveFigure itself gave for some states; packing may change a colour by a little."""
    page, compared = chromium.new_page(viewport={"width": 1280, "height": 900}), 0
    folders = filming.films_of(pages.notebooks())
    for notebook in pages.notebooks():
        page.goto(f"{address}notebooks/{notebook.stem}.html")
        for place in moving.films_in(folders[notebook]):
            folder = folders[notebook] / "{}-{}".format(*place)
            film = page.locator(f'figure.film[data-frames$="/{notebook.stem}/{folder.name}"]')
            states = data_of(film)["states"]
            for path in sorted(folder.glob(f"{filming.REFERENCE}*.png")):
                number = int(path.stem.removeprefix(filming.REFERENCE))
                for control, value in zip(controls_of(film), states[number], strict=True):
                    set_value(control, value)
                for control, value in zip(controls_of(film), states[number], strict=True):
                    set_value(control, value)  # once more: a state on the way may not have been filmed
                assert state_of(film) == states[number], path
                assert_shows_its_state(page, film, path)  # setting a control asks for its frame, which comes when it comes
                shown = Image.open(io.BytesIO(base64.b64decode(film.evaluate(SHOWN)))).convert("RGB")
                wanted = Image.open(path).convert("RGB")
                assert shown.size == wanted.size, path
                apart = np.abs(np.asarray(shown).astype(int) - np.asarray(wanted))
                assert apart.mean() < 3, path
                assert np.quantile(apart, 0.99) <= 32, path
                compared += 1
    assert compared > 2 * len(pages.notebooks())
    page.close()


def test_a_film_plays_and_pauses_and_does_neither_by_itself(chromium, address):
    page = chromium.new_page()
    page.goto(address + "index.html")
    film = page.locator("figure.film")
    button, slider = film.locator(".film-play"), film.get_by_label("temperature T", exact=True)
    before = slider.input_value()
    page.wait_for_timeout(500)
    assert slider.input_value() == before
    button.click()
    assert button.get_attribute("aria-label") == "Pause: temperature T"
    page.wait_for_function("([slider, before]) => slider.value !== before", arg=[slider.element_handle(), before])
    button.click()
    stopped = slider.input_value()
    page.wait_for_timeout(500)
    assert slider.input_value() == stopped
    assert button.get_attribute("aria-label") == "Play: temperature T"
    assert_shows_its_state(page, film, "index.html")
    page.close()


def test_a_guess_is_made_before_the_answer_is_shown(chromium, address):
    page = chromium.new_page()
    page.goto(address + "notebooks/06_temperature_schedules.html")
    by_words = page.locator("form.guess[data-kind=words]").first
    assert by_words.locator("p").text_content() == ""
    by_words.get_by_label("falling").check()
    by_words.get_by_role("button", name="See").click()
    assert by_words.locator("p").text_content() == "It is rising. You guessed falling."
    page.goto(address + "notebooks/02_temperature.html")
    by_number = page.locator("form.guess[data-kind=number]").last
    by_number.get_by_label("Your guess").fill("1")
    by_number.get_by_role("button", name="See").click()
    answer = by_number.get_attribute("data-answer")
    apart = float(answer.split()[0]) - 1
    assert by_number.locator("p").text_content() == f"You guessed 1 points. It is {answer}: {apart:.1f} more."
    page.close()


def test_without_a_script_a_page_shows_the_saved_still_and_answers_a_guess_at_a_click(chromium, address):
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(address + "notebooks/02_temperature.html")
    film, guess = page.locator("figure.film").first, page.locator("form.guess").first
    assert film.locator("noscript img").is_visible()
    assert not film.locator(".film-below").is_visible()
    guess.locator("summary").click()
    assert f"It is {guess.get_attribute('data-answer')}." in guess.inner_text()
    context.close()


# ---- what a screen reader meets ----


@pytest.fixture(scope="module")
def axe(tmp_path_factory):
    """The script of axe-core, from npm."""
    if not shutil.which("npm"):
        pytest.skip("there is no npm")
    folder = tmp_path_factory.mktemp("axe")
    done = subprocess.run(["npm", "pack", "--silent", "axe-core@4"], cwd=folder, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"npm does not give axe-core: {done.stderr[-300:]}")
    with tarfile.open(next(folder.glob("*.tgz"))) as packed:
        return packed.extractfile("package/axe.min.js").read().decode()


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_axe_finds_no_serious_fault(chromium, address, axe, width, scheme):
    page = chromium.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    for name in ("index.html", "README.html", "notebooks/02_temperature.html", "exercises/01_soft_targets.html"):
        page.goto(address + name, wait_until="networkidle")
        page.evaluate(axe)
        found = page.evaluate("() => axe.run(document, {resultTypes: ['violations']})")["violations"]
        serious = [fault for fault in found if fault["impact"] in ("serious", "critical")]
        told = {fault["id"]: [node["html"][:150] for node in fault["nodes"][:4]] for fault in serious}
        assert told == {}, name
    page.close()


def test_search_and_the_switch_to_dark(chromium, address):
    page = chromium.new_page(color_scheme="light")
    complaints = heard(page, address)
    page.goto(address + "search.html?q=calibration")
    page.locator("#search-results a", has_text="7 · Production").first.click()
    page.wait_for_url(f"{address}notebooks/07_production.html*")
    assert page.locator("html").get_attribute("data-theme") == "light"
    for _ in range(3):  # with Python 3.10 comes a theme whose switch takes turns; later ones open a menu
        if page.locator("html").get_attribute("data-theme") == "light":
            page.locator(".theme-switch-button:visible").first.click()
        for choice in page.locator(".theme-change-button[data-mode=dark]:visible").all():
            choice.click()
    assert page.locator("html").get_attribute("data-theme") == "dark"
    assert complaints == []
    page.close()
