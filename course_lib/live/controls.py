"""Controls of a `LiveFigure`: widgets, or short forms made into widgets, labelled and checked."""

import inspect
import math
from collections.abc import Callable
from functools import partial
from numbers import Integral, Real

import ipywidgets as widgets

from course_lib.live.log_slider import LogSlider, log_slider


def make_control(name: str, spec, start) -> widgets.Widget:
    """A widget from a ready one or a short form; `start` is where the latter starts."""
    if isinstance(spec, widgets.Widget):
        if not (spec.has_trait("value") and spec.has_trait("description")):
            raise TypeError(f"control {name} must be a widget with a value and a description, got {type(spec).__name__}")
        control = spec
    elif isinstance(spec, bool):
        control = widgets.Checkbox(value=spec, indent=False)
    elif isinstance(spec, tuple):
        control = _log_slider(name, spec) if spec[2:] == ("log",) else _slider(name, spec)
    elif isinstance(spec, (list, dict)) and spec:
        control = widgets.Dropdown(options=list(spec.items()) if isinstance(spec, dict) else spec)
    else:
        raise TypeError(
            f'control {name} must be a widget, (min, max), (min, max, step), (min, max, "log"), a bool, or a list or dict of '
            f"options that is not empty; got {spec!r}"
        )
    if isinstance(spec, (tuple, list, dict)) and start is not inspect.Parameter.empty:
        assign(name, control, start)
    return control


def _log_slider(name: str, spec: tuple) -> widgets.Widget:
    try:
        return log_slider(*spec[:2])
    except (TypeError, ValueError) as error:
        raise type(error)(f"control {name}, {spec!r}: {error}") from None


def _slider(name: str, spec: tuple) -> widgets.Widget:
    if len(spec) not in (2, 3) or not all(isinstance(x, Real) and not isinstance(x, bool) and math.isfinite(x) for x in spec):
        raise TypeError(
            f'control {name} must be (min, max), (min, max, step) or (min, max, "log"), with finite numbers; got {spec!r}'
        )
    whole = all(isinstance(number, Integral) for number in spec)
    low, high, *rest = map(int, spec) if whole else spec  # int: numpy's integers run over
    step = rest[0] if rest else 1 if whole else (high - low) / 100
    if not low < high or not step > 0:
        raise ValueError(f"control {name} must have min < max and step > 0; got {spec!r}")
    if whole:
        return widgets.IntSlider(min=low, max=high, step=step, value=(low + high) // 2)
    digits = min(6, max(0, math.ceil(-math.log10(step) - 1e-9)))
    middle = low + step * round((high - low) / 2 / step)
    return widgets.FloatSlider(min=low, max=high, step=step, value=middle, readout_format=f".{digits}f")


def with_label(name: str, control: widgets.Widget) -> widgets.Widget:
    """Return what is shown for a control: itself with its label; for a slider also a field with its number and the label.

    ipywidgets ties no label to the part of a slider that takes the keyboard, so a screen reader has none to say there.
    The field can be said, and typed into, or stepped with the arrow keys.
    """
    label = control.description or name
    if isinstance(control, (widgets.IntSlider, widgets.FloatSlider, widgets.FloatLogSlider)):
        kind = widgets.BoundedIntText if isinstance(control, widgets.IntSlider) else widgets.BoundedFloatText
        low, high = value_range(control)
        shown, step = partial(_as_read, control), None if control.has_trait("base") else control.step
        field = kind(value=shown(), min=low, max=high, step=step, layout=widgets.Layout(width=f"calc({len(label)}ch + 6.5em)"))
        following = []  # not empty while the field follows the slider: then it must not round the slider's value

        def follow(change):
            following.append(True)
            field.value = shown()
            following.pop()

        def lead(change):
            if not following:
                control.value = field.value

        control.observe(follow, names="value")
        field.observe(lead, names="value")
        control.readout, control.description = False, ""
        whole = widgets.HBox([field, control])
    else:
        whole = field = control
        if control.has_trait("tooltips") and not control.tooltips:
            control.tooltips = [f"{label}: {option}" for option in control._options_labels]
    field.description = label
    field.style.description_width = "initial"  # else ipywidgets cuts long labels
    _hint(field, label)
    _hint(control, label)
    return whole


def _as_read(slider: widgets.Widget):
    """A slider's value, rounded as its readout would be; as it is where that is no plain number, such as 50% or 1,000."""
    try:
        return slider.value if isinstance(slider.value, int) else float(format(slider.value, slider.readout_format))
    except ValueError:  # Python knows not every format of the page's either
        return slider.value


def _hint(widget: widgets.Widget, text: str) -> None:
    """Set what is said of a widget and shown when the pointer rests on it. Without it ipywidgets 8 shows "null"."""
    name = "tooltip" if widget.has_trait("tooltip") else "description_tooltip"  # ipywidgets 8, 7
    if widget.has_trait(name) and not getattr(widget, name):
        setattr(widget, name, text)


def value_range(slider: widgets.Widget) -> tuple:
    """Return the (lowest, highest) value; ipywidgets' limits of a logarithmic slider are exponents."""
    if isinstance(slider, LogSlider):
        return slider.low, slider.high
    return tuple(slider.base**end if slider.has_trait("base") else end for end in (slider.min, slider.max))


def assign(name: str, control: widgets.Widget, value) -> None:
    """Set a control; ValueError where it would not take the value as it is (sliders move it into their range, silently)."""
    try:
        control.value = value
        taken = bool(control.value == value)
    except Exception:
        taken = False
    if not taken:
        raise ValueError(f"{name} must be {_needed(control)}; got {value!r}")


def _needed(control: widgets.Widget) -> str:
    if control.has_trait("options"):
        return "one of " + ", ".join(repr(value) for _, value in control._options_full)
    if control.has_trait("min"):
        return "a number from {:g} to {:g}".format(*value_range(control))
    return f"a value that {type(control).__name__} takes, such as {control.value!r}"


def default_of(update: Callable, name: str):
    try:
        parameter = inspect.signature(update).parameters.get(name)
    except (TypeError, ValueError):  # some builtins have none
        parameter = None
    return inspect.Parameter.empty if parameter is None else parameter.default


def check_accepts(update: Callable, values: dict) -> None:
    try:
        inspect.signature(update).bind(**values)
    except TypeError as error:
        given = ", ".join(values) or "none"
        raise TypeError(f"update must accept the controls ({given}) as keywords and need nothing else: {error}") from None
    except ValueError:
        pass
