"""The built site as a reader meets it: wide and narrow, light and dark, with nothing but its own folder to load from."""

import functools
import http.server
import threading

import pytest
from lab import browser, why_not

pytest.importorskip("sphinx", reason="the site needs pip install -e '.[site]'")

from tests.tools.site import build, pages

pytestmark = [
    pytest.mark.skipif(bool(why_not()), reason=why_not() or "there is a browser"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::PendingDeprecationWarning"),  # Sphinx's extensions
]
NAMES = ["index.html", *(f"{path.parent.name}/{path.stem}.html" for path in pages.notebooks() + pages.starters())]
# What sticks out on the right and is not inside of something that scrolls.
STICKS_OUT = """() => [...document.querySelectorAll('article *')].filter(node => {
    if (node.getBoundingClientRect().right <= innerWidth + 1) return false;
    for (let up = node.parentElement; up.tagName !== 'ARTICLE'; up = up.parentElement)
        if (getComputedStyle(up).overflowX !== 'visible') return false;
    return true;
}).map(node => node.outerHTML.slice(0, 100))"""
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
