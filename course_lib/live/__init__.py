"""Controls that move a matplotlib figure in a notebook, at the cost of the artists that move. Knows nothing of distillation."""

from course_lib.live.figure import WIDGET_VIEW, LiveFigure, strip_widgets
from course_lib.live.guess import Guess
from course_lib.live.log_slider import log_slider

__all__ = ["WIDGET_VIEW", "Guess", "LiveFigure", "log_slider", "strip_widgets"]
