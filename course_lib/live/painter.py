"""Draws a figure again and again, and as little of it as will do."""

import math
from collections.abc import Iterator

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from matplotlib.offsetbox import AnnotationBbox
from matplotlib.patches import ConnectionPatch
from matplotlib.text import Annotation, Text
from matplotlib.transforms import Bbox, BboxTransformFrom

from course_lib.live.png import PngWriter

PIXEL_RATIO = 2  # pixels drawn for each CSS pixel: sharp on high-density screens
MOST_SEEN = 400  # texts and images whose pixels are kept, some 20 kB each
SMALL_IMAGE = 2**14  # bytes of its array: larger ones take longer to tell apart


class Painter:
    """Draws a figure again and again: in full where it must, else only the artists that move, over a kept background.

    matplotlib marks an artist that was changed as stale, and its axes and figure with it, unless the artist is animated.
    So with all moving artists animated, a figure that is not stale is one in which nothing else has changed.
    """

    def __init__(self, figure: Figure):
        figure.canvas._set_device_pixel_ratio(1)  # of a canvas that it had before; matplotlib before 3.9 forgets its own dpi
        self.figure, self.canvas = figure, FigureCanvasAgg(figure)
        self.canvas._set_device_pixel_ratio(PIXEL_RATIO)  # not figure.dpi *= 2: this stays right for a figure used twice
        self.moving: set[Artist] = set()
        self.over: list[Artist] = []  # what is drawn over the background: all that moves, and what lies above it
        self.layering: list = []  # of each artist in `over`, what the choice of `over` depends on
        self.kept: dict[Artist, tuple] = {}  # of what may stay: its region, and the pixels there before and after its turn
        self.seen: dict[tuple, tuple] = {}  # likewise of words and small images, by their looks: the same come again
        mapped = figure.findobj(lambda artist: isinstance(artist, ScalarMappable))
        self.arrays = {artist: artist.get_array() for artist in mapped}  # what artists with a colour map were drawn from
        self.background = None
        self.labels = _axis_labels(figure)
        self.full_draws, self.encode = 0, PngWriter()
        for artist in figure.findobj():
            artist.set_animated(False)
            artist.stale = False  # from here on stale means: touched by update

    @property
    def css_size(self) -> tuple[int, int]:
        """(width, height) on the page, in CSS pixels."""
        return tuple(round(side / PIXEL_RATIO) for side in self.figure.bbox.size)

    def png(self) -> bytes:
        """The figure as it now stands, as a PNG file; to the pixel what `canvas.draw()` would make of it."""
        self.draw()
        return self.encode(self.canvas.buffer_rgba())

    def pixels(self) -> np.ndarray:
        """The figure as it now stands, (height, width, 4) bytes, a copy."""
        self.draw()
        return np.array(self.canvas.buffer_rgba())

    def draw(self) -> None:
        """Bring the canvas up to date."""
        for axes in self.figure.axes:
            axes.viewLim  # noqa: B018 - a pending autoscale happens when the limits are read, and marks the axes as stale
        for artist, array in self.arrays.items():
            if artist.get_array() is not array:  # set_array marks nothing
                artist.stale, self.arrays[artist] = True, artist.get_array()
        if self.labels != (labels := _axis_labels(self.figure)):
            self.figure.stale, self.labels = True, labels
        if self.figure.stale or not self._can_blit() or not self.moving:
            self._draw_in_full()
            return
        if self.background is None:
            self._keep_background()
        else:
            self.canvas.restore_region(self.background)
        for artist in self.over:
            self._take_turn(artist)
        self.figure.stale = False  # an axis among them marks it when it lays out its ticks

    def _take_turn(self, artist: Artist) -> None:
        """Draw an artist over what is drawn already, or put back its pixels where it looks as before over the same ground.

        Words and images take long and come again, a legend takes longer than all else.
        """
        renderer = self.canvas.get_renderer()
        canvas, moves = np.asarray(renderer.buffer_rgba()), artist in self.moving
        if touched := moves and _is_stale(artist):
            self.kept.pop(artist, None)
        looks = _looks(artist) if moves else None
        region, before, after = (self.seen.get(looks) if looks else self.kept.get(artist)) or (None, None, None)
        if region is not None and np.array_equal(canvas[region], before):
            self.canvas.restore_region(after)
        elif moves and (looks or not touched) and (region := _extent(artist, renderer, *canvas.shape[:2])):
            kept = self._draw_and_keep(artist, region)
            if looks:
                self.seen[looks] = kept
                while len(self.seen) > MOST_SEEN:
                    del self.seen[next(iter(self.seen))]  # the oldest
            else:
                self.kept[artist] = kept
        else:
            artist.draw(renderer)

    def _can_blit(self) -> bool:
        # Others (polar, 3-D) have a drawing order of their own.
        if self.figure.subfigs or any(type(axes) is not Axes for axes in self.figure.axes):
            return False
        return not any(artist.stale for artist in self.over if artist not in self.moving) and self.layering == [
            _layering(artist) for artist in self.over
        ]

    def _draw_in_full(self) -> None:
        touched = {artist for artist, may_move in _in_order(self.figure) if may_move and artist.stale}
        for artist in (*self.over, *self.moving):
            artist.set_animated(False)
        self.canvas.draw()
        self.figure.set_layout_engine("none")  # laid out once: a figure that shifts about under a slider can't be read
        self.full_draws += 1
        self.over, self.layering, self.kept, self.seen, self.background = [], [], {}, {}, None
        present = {artist for artist, may_move in _in_order(self.figure) if may_move}
        # These always move: the points that they name are plain attributes, and setting them marks nothing.
        notes = {artist for artist in present if isinstance(artist, (Annotation, AnnotationBbox, ConnectionPatch))}
        self.moving = present & (self.moving | touched | notes)
        self.arrays = {artist: artist.get_array() for artist in present if isinstance(artist, ScalarMappable)}
        for axes in self.figure.axes:
            _fix_legend(axes.get_legend())
        for artist in self.moving:
            artist.set_animated(True)
        self.figure.stale = False

    def _keep_background(self) -> None:
        """Choose what is drawn over the background, and draw the background: everything else."""
        renderer = self.canvas.get_renderer()
        canvas = np.asarray(renderer.buffer_rgba())
        painted, marks = np.zeros(canvas.shape[:2], bool), {}
        for artist, _ in _in_order(self.figure):
            if artist in self.moving:
                self.over.append(artist)
                painted[_reach(artist, *painted.shape)] = True
            elif self.over:
                # Drawn alone on nothing, it shows its own pixels: if one may be painted before it, its turn is later too.
                renderer.clear()
                artist.draw(renderer)
                own = canvas[..., 3] > 0
                if (own & painted).any():
                    self.over.append(artist)
                    painted |= own
                    marks[artist] = own
        for artist in self.over:
            artist.set_animated(True)
        self.layering = [_layering(artist) for artist in self.over]
        # matplotlib before 3.9 draws an image into the background even if it is animated.
        images = [artist for artist in self.over if isinstance(artist, AxesImage) and artist.get_visible()]
        for image in images:
            image.set_visible(False)
        self.canvas.draw()
        for image in images:
            image.set_visible(True)
        self.full_draws += 1
        self.background = self.canvas.copy_from_bbox(self.figure.bbox)
        for artist, own in marks.items():
            rows, columns = (np.flatnonzero(own.any(axis)) for axis in (1, 0))
            region = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
            self.kept[artist] = self._draw_and_keep(artist, region)
        self.canvas.restore_region(self.background)

    def _draw_and_keep(self, artist: Artist, region: tuple[slice, slice]) -> tuple:
        """Draw it, and return what is kept of it: `region`, in which it paints, and the pixels there before and after."""
        renderer = self.canvas.get_renderer()
        canvas, (rows, columns) = np.asarray(renderer.buffer_rgba()), region
        before = canvas[region].copy()
        artist.draw(renderer)
        box = Bbox([[columns.start, len(canvas) - rows.stop], [columns.stop, len(canvas) - rows.start]])
        return region, before, self.canvas.copy_from_bbox(box)


def _axis_labels(figure: Figure) -> list[tuple]:
    """Return text and style of the axis labels. They do not tell their axes when they are changed, as everything else does."""
    labels = [axis.label for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)]
    return [(label.get_text(), label.get_color(), label.get_fontsize(), label.get_visible()) for label in labels]


def _in_order(parent: Figure | Axes) -> Iterator[tuple[Artist, bool]]:
    """The artists that `parent` draws, in its order, those of its axes where these come; and whether each may move.

    Ticks, spines, titles and legends may not: other things are placed by them, and they by others.
    """
    hidden = set()
    if isinstance(parent, Axes):
        movable = {*parent.lines, *parent.patches, *parent.texts, *parent.collections, *parent.images, *parent.artists}
        if not (parent.axison and parent.get_frame_on()):
            hidden |= {parent.patch, *parent.spines.values()}
        if not parent.axison:
            hidden |= {parent.xaxis, parent.yaxis}
    else:
        movable = {*parent.lines, *parent.patches, *parent.texts, *parent.images, *parent.artists}
    others = [child for child in parent.get_children() if child is not parent.patch]
    for child in (parent.patch, *sorted(others, key=lambda child: child.get_zorder())):
        if child in hidden:
            continue
        if isinstance(child, Axes):
            if child.get_visible():
                yield from _in_order(child)
        else:
            yield child, child in movable


def _reach(artist: Artist, height: int, width: int) -> tuple[slice, slice]:
    """The rows and columns of the canvas in which the artist may paint: its clip box as Agg rounds it, or everything."""
    unbound = isinstance(artist, (Annotation, AnnotationBbox))  # with parts that have clip boxes of their own
    if unbound or not artist.get_clip_on() or artist.clipbox is None or artist.get_agg_filter():
        return slice(None), slice(None)
    left, bottom, right, top = artist.clipbox.extents
    more = 1 if isinstance(artist, Line2D) else 0  # markers are clipped by a box that includes its last row and column
    edges = [math.floor(height - top + 0.5), math.floor(height - bottom + 0.5) + more]
    sides = [math.floor(left + 0.5), math.floor(right + 0.5) + more]
    return tuple(slice(max(0, first), max(0, last)) for first, last in (edges, sides))


def _extent(artist: Artist, renderer, height: int, width: int) -> tuple[slice, slice] | None:
    """The rows and columns of the canvas in which a text or an image paints, with a margin; None where that can't be said."""
    boxes = []
    if type(artist) is Text:
        if not (artist.get_visible() and artist.get_text()) or artist.get_path_effects():
            return None
        more = 3 + artist.get_fontsize() * artist.figure.dpi / 72 / 12  # letters may reach out of what their layout says
        if (behind := artist.get_bbox_patch()) is not None:
            artist.update_bbox_position_size(renderer)
            boxes.append(behind.get_window_extent(renderer))
            more += behind.get_linewidth() * artist.figure.dpi / 72
    elif type(artist) is AxesImage and artist.get_visible() and artist.get_transform().is_separable:  # not turned
        more = 3
    else:
        return None
    left, bottom, right, top = Bbox.union([artist.get_window_extent(renderer), *boxes]).extents
    rows = slice(max(0, math.floor(height - top - more)), min(height, math.ceil(height - bottom + more)))
    columns = slice(max(0, math.floor(left - more)), min(width, math.ceil(right + more)))
    return (rows, columns) if rows.start < rows.stop and columns.start < columns.stop else None


def _looks(artist: Artist) -> tuple | None:
    """All that the pixels of a text or a small image depend on, but for what lies beneath; None where that can't be said."""
    if artist.get_path_effects() or artist.get_agg_filter() or artist.get_clip_path() or artist.get_sketch_params():
        return None
    if type(artist) is Text and artist.get_bbox_patch() is None and not artist.get_wrap():
        place = artist.get_transform().transform(artist.get_unitless_position())
        own = str(artist.get_color()), hash(artist.get_fontproperties()), place.tobytes()
    elif type(artist) is AxesImage and artist.get_array().nbytes <= SMALL_IMAGE and np.ndim(artist.get_alpha()) == 0:
        array = artist.get_array()
        own = array.tobytes(), artist.to_rgba(array, bytes=True).tobytes(), array.shape
    else:
        return None
    plain = (str, int, float, tuple, type(None))  # of which tuples may hold lists
    settings = str([pair for pair in vars(artist).items() if isinstance(pair[1], plain) and pair[0] != "_stale"])
    return artist, settings, *own


def _is_stale(artist: Artist) -> bool:
    behind = artist.get_bbox_patch() if isinstance(artist, Text) else None  # it does not tell its text when it is changed
    return artist.stale or (behind is not None and behind.stale)


def _layering(artist: Artist) -> tuple:
    box = artist.clipbox
    return artist.get_zorder(), artist.get_clip_on(), None if box is None else box.extents.tolist(), artist.get_agg_filter()


def _fix_legend(legend) -> None:
    """Keep a legend at the "best" position that was found for it: else it would look for another one at every frame."""
    if legend is not None and legend._loc == 0 and legend.get_visible():
        box = legend.get_window_extent()
        legend.set_loc(tuple(BboxTransformFrom(legend.get_bbox_to_anchor()).transform(box.p0)))
