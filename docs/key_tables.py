"""Writes the tables of keys in experiment-file.md from the parameters that the classes declare: `python docs/key_tables.py`."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from abm.agents.base import Group, Hedge, Strategy
from abm.distributions import Distribution
from abm.lab.config import Run
from abm.lab.kinds import kinds
from abm.lab.plain import plain
from abm.lab.recorded_bars import RecordedBars
from abm.lab.schema import field_key, is_required, shapes_of
from abm.lab.shapes import Choice
from abm.lab.toml_text import value_text
from abm.mechanisms import clearing, deleveraging, enforcement, events, fees, funding, guards, liquidation, margin, mark, oracle, ordering
from abm.mechanisms.listing import Listing
from abm.mechanisms.venue import Venue
from abm.parameters import Parameters
from abm.recorder import Recording
from abm.worlds.crash import Crash
from abm.worlds.diffusion import Diffusion
from abm.worlds.gas import Gas
from abm.worlds.options import OptionMarket
from abm.worlds.spot import Spot
from abm.worlds.waypoints import Waypoints

DOCUMENT = Path(__file__).with_name("experiment-file.md")
MARK = re.compile(r"(<!-- keys: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
LONGEST_DEFAULT = 60
RULES: dict[str, type[Parameters]] = {
    "ordering": ordering.Ordering,
    "clearing": clearing.Clearing,
    "oracle": oracle.Oracle,
    "mark": mark.Mark,
    "margin": margin.Margin,
    "funding": funding.Funding,
    "fees": fees.Fees,
    "liquidation": liquidation.Liquidation,
    "enforcement": enforcement.Enforcement,
    "deleveraging": deleveraging.Deleveraging,
    "guards": guards.Guard,
    "events": events.Event,
}
TABLES: dict[str, tuple[type[Parameters], tuple[str, ...]]] = {
    "run": (Run, ()),
    "record": (Recording, ()),
    "venue": (Venue, (*RULES, "listings")),
    "listing": (Listing, ()),
    "diffusion": (Diffusion, ("crashes",)),
    "crash": (Crash, ()),
    "replay": (RecordedBars, ()),
    "waypoints": (Waypoints, ()),
    "spot": (Spot, ("options",)),
    "options": (OptionMarket, ()),
    "gas": (Gas, ()),
    "group": (Group, ("name", "strategy")),
}
HEAD = ("key", "default", "unit and range", "meaning")


def with_fresh_tables(text: str) -> str:
    """The document with what stands between its marks written anew."""
    return MARK.sub(lambda match: f"{match[1]}\n{section(match[2])}{match[3]}", text)


def section(name: str) -> str:
    """What belongs between the marks called `name`: one table of keys, or one for each kind of a family."""
    if name in TABLES:
        cls, left_out = TABLES[name]
        return keys(cls, left_out)
    if name == "rules":
        return "".join(family(f"`[venue.{key}]`", cls) for key, cls in RULES.items())
    if name == "strategies":
        return "".join(kind("####", known, cls) for known, cls in built_in(Strategy).items())
    if name == "hedges":
        return "".join(kind("####", known, cls) for known, cls in built_in(Hedge).items())
    if name == "distributions":
        return "".join(kind("####", known, cls) for known, cls in built_in(Distribution).items())
    raise KeyError(f"no table is called {name!r}")


def built_in(family_of: type[Parameters]) -> Mapping[str, type[Parameters]]:
    """Variants of a family that are part of the package, by name."""
    return {name: cls for name, cls in kinds(family_of).items() if cls.__module__.startswith("abm.")}


def family(heading: str, cls: type[Parameters]) -> str:
    """What a family of rules is for, and a table for each of its variants."""
    about = first_sentence(cls)
    return f"#### {heading}\n\n{about}\n\n" + "".join(kind("#####", name, one) for name, one in built_in(cls).items())


def kind(level: str, name: str, cls: type[Parameters]) -> str:
    """Heading, meaning and keys of one variant."""
    table = keys(cls, ())
    return f'{level} `kind = "{name}"`\n\n{first_sentence(cls)}\n\n{table}'


def first_sentence(cls: type[Parameters]) -> str:
    """The first paragraph of what a class says about itself, on one line."""
    return " ".join((cls.__doc__ or "").split("\n\n")[0].split())


def keys(cls: type[Parameters], left_out: tuple[str, ...]) -> str:
    """A table with a row for each parameter of `cls`; nothing for a class without parameters."""
    rows = [row(field, shape) for field, shape in shapes_of(cls).values() if field.name not in left_out]
    if not rows:
        return ""
    lines = [HEAD, ("---",) * len(HEAD), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines) + "\n"


def row(field: dataclasses.Field[Any], shape: Any) -> tuple[str, str, str, str]:
    """The cells of one parameter, in the order of HEAD."""
    unit = shape.expected if isinstance(shape, Choice) else field.metadata.get("unit", "")
    bounds = range_of(field)
    about = field.metadata.get("about", "")
    cells = (f"`{field_key(field)}`", default_of(field), "; ".join(filter(None, (unit, bounds))), about)
    return tuple(cell.replace("|", "\\|") for cell in cells)  # type: ignore[return-value]


def range_of(field: dataclasses.Field[Any]) -> str:
    """The range of a parameter in words; nothing where there is none."""
    least, most = field.metadata.get("least", -math.inf), field.metadata.get("most", math.inf)
    if least > -math.inf and most < math.inf:
        return f"{least:g} to {most:g}"
    if least > -math.inf:
        return f"at least {least:g}"
    return f"at most {most:g}" if most < math.inf else ""


def default_of(field: dataclasses.Field[Any]) -> str:
    """The default as the file would say it."""
    if is_required(field):
        return "required"
    value = field.default if field.default is not dataclasses.MISSING else field.default_factory()  # type: ignore[misc]
    if value is None:
        return "none"
    text = value_text(plain(value))
    return f"`{text}`" if len(text) <= LONGEST_DEFAULT else "see `abm new`"


if __name__ == "__main__":
    DOCUMENT.write_text(with_fresh_tables(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
