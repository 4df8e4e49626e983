"""Plots as inline SVG, made by hand.

matplotlib's SVG fixes every colour in a `style` attribute: such a picture stays light on a dark
page, and a strict content policy forbids the attributes. Here shapes have classes, and the page's
style sheet has the colours; text is the page's own font, and a plot is a few kilobytes.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterable, Sequence

from jaxlin.report.probe_page.axes import Axis, tick_names
from jaxlin.report.probe_page.markup import Content, Safe, decimal, element

# Lines that get a colour of their own; the style sheet has as many.
NUM_COLORS = 7


@dataclasses.dataclass(frozen=True)
class Frame:
    """The size of a plot and the room around what is drawn, in pixels of its own.

    Attributes:
      width: of all.
      height: of all.
      left: room for the names of ticks.
      right: room.
      top: room for the name of the vertical axis.
      bottom: room for ticks and the name of the horizontal axis.
    """

    width: float = 440.0
    height: float = 270.0
    left: float = 52.0
    right: float = 12.0
    top: float = 26.0
    bottom: float = 42.0

    @property
    def across(self) -> tuple[float, float]:
        """Where the horizontal axis starts and ends."""
        return self.left, self.width - self.right

    @property
    def upward(self) -> tuple[float, float]:
        """Where the vertical axis starts, below, and ends, above."""
        return self.height - self.bottom, self.top


def plot(
    frame: Frame,
    x: Axis,
    y: Axis | None,
    marks: Content,
    *,
    names: tuple[str, str],
    label: str,
    x_ticks: Sequence[tuple[float, str]] | None = None,
    y_names: Callable[[Sequence[float]], list[str]] = tick_names,
) -> Safe:
    """A plot with its axes.

    Args:
      frame: its sizes.
      x: the horizontal axis.
      y: the vertical axis; None where rows have names of their own.
      marks: what is drawn, made by the functions below.
      names: of the two axes.
      label: what is to be seen, for those who cannot see it.
      x_ticks: places and names, where they are not the axis's own.
      y_names: how the vertical axis writes its values.
    """
    bottom, top = frame.upward
    start, end = frame.across
    parts: list[Content] = []
    values = [] if y is None else y.ticks(5)
    for word, at in zip(y_names(values), [] if y is None else map(y.at, values), strict=True):
        parts.append(element("line", class_="rule", x1=start, x2=end, y1=at, y2=at))
        parts.append(_text(word, start - 6, at + 4, "tick end"))
    ticks = x_ticks
    if ticks is None:
        ticks = [(x.at(v), word) for v, word in zip(x.ticks(), tick_names(x.ticks()), strict=True)]
    for at, word in ticks:
        parts.append(element("line", class_="axis", x1=at, x2=at, y1=bottom, y2=bottom + 4))
        parts.append(_text(word, at, bottom + 17, "tick middle"))
    parts.append(element("line", class_="axis", x1=start, x2=end, y1=bottom, y2=bottom))
    parts.append(_text(names[0], (start + end) / 2, frame.height - 6, "axis-name middle"))
    parts.append(_text(names[1], 0.0, top - 12, "axis-name"))
    return svg(frame.width, frame.height, [parts, marks], label)


def svg(width: float, height: float, inside: Content, label: str, class_: str = "plot") -> Safe:
    """A drawing of so many pixels, as wide as there is room."""
    box = f"0 0 {decimal(width)} {decimal(height)}"
    return element("svg", inside, class_=class_, viewBox=box, role="img", aria_label=label)


def _text(text: str, x: float, y: float, class_: str) -> Safe:
    return element("text", text, class_=class_, x=x, y=y)


def row_name(text: str, x: float, y: float, whole: str) -> Safe:
    """A name from data beside a row, its end at x; the whole of it when pointed at."""
    title = element("title", whole) if whole != text else None
    return element("text", title, text, class_="tick end", x=x, y=y)


def curve(points: Iterable[tuple[float, float]], class_: str) -> Safe:
    """A line through places."""
    path = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
    return element("path", class_=f"curve {class_}", d=f"M{path}") if path else Safe()


def steps(points: Sequence[tuple[float, float]], class_: str) -> Safe:
    """A line through places that stays level until the next: what held until then."""
    level = [
        place for one, other in itertools.pairwise(points) for place in (one, (other[0], one[1]))
    ]
    return curve([*level, *points[-1:]], class_)


def band(lower: Sequence[tuple[float, float]], upper: Sequence[tuple[float, float]]) -> Safe:
    """The surface between two lines."""
    return curve([*lower, *reversed(upper)], "band")


def dot(x: float, y: float, class_: str, radius: float = 3.0, words: str | None = None) -> Safe:
    """A point, with words that show when it is pointed at."""
    title = None if words is None else element("title", words)
    return element("circle", title, class_=f"dot {class_}", cx=x, cy=y, r=radius)


def segment(x1: float, y1: float, x2: float, y2: float, class_: str) -> Safe:
    """A straight line: an interval, or a line to compare with."""
    return element("line", class_=class_, x1=x1, y1=y1, x2=x2, y2=y2)


def bar(share: float, low: float | None = None, high: float | None = None) -> Safe:
    """A share as a bar inside a line of text; the number beside it says the same."""
    marks = [element("rect", class_="bar-all", width=100, height=10)]
    marks.append(element("rect", class_="bar-share", width=100 * share, height=10))
    if low is not None and high is not None:
        marks.append(segment(100 * low, 5, 100 * high, 5, "bar-range"))
    return element(
        "svg", marks, class_="bar", viewBox="0 0 100 10", preserveAspectRatio="none",
        aria_hidden="true",
    )  # fmt: skip


def legend(entries: Iterable[tuple[str, Content]]) -> Safe:
    """What the classes of lines and points stand for: (class, words) each."""
    items = []
    for class_, words in entries:
        marks = [
            element("path", class_=f"curve {class_}", d="M0 6L28 6"),
            element("circle", class_=f"dot {class_}", cx=14, cy=6, r=5 if "ring" in class_ else 3),
        ]
        if "point" in class_.split():
            marks = marks[1:]
        if "only-line" in class_.split():
            marks = marks[:1]
        swatch = element("svg", marks, class_="swatch", viewBox="0 0 28 12", aria_hidden="true")
        items.append(element("li", swatch, element("span", words)))
    return element("ul", items, class_="legend")


def figure(*content: Content, caption: Content = None, class_: str | None = None) -> Safe:
    """A figure with its caption."""
    words = None if caption is None else element("figcaption", caption)
    return element("figure", *content, words, class_=class_)
