"""Numbers as words and short labels, the same in the terminal, in figures and in the report."""

from __future__ import annotations

from datetime import datetime, timedelta

DASH = "\u2013"  # stands for a number that does not exist
MINUS = "\u2212"
SPACE = "\u00a0"  # keeps a number and its unit on one line
_SCALES = ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k"))
_SPANS = ((86_400.0, "day", "d"), (3_600.0, "hour", "h"), (60.0, "minute", "min"), (1.0, "second", "s"))


def signed(text: str) -> str:
    """`text` with a typographic minus."""
    return text.replace("-", MINUS)


def compact(number: float | None, digits: int = 3) -> str:
    """`number` with about `digits` significant digits and a letter for thousands, millions, billions: 1.23 M."""
    if number is None:
        return DASH
    for scale, letter in _SCALES:
        if abs(number) >= 0.9995 * scale:
            return signed(f"{_significant(number / scale, digits)}{SPACE}{letter}")
    return signed(_significant(number, digits))


def usd(number: float | None, digits: int = 3) -> str:
    """An amount of money: 1.23 M USD; less than a dollar to the cent."""
    return DASH if number is None else f"{compact(round(number, 2), digits)}{SPACE}USD"


def count(number: float | None) -> str:
    """A whole number with thousands separators."""
    return DASH if number is None else signed(f"{number:,.0f}")


def percent(fraction: float | None, digits: int | None = None) -> str:
    """A fraction as a percentage, with two significant digits unless `digits` after the point are asked for."""
    if fraction is None:
        return DASH
    number = 100.0 * fraction
    text = f"{number:.{digits}f}" if digits is not None else _significant(number, 2 if abs(number) < 99.5 else 3)
    return signed(f"{text}{SPACE}%")


def change(fraction: float | None, digits: int | None = None) -> str:
    """As `percent`, with a plus where it grew."""
    text = percent(fraction, digits)
    return f"+{text}" if fraction is not None and fraction > 0 else text


def price(number: float | None) -> str:
    """A price in USD: whole dollars for large ones, cents and less for small ones."""
    if number is None:
        return DASH
    return f"{number:,.{0 if abs(number) >= 1000 else 2 if abs(number) >= 1 else 5}f}"


def duration(seconds: float | None, short: bool = False) -> str:
    """A length of time in its largest fitting unit: 40 minutes, 2.5 hours, 1 second; 40 min, 2.5 h, 1 s if it must be `short`."""
    if seconds is None:
        return DASH
    size, name, letter = next((span for span in _SPANS if abs(seconds) >= 1.5 * span[0]), _SPANS[-1])
    number = seconds / size
    text = f"{number:.0f}" if number >= 9.95 or abs(number - round(number)) < 0.05 else f"{number:.1f}"
    return f"{text}{SPACE}{letter if short else name if text == '1' else f'{name}s'}"


def clock(seconds: float | None, origin: datetime | None = None) -> str:
    """A moment: hours and minutes since the start of the run; with `origin`, when the run begins in UTC, the date and time."""
    if seconds is None:
        return DASH
    if origin is not None:
        moment = origin + timedelta(seconds=seconds)
        return f"{moment.day}{SPACE}{moment:%b %H:%M}"
    minutes = int(seconds // 60)
    return f"{minutes // 60}:{minutes % 60:02d}"


def names(items: list[str]) -> str:
    """A, B and C."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}" if items else ""


def plural(number: float, noun: str, many: str = "") -> str:
    """The number with its noun: 1 account, 1,234 accounts."""
    return f"{count(number)}{SPACE}{noun if number == 1 else many or noun + 's'}"


def _significant(number: float, digits: int) -> str:
    number = float(f"{number:.{digits}g}")
    if number == 0:
        return "0"
    whole = len(str(int(abs(number)))) if abs(number) >= 1 else 0
    if whole == 0:
        text = f"{number:.{digits}g}"
        return text if "e" not in text else f"{number:.1e}"
    return f"{number:.{max(digits - whole, 0)}f}"
