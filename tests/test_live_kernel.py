"""Attributes that ipykernel promises to nobody: where one is gone, long work is stopped by interrupting the kernel."""

import types

import pytest
from matplotlib.figure import Figure

from course_lib.live import LiveFigure, figure, kernel

INTERRUPT = "To stop early, interrupt the kernel"


class Socket:
    """Requests that wait, one of them for the widget `button`."""

    def __init__(self, *waiting):
        self.waiting = list(waiting)

    def recv_multipart(self, flags, copy):
        import zmq

        if not self.waiting:
            raise zmq.Again
        return self.waiting.pop(0)


class Session:
    def feed_identities(self, message, copy):
        return [], message

    def deserialize(self, frames, content, copy):
        return {"content": frames}

    def unpack(self, content):
        return {"comm_id": content}


def space(**names):
    return types.SimpleNamespace(**names)


class Kernel:
    """As much of ipykernel 6 or 7 as is touched, with `line`: what was put back in line."""

    def __init__(self, version: int, *waiting):
        self.line, self.session, socket = [], Session(), Socket(*waiting)
        if version == 7:
            stream = space(_run_callback=lambda receive, message: self.line.append(receive(message)), _recv_callback=str)
            pair = space(to_socket=socket, to_stream=stream)
            manager = space(get_shell_channel_to_subshell_pair=lambda subshell: pair)
            self.shell_channel_thread = space(manager=manager)
            self.get_parent = lambda: {"header": {}}
        else:
            self.shell_stream = space(socket=socket)
            self.schedule_dispatch = lambda dispatch, message: self.line.append(dispatch(message))
            self.dispatch_shell = str


def pair_of(fake):
    return fake.shell_channel_thread.manager.get_shell_channel_to_subshell_pair(None)


def in_all(fake):
    return fake


# version, what holds the attribute, its name
TOUCHED = [
    (7, in_all, "shell_channel_thread"),
    (7, in_all, "get_parent"),
    (7, lambda fake: fake.shell_channel_thread, "manager"),
    (7, lambda fake: fake.shell_channel_thread.manager, "get_shell_channel_to_subshell_pair"),
    (7, pair_of, "to_socket"),
    (7, pair_of, "to_stream"),
    (7, lambda fake: pair_of(fake).to_stream, "_run_callback"),
    (7, lambda fake: pair_of(fake).to_stream, "_recv_callback"),
    (7, in_all, "session"),
    (6, in_all, "shell_stream"),
    (6, lambda fake: fake.shell_stream, "socket"),
    (6, in_all, "schedule_dispatch"),
    (6, in_all, "dispatch_shell"),
    (6, in_all, "session"),
]


def rename(owner, name):
    setattr(owner, name + "_renamed", getattr(owner, name))
    delattr(owner, name)


def empty(owner, name):
    setattr(owner, name, None)


@pytest.fixture
def run_in(monkeypatch):
    def run(fake):
        for module in (kernel, figure):
            monkeypatch.setattr(module, "get_ipython", lambda: space(kernel=fake))

    return run


@pytest.mark.parametrize("version", [6, 7])
def test_with_everything_there_a_click_is_seen_and_all_that_waits_is_put_back_in_its_order(run_in, version):
    fake = Kernel(version, "other", "button", "another")
    run_in(fake)
    assert kernel.click_waits(space(comm_id="button"))
    assert fake.line == ["other", "button", "another"]
    assert not kernel.click_waits(space(comm_id="button"))
    live = LiveFigure(Figure(), lambda: "")
    with live.running(lambda: ""):
        assert live._stop.layout.display is None
        assert live._stop_hint.value == ""


@pytest.mark.parametrize("spoil", [rename, empty], ids=lambda spoil: spoil.__name__)
@pytest.mark.parametrize(("version", "owner", "name"), TOUCHED, ids=[f"{version}-{name}" for version, _, name in TOUCHED])
def test_with_one_gone_the_figure_says_to_interrupt_and_no_request_is_taken(run_in, spoil, version, owner, name):
    fake = Kernel(version, "button")
    socket = pair_of(fake).to_socket if version == 7 else fake.shell_stream.socket
    spoil(owner(fake), name)
    run_in(fake)
    assert kernel.waiting_requests() is None
    assert not kernel.click_waits(space(comm_id="button"))
    live = LiveFigure(Figure(), lambda: "")
    with live.running(lambda: "") as on_step:
        assert live._stop.layout.display == "none"
        assert INTERRUPT in live._stop_hint.value
        on_step.asked -= 1  # the time to look for a click has come
        assert on_step() is False
    assert live._stop_hint.value == ""
    assert socket.waiting == ["button"]


def test_a_socket_that_cannot_be_read_is_no_error(run_in, monkeypatch):
    fake = Kernel(6)
    monkeypatch.delattr(Socket, "recv_multipart")
    run_in(fake)
    assert kernel.waiting_requests() is None
    assert not kernel.click_waits(space(comm_id="button"))


def test_without_a_kernel_nothing_waits(run_in):
    run_in(None)
    assert kernel.waiting_requests() is None
    assert not kernel.click_waits(space(comm_id="button"))
