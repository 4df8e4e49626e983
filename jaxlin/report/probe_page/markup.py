"""HTML and SVG, put together so that no text from data can become markup.

Everything that a page says goes through `element`, whose children and attribute values are escaped
unless they are `Safe`, and `Safe` is what `element` gives back. Control characters, marks that turn
the direction of text and lone surrogates become visible escapes on the way.
"""

from __future__ import annotations

import html
from collections.abc import Iterable
from typing import TypeAlias

from jaxlin.report.words import one_line

_MOST_SHOWN, _MOST_IN_TITLE = 40, 300
# Elements that have no end tag in HTML; those of SVG close themselves.
_VOID = frozenset({"meta", "img", "br"})
_SELF_CLOSING = frozenset({"path", "line", "rect", "circle"})


class Safe(str):
    """Markup that is ready."""

    __slots__ = ()


Content: TypeAlias = "str | Iterable[Content] | None"


def escaped(value: object) -> Safe:
    r"""A text as it may stand in an element or in an attribute.

    >>> escaped('</script>"&\0')
    '&lt;/script&gt;&quot;&amp;\\x00'
    """
    return Safe(html.escape(one_line(value)))


def lines(value: object) -> Safe:
    r"""A text of several lines, for a `pre`; all but the ends of lines as `escaped` has it.

    >>> lines("a <b>\n\tc")
    'a &lt;b&gt;\n\\tc'
    """
    return Safe("\n".join(map(escaped, str(value).split("\n"))))


def joined(content: Content) -> Safe:
    """Contents one after another, each escaped unless it is `Safe`; None is nothing.

    >>> joined(["a < b", None, [element("b", "&")]])
    'a &lt; b<b>&amp;</b>'
    """
    if content is None:
        return Safe()
    if isinstance(content, str):
        return content if isinstance(content, Safe) else escaped(content)
    return Safe("".join(map(joined, content)))


def element(tag: str, *children: Content, **attributes: str | float | bool | None) -> Safe:
    """An element.

    Args:
      tag: its name, never from data.
      children: texts, which are escaped, and elements.
      attributes: by name, never from data: `class_` for `class`, `aria_label` for `aria-label`.
        None and False leave one out, True has no value, numbers have two decimals at most.

    >>> element("p", "1 < 2", class_="note", hidden=True)
    '<p class="note" hidden>1 &lt; 2</p>'
    >>> element("circle", cx=1.50, r=2.0)
    '<circle cx="1.5" r="2"/>'
    """
    start = f"<{tag}{''.join(_attribute(name, value) for name, value in attributes.items())}"
    if tag in _VOID:
        return Safe(f"{start}>")
    inner = joined(children)
    if tag in _SELF_CLOSING and not inner:
        return Safe(f"{start}/>")
    return Safe(f"{start}>{inner}</{tag}>")


def _attribute(name: str, value: str | float | bool | None) -> str:
    if value is None or value is False:
        return ""
    written = name.rstrip("_").replace("_", "-")
    if value is True:
        return f" {written}"
    text = escaped(value) if isinstance(value, str) else decimal(value)
    return f' {written}="{text}"'


def decimal(value: float) -> str:
    """A coordinate in as few characters as show it.

    >>> decimal(1.50), decimal(3.14159), decimal(-0.001)
    ('1.5', '3.14', '0')
    """
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def shortened(label: object, most: int = _MOST_SHOWN) -> str:
    """A label in at most so many characters, before it is escaped.

    >>> shortened("x" * 50, 8)
    'xxxxxxx…'
    """
    text = str(label)
    return text if len(text) <= most else text[: most - 1] + "…"


def name(label: object, most: int = _MOST_SHOWN) -> Safe:
    """A name from data: isolated, so that its direction is its own; cut, the rest in its title.

    >>> name("cat")
    '<bdi>cat</bdi>'
    >>> name("x" * 12, 8)
    '<bdi title="xxxxxxxxxxxx">xxxxxxx…</bdi>'
    """
    text = str(label)
    short = shortened(text, most)
    return element("bdi", short, title=None if short == text else shortened(text, _MOST_IN_TITLE))


def prose(text: object, most: int = 1500) -> Safe:
    r"""A sentence from data, cut where it goes on and on; no line ends before a sign of per cent.

    >>> prose("a < 5 %")
    'a &lt; 5\xa0%'
    """
    return Safe(escaped(shortened(text, most)).replace(" %", "\xa0%"))
