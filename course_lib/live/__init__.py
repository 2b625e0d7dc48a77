"""Controls that move a matplotlib figure in a notebook, at the cost of the artists that move. Knows nothing of distillation."""

from course_lib.live.figure import WIDGET_VIEW, LiveFigure, strip_widgets

__all__ = ["WIDGET_VIEW", "LiveFigure", "strip_widgets"]
