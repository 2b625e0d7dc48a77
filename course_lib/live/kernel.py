"""The kernel below a live figure: figures are held while they are shown, and clicks seen while a cell is at work."""

import weakref
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, Protocol

import ipywidgets as widgets
from IPython import get_ipython


class Closable(Protocol):
    """Something that a cell shows, such as a LiveFigure, and that is closed when the cell is run again."""

    def close(self) -> None: ...


_shown: dict[str, tuple[str, list[Closable]]] = {}  # cell -> (its last run, the figures it shows)


def keep_while_shown(live: Closable) -> None:
    """Keep a figure for as long as its cell shows it: until the cell is run again."""
    kernel = getattr(get_ipython(), "kernel", None)
    if kernel is None:
        return
    request = kernel.get_parent()
    run = request["header"]["msg_id"]
    cell = request.get("metadata", {}).get("cellId") or request["content"].get("code") or run
    last_run, figures = _shown.get(cell, (run, []))
    if run != last_run:
        elsewhere = {id(figure) for other, (_, shown) in _shown.items() if other != cell for figure in shown}
        for figure in figures:
            if figure is not live and id(figure) not in elsewhere:
                figure.close()
        figures = []
    _shown[cell] = run, [*figures, live]


def forget(live: Closable) -> None:
    """Hold the figure no longer."""
    for _, figures in _shown.values():
        figures[:] = [figure for figure in figures if figure is not live]


def weak(method: Callable) -> Callable:
    reference = weakref.WeakMethod(method)
    return lambda event: (bound := reference()) and bound(event)


def close_widget(widget: widgets.Widget) -> None:
    """Close a widget, all that is in it, and the layout and style that come with each: ipywidgets keeps them for ever."""
    for part in (*getattr(widget, "children", ()), widget.layout, getattr(widget, "style", None)):
        if isinstance(part, widgets.DOMWidget):
            close_widget(part)
        elif part is not None:
            part.close()
    widget.close()


class Requests(NamedTuple):
    """The socket on which requests wait while a cell is at work, and how each is put back in line once it was looked at."""

    socket: Any
    put_in_line: Callable[[list], None]


def waiting_requests() -> Requests | None:
    """Return where requests for this thread wait while it is at work; None where there is no such, or none to be found.

    The kernel handles none of them while a cell runs, and handling them from here would mix their output with the cell's.
    ipykernel does not promise what is touched for this, so where anything is missing or renamed the answer is None, and
    long work is stopped by interrupting the kernel.
    """
    kernel = getattr(get_ipython(), "kernel", None)
    try:
        requests = _in_ipykernel_7(kernel) or _in_ipykernel_6(kernel)
        usable = requests and callable(requests.socket.recv_multipart) and callable(kernel.session.feed_identities)
    except Exception:  # whatever comes of attributes that are no longer what they were
        return None
    return requests if usable else None


def _in_ipykernel_7(kernel) -> Requests | None:
    channels = getattr(kernel, "shell_channel_thread", None)  # takes in the requests and passes them to this thread
    if channels is None:
        return None
    subshell = kernel.get_parent()["header"].get("subshell_id")
    pair = channels.manager.get_shell_channel_to_subshell_pair(subshell)
    # By the very way of those that the stream has read before: on a shorter one these would overtake them, and of the
    # cells that "Run All" sends at once the next would run last.
    run, receive = pair.to_stream._run_callback, pair.to_stream._recv_callback
    return Requests(pair.to_socket, partial(run, receive)) if callable(run) and callable(receive) else None


def _in_ipykernel_6(kernel) -> Requests | None:
    stream, schedule = getattr(kernel, "shell_stream", None), getattr(kernel, "schedule_dispatch", None)
    if stream is None or not (callable(schedule) and callable(kernel.dispatch_shell)):
        return None
    return Requests(stream.socket, partial(schedule, kernel.dispatch_shell))


def click_waits(comm) -> bool:
    """Return whether a message for `comm` waits. All that waits is taken from the socket and put in line for later."""
    requests = waiting_requests()
    if requests is None or comm is None:
        return False
    import zmq  # here, since it is there only where a kernel is

    session, found = get_ipython().kernel.session, False
    while True:
        try:
            message = requests.socket.recv_multipart(zmq.NOBLOCK, copy=False)
        except zmq.Again:
            return found
        found = _is_for(comm, session, message) or found
        requests.put_in_line(message)


def _is_for(comm, session, message) -> bool:
    try:
        _, frames = session.feed_identities(message, copy=False)
        content = session.unpack(session.deserialize(frames, content=False, copy=False)["content"])
    except Exception:  # one of the kernel's own signals
        return False
    return content.get("comm_id") == comm.comm_id
