"""What `LiveFigure` needs of the kernel: figures held while they are shown, and clicks seen while a cell is at work."""

import weakref
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import ipywidgets as widgets
from IPython import get_ipython

if TYPE_CHECKING:
    from course_lib.live.figure import LiveFigure


_shown: dict[str, tuple[str, list["LiveFigure"]]] = {}  # cell -> (its last run, the figures it shows)


def keep_while_shown(live: "LiveFigure") -> None:
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


def forget(live: "LiveFigure") -> None:
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


def waiting_requests():
    """(socket on which requests wait while this thread is at work, what to do with one), or None where there is no such.

    The kernel handles none of them while a cell runs, and handling them from here would mix their output with the cell's.
    So each is only looked at, and then put back in line.
    """
    kernel = getattr(get_ipython(), "kernel", None)
    channels = getattr(kernel, "shell_channel_thread", None)
    if channels is not None:  # ipykernel 7: a thread of its own takes in the requests and passes them to this one
        subshell = kernel.get_parent()["header"].get("subshell_id")
        pair = channels.manager.get_shell_channel_to_subshell_pair(subshell)
        # By the very way of those that the stream has read before: on a shorter one these would overtake them, and of the
        # cells that "Run All" sends at once the next would run last.
        return pair.to_socket, partial(pair.to_stream._run_callback, pair.to_stream._recv_callback)
    if hasattr(kernel, "schedule_dispatch") and getattr(kernel, "shell_stream", None) is not None:  # ipykernel 6
        return kernel.shell_stream.socket, partial(kernel.schedule_dispatch, kernel.dispatch_shell)
    return None


def click_waits(comm) -> bool:
    """Whether a message for `comm` waits. Whatever waits is taken from the socket and put in line for after this work."""
    requests = waiting_requests()
    if requests is None or comm is None:
        return False
    import zmq  # here, since it is there only where a kernel is

    (socket, put_in_line), session, found = requests, get_ipython().kernel.session, False
    while True:
        try:
            message = socket.recv_multipart(zmq.NOBLOCK, copy=False)
        except zmq.Again:
            return found
        found = _is_for(comm, session, message) or found
        put_in_line(message)


def _is_for(comm, session, message) -> bool:
    try:
        _, frames = session.feed_identities(message, copy=False)
        content = session.unpack(session.deserialize(frames, content=False, copy=False)["content"])
    except Exception:  # one of the kernel's own signals
        return False
    return content.get("comm_id") == comm.comm_id
