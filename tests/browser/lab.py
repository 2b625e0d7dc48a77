"""A real JupyterLab in a real browser, as a test sees it: open a notebook, run it, move what it shows.

The server runs on this machine only, with a home and settings of its own, and its kernel is the interpreter of the tests.
"""

import base64
import json
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import matplotlib

REPOSITORY = Path(__file__).parents[2]
CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
BROWSER_FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# Not the page's doing: what Chromium and JupyterLab say of themselves in any notebook.
CONSOLE_NOISE = (
    "WebGL",
    "Failed to load resource: the server responded with a status of 404",  # settings and workspaces not saved yet
    "Connection lost, reconnecting",
    "was preloaded using link preload",
    "Could not restore the debugger state",  # of a notebook that was closed meanwhile
)
BADGE, SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="117" height="20"/>', "image/svg+xml"
SETTINGS = {
    "notebook-extension/tracker": {"windowingMode": "none"},  # else cells out of sight are not on the page
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False, "doNotDisturbMode": True},
    "docmanager-extension/plugin": {"autosave": False},
}


def why_not() -> str:
    """Why no browser test can run here, or an empty string."""
    try:
        import playwright.sync_api  # noqa: F401
    except ImportError:
        return "playwright is not installed"
    try:
        import jupyterlab  # noqa: F401
    except ImportError:
        return "jupyterlab is not installed"
    return "" if os.access(CHROMIUM, os.X_OK) else f"there is no browser at {CHROMIUM}"


@contextmanager
def browser() -> Iterator:
    """A headless Chromium."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=BROWSER_FLAGS)
        try:
            yield chromium
        finally:
            chromium.close()


# What holds a control, and the part of it that takes the keyboard: in ipywidgets 8, and in 7 where it differs.
HOLDERS = ".widget-box .widget-inline-hbox:not(.widget-html), .widget-box .widget-toggle-buttons"
HANDLE = "[role=slider], .ui-slider-handle"
PARTS = f"{HANDLE}, select, input, button:not(.mod-active)"


class Lab:
    """A JupyterLab server over `folder`/work; a context manager. settings: {"extension/plugin": {...}} of @jupyterlab."""

    def __init__(self, folder: Path, settings: dict | None = None):
        self.folder, self.work = folder, folder / "work"
        self.work.mkdir(parents=True, exist_ok=True)
        for name, values in {**SETTINGS, **(settings or {})}.items():
            file = folder / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(values))
        kernel = folder / "data" / "kernels" / "python3" / "kernel.json"
        kernel.parent.mkdir(parents=True, exist_ok=True)
        argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        kernel.write_text(json.dumps({"argv": argv, "display_name": "Python 3", "language": "python"}))

    def __enter__(self) -> "Lab":
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.url, self.token = f"http://127.0.0.1:{port}", secrets.token_hex(16)
        command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={port}"]
        options = {
            "ServerApp.port_retries": 0,
            "ServerApp.root_dir": self.work,
            "ServerApp.use_redirect_file": False,
            "IdentityProvider.token": self.token,
            "LabApp.expose_app_in_browser": True,
        }
        self.log = (self.folder / "server.log").open("w")
        self.process = subprocess.Popen(
            [*command, *(f"--{name}={value}" for name, value in options.items())],
            cwd=self.work,
            env=self._environment(),
            stdout=self.log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            self._wait_until_up()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exception) -> None:
        # Politely first: the server then ends its kernels, which are not of its process group.
        for signum in (signal.SIGTERM, signal.SIGKILL):
            if self.process.poll() is None:
                os.killpg(self.process.pid, signum)
                try:
                    self.process.wait(timeout=15)
                except subprocess.TimeoutExpired:
                    continue
        self.log.close()

    def _environment(self) -> dict:
        folders = {"HOME": "home", "JUPYTER_CONFIG_DIR": "config", "JUPYTER_DATA_DIR": "data", "JUPYTER_RUNTIME_DIR": "runtime"}
        folders |= {"IPYTHONDIR": "ipython", "JUPYTERLAB_SETTINGS_DIR": "settings", "JUPYTERLAB_WORKSPACES_DIR": "workspaces"}
        ours = {name: str(self.folder / folder) for name, folder in folders.items()}
        for folder in ours.values():
            Path(folder).mkdir(exist_ok=True)
        path = os.pathsep.join(filter(None, [str(REPOSITORY), os.environ.get("PYTHONPATH")]))
        # The cache of fonts takes seconds to make: it is shared.
        return {**os.environ, **ours, "PYTHONPATH": path, "MPLCONFIGDIR": matplotlib.get_cachedir()}

    def _wait_until_up(self) -> None:
        for _ in range(600):
            if self.process.poll() is not None:
                break
            try:
                urllib.request.urlopen(f"{self.url}/api/status?token={self.token}", timeout=5).close()
                return
            except OSError:
                time.sleep(0.1)
        raise RuntimeError(f"JupyterLab did not start:\n{(self.folder / 'server.log').read_text()[-2000:]}")

    @contextmanager
    def open(self, chromium, name: str, width: int = 1024, height: int = 800) -> Iterator["Notebook"]:
        """A notebook of the folder `work`, in a window of its own; its kernel is shut down at the end."""
        page = chromium.new_page(viewport={"width": width, "height": height})
        try:
            notebook = Notebook(page)
            # The picture of the badges, the one thing on a page that comes from outside.
            page.route("https://colab.research.google.com/assets/*", lambda route: route.fulfill(body=BADGE, content_type=SVG))
            page.goto(f"{self.url}/lab/tree/{name}?token={self.token}&reset")
            notebook.wait_until_ready(name)
            notebook.command("application:toggle-left-area")
            yield notebook
            notebook.close()
        finally:
            page.close()


class Notebook:
    """The notebook in front of a window, and its `name`. `complaints`: errors and warnings that the page put on its console."""

    def __init__(self, page):
        self.page, self.name, self.complaints = page, "", []
        page.set_default_timeout(20_000)
        page.on("console", lambda message: self._hear(message.type, message.text))
        page.on("pageerror", lambda error: self._hear("error", str(error)))

    def _hear(self, kind: str, text: str) -> None:
        if kind in ("error", "warning") and not any(noise in text for noise in CONSOLE_NOISE):
            self.complaints.append(f"{kind}: {text}")

    def command(self, name: str, **arguments) -> None:
        """Start a command of JupyterLab's, without waiting for its end."""
        code = "([name, arguments]) => { window.jupyterapp.commands.execute(name, arguments) }"
        self.page.evaluate(code, [name, arguments])

    def wait_until_ready(self, name: str) -> None:
        """Wait until this notebook is the one in front, and its kernel ready."""
        current = "window.jupyterapp?.shell.currentWidget"
        ready = f"{current}?.context?.path === name && {current}.sessionContext.isReady"
        self.page.wait_for_function(f"name => {ready} || document.querySelector('.jp-Dialog')", arg=name, timeout=60_000)
        if self.page.locator(".jp-Dialog").count():  # a notebook that names no kernel: take the one on offer
            self.page.locator(".jp-Dialog .jp-mod-accept").click()
        self.page.wait_for_function(f"name => {ready}", arg=name, timeout=60_000)
        self.name = name

    def turn_to(self, name: str) -> None:
        """Open another notebook in this window, and close whatever was open; to load JupyterLab anew takes seconds."""
        self.complaints.clear()
        self.command("docmanager:open", path=name)
        self.wait_until_ready(name)
        self.close("widget !== window.jupyterapp.shell.currentWidget")

    def close(self, which: str = "true") -> None:
        """Shut down the kernel of each open `widget` of which this is true, and close it unsaved."""
        self.page.evaluate(
            f"""async () => {{
                for (const widget of [...window.jupyterapp.shell.widgets('main')].filter(widget => {which})) {{
                    await widget.sessionContext?.shutdown();
                    widget.dispose();
                }}
            }}"""
        )

    def run_all(self, timeout: float = 120) -> None:
        """Run every cell and wait for the last."""
        self._run("window.jupyterapp.commands.execute('notebook:run-all-cells')", timeout)

    def run_cells(self, numbers: list[int], timeout: float = 120) -> None:
        """Run some cells, counted from 0, one after the other, and wait for the last. The others show what was saved."""
        code = """(async () => {
            for (const number of %s) {
                window.jupyterapp.shell.currentWidget.content.activeCellIndex = number;
                await window.jupyterapp.commands.execute('notebook:run-cell');
            }
        })()"""
        self._run(code % json.dumps(numbers), timeout)

    def _run(self, promise: str, timeout: float) -> None:
        told = "() => { window.ran = 'done' }, error => { window.ran = String(error) }"
        self.page.evaluate(f"() => {{ window.ran = null; {promise}.then({told}) }}")
        self.page.wait_for_function("() => window.ran !== null", timeout=1000 * timeout)
        assert self.page.evaluate("() => window.ran") == "done"
        errors = self.page.locator('[data-mime-type="application/vnd.jupyter.stderr"], [data-mime-type*="error"]')
        assert errors.count() == 0, errors.all_inner_texts()

    def run_cell(self, number: int) -> None:
        """Start one cell, counted from 0, without waiting for it."""
        self.page.evaluate("number => { window.jupyterapp.shell.currentWidget.content.activeCellIndex = number }", number)
        self.command("notebook:run-cell")

    def output(self, number: int) -> str:
        """The text below one cell."""
        return self.page.locator(".jp-Notebook .jp-Cell").nth(number).locator(".jp-OutputArea-output").last.inner_text()

    def figures(self, count: int | None = None) -> list["ShownFigure"]:
        """The live figures on the page; waits until there are `count`."""
        boxes = self.page.locator(".jp-OutputArea-output .widget-vbox:has(> .widget-image)")
        if count is not None:
            boxes.nth(count - 1).locator("> .widget-image").wait_for()
        return [ShownFigure(box) for box in boxes.all()]

    def sideways(self) -> int:
        """By how many pixels the notebook can be scrolled sideways."""
        return self.page.evaluate(
            "() => Math.max(...[...document.querySelectorAll('.jp-WindowedPanel-outer, .jp-Notebook, .jp-OutputArea-output')]"
            ".map(node => node.scrollWidth - node.clientWidth))"
        )


class ShownFigure:
    """A live figure on a page."""

    def __init__(self, box):
        self.box, self.page = box, box.page
        self.image = box.locator("> .widget-image")

    def source(self) -> str:
        """The address of the picture; a new picture has a new one."""
        return self.image.get_attribute("src")

    def png(self) -> bytes:
        """The picture on the page."""
        code = """async image => {
            const bytes = new Uint8Array(await (await fetch(image.src)).arrayBuffer());
            return btoa(Array.from(bytes, byte => String.fromCharCode(byte)).join(''));
        }"""
        return base64.b64decode(self.image.evaluate(code))

    def text(self) -> str:
        """The text equivalent under the picture."""
        return self.box.locator("[role=status]").inner_text()

    def alarm(self) -> str:
        """The error message under the picture, or an empty string."""
        return "\n".join(self.box.locator("[role=alert]").all_inner_texts())

    def control(self, label: str, slider: bool = False):
        """The part of a control that takes the keyboard, by its label; of a slider its number or, if asked for, its handle."""
        exact = self.page.locator(".widget-label, .widget-checkbox span").filter(has_text=re.compile(f"^{re.escape(label)}$"))
        holder = self.box.locator(HOLDERS).filter(has=exact)
        return (holder.locator("xpath=..").locator(HANDLE) if slider else holder.locator(PARTS)).first

    def controls(self) -> list:
        """All that can be moved, whatever its kind; of a slider both the number and the handle."""
        return [holder.locator(PARTS).first for holder in self.box.locator(HOLDERS).all() if holder.locator(PARTS).count()]

    def move(self, control) -> None:
        """Move a control by a step to be seen, with the keyboard; back where it stands at its end."""
        control.scroll_into_view_if_needed()
        if control.get_attribute("role") == "slider":
            ends = (control.get_attribute("aria-valuenow"), control.get_attribute("aria-valuemax"))
            control.press("ArrowLeft" if float(ends[0]) >= float(ends[1]) else "ArrowRight")
        elif control.evaluate("node => node.type") == "number":
            code = "node => [Number(node.value), node.max === '' ? Infinity : Number(node.max), node.step]"
            now, most, step = control.evaluate(code)
            if step == "any":  # of a logarithmic slider: keys add 1, which may be too little to see
                control.fill(f"{now / 1.2 if now * 1.2 > most else now * 1.2:.4g}")
            else:
                control.press("ArrowDown" if now >= most else "ArrowUp")
            control.press("Enter")
        elif control.evaluate("node => node.type") == "text":
            control.press("End")
            control.press("a")
        elif control.evaluate("node => node.tagName") == "SELECT":
            now, count = control.evaluate("node => [node.selectedIndex, node.options.length]")
            control.select_option(index=(now + 1) % count)
        else:
            control.press("Space")

    def wait_for(self, text: str, timeout: float = 20) -> None:
        """Wait until the text equivalent holds `text`."""
        self.box.locator("[role=status]").filter(has_text=text).wait_for(timeout=1000 * timeout)

    def wait_for_change(self, source: str, text: str | None = None, timeout: float = 20) -> None:
        """Wait until the picture is no longer the one at `source`, and the text equivalent no longer `text`.

        A key may bring the same picture twice, so that one that is new need not be the answer to the last key.
        """
        from playwright.sync_api import TimeoutError as TooLong

        code = """([box, source, text]) => {
            const image = box.querySelector('.widget-image'), words = box.querySelector('[role=status]');
            return image.src !== source && image.complete && words?.innerText !== text;
        }"""
        try:
            self.page.wait_for_function(code, arg=[self.box.element_handle(), source, text], timeout=1000 * timeout)
        except TooLong as error:
            at = self.page.evaluate("() => document.activeElement.outerHTML.slice(0, 300)")
            picture = "the same" if self.source() == source else "another"
            said = f"{picture} picture after {timeout} s, text before {text!r}, after {self.text()!r}, focus at {at}"
            raise AssertionError(said) from error
