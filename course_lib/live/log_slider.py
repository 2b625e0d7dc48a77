"""A slider whose steps multiply, for settings such as a temperature: made from values, where ipywidgets wants exponents."""

import math
from numbers import Integral, Real

import ipywidgets as widgets
from traitlets import validate

SAME = 1e-12  # relative: a page computes the power of an end itself, and its last digit may be another


class LogSlider(widgets.FloatLogSlider):
    """ipywidgets' logarithmic slider, with ends that are exactly the numbers `low` and `high`."""

    def __init__(self, low: float, high: float, **settings):
        self.low, self.high = low, high
        super().__init__(**settings)

    @validate("value")
    def _validate_value(self, proposal):
        value = min(max(proposal["value"], self.low), self.high)
        return next((end for end in (self.low, self.high) if math.isclose(value, end, rel_tol=SAME)), value)

    # ipywidgets would move the value to where it computes the ends to be.

    @validate("min")
    def _validate_min(self, proposal):
        return proposal["value"]

    @validate("max")
    def _validate_max(self, proposal):
        return proposal["value"]


def log_slider(
    low: float, high: float, value: float | None = None, *, base: float = 10, steps: int = 50, **settings
) -> LogSlider:
    """Return a slider from `low` to `high` on which every step multiplies the value by the same number.

    low, high: its ends, finite numbers above 0. value: where it starts; without one at 1, or halfway where 1 is out of
    range. base, steps: a factor of `base` takes `steps` steps, up to what makes the whole range a whole number of them.
    settings: any other of FloatLogSlider's, such as description or continuous_update.
    Raises TypeError or ValueError, naming the argument that is wrong.
    """
    low, high, base = (_positive(name, number) for name, number in (("low", low), ("high", high), ("base", base)))
    if not low < high:
        raise ValueError(f"high must be above low, got low {low:g} and high {high:g}")
    if not base > 1:
        raise ValueError(f"base must be above 1, got {base:g}")
    if isinstance(steps, bool) or not isinstance(steps, Integral):
        raise TypeError(f"steps must be an int, got {type(steps).__name__}")
    if steps < 1:
        raise ValueError(f"steps must be at least 1, got {steps}")
    first, last = _logarithm(low, base), _logarithm(high, base)
    if value is None:
        value = 1.0 if low <= 1 <= high else math.sqrt(low) * math.sqrt(high)
    elif not low <= _positive("value", value) <= high:
        raise ValueError(f"value must be a number from {low:g} to {high:g}, got {value:g}")
    step = (last - first) / max(1, round((last - first) * int(steps)))
    return LogSlider(low, high, value=float(value), base=base, min=first, max=last, step=step, **settings)


def _positive(name: str, number: float) -> float:
    if isinstance(number, bool) or not isinstance(number, Real):
        raise TypeError(f"{name} must be a real number, got {type(number).__name__}")
    try:
        converted = float(number)
    except OverflowError:
        raise ValueError(f"{name} must be a number that fits into a float, got one that is larger") from None
    if not (math.isfinite(converted) and converted > 0):
        raise ValueError(f"{name} must be a finite number above 0, got {number}")
    return converted


def _logarithm(number: float, base: float) -> float:
    """Return the exponent, exact for the powers of 2 and 10."""
    exact = {2: math.log2, 10: math.log10}
    return exact[base](number) if base in exact else math.log(number) / math.log(base)
