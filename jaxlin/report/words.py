"""Names and numbers as a terminal and a picture can show them."""

from __future__ import annotations

import math
import unicodedata

# Marks that turn the direction of the text around them, or that no one sees.
_INVISIBLE = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def shown(label: object, width: int = 32) -> str:
    r"""A label in one short line, control characters and surrogates as escapes.

    Args:
      label: any label or name.
      width: the most characters to show.

    >>> shown("a\nb"), shown("x" * 50, 8), shown(3)
    ('a\\nb', 'xxxxxxx…', '3')
    """
    text = str(label)
    cut = text[: width + 1]
    line = one_line(cut)
    return line if len(cut) == len(text) and len(line) <= width else line[: width - 1] + "…"


def one_line(label: object) -> str:
    r"""A label of any length in one line, control characters and surrogates as escapes.

    >>> one_line("\x1b[31mred\n")
    '\\x1b[31mred\\n'
    """
    return "".join(
        character.encode("unicode_escape").decode()
        if unicodedata.category(character) in _INVISIBLE
        else character
        for character in str(label)
    )


def percent(share: float | None) -> str:
    """A share as a percentage; a dash where there is none.

    >>> percent(0.97111), percent(None)
    ('97.11 %', '-')
    """
    return "-" if share is None else f"{100 * share:.2f} %"


def number(value: float | None) -> str:
    """A loss in four significant digits; a dash where there is none.

    >>> number(0.093812), number(None)
    ('0.09381', '-')
    """
    return "-" if value is None else f"{value:.4g}"


def duration(seconds: float) -> str:
    """A time in a unit that fits it.

    >>> duration(0.0123), duration(4.56), duration(130.0)
    ('12.3 ms', '4.6 s', '2 min 10 s')
    """
    if not math.isfinite(seconds):
        return "-"
    if seconds < 0.9995e-3:  # what rounds to 1000 of a unit is 1 of the next
        return f"{1e6 * seconds:.3g} µs"
    if seconds < 0.9995:
        return f"{1e3 * seconds:.3g} ms"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s"
