"""The commented experiment file that `abm new` writes: it runs as it is, and names every key there is with its default.

A line that begins with # and goes on without a blank is a key to be uncommented; what is said in prose has a blank.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from abm.agents.base import Group, Strategy
from abm.lab.config import Run
from abm.lab.kinds import kinds, listed
from abm.lab.merging import PRESET
from abm.lab.plain import name_of_kind, plain, plain_fields
from abm.lab.recorded_bars import RecordedBars
from abm.lab.schema import KIND, field_key, is_required, shapes_of
from abm.lab.shapes import Choice, Shape
from abm.lab.toml_text import key_text, value_text
from abm.mechanisms.listing import Listing
from abm.mechanisms.presets import PRESETS
from abm.mechanisms.rule import Rule
from abm.mechanisms.venue import Venue
from abm.parameters import Parameters
from abm.recorder import Recording
from abm.worlds.crash import Crash
from abm.worlds.diffusion import Diffusion
from abm.worlds.gas import Gas
from abm.worlds.replay import Replay
from abm.worlds.spot import Spot

DAY = 86_400.0
MARGIN = 44  # column in which explanations begin
LONGEST_VALUE = 120  # longer ones stand on several lines
GROUPS: dict[str, dict[str, Any]] = {
    "Arbitrageurs": {"members": 20, "capital": 500_000.0},
    "Hedgers": {"members": 40, "capital": 250_000.0},
    "Keepers": {"members": 8, "capital": 50_000.0},
    "LiquidityProviders": {"members": 24, "capital": 2_000_000.0},
    "Scalpers": {"members": 300, "capital": {"kind": "Pareto", "lowest": 500.0, "exponent": 1.1, "highest": 1e6}},
    "Takers": {"members": 600, "capital": {"kind": "Pareto", "lowest": 1000.0, "exponent": 1.1, "highest": 1e6}},
    "Whales": {"members": 4, "capital": 5_000_000.0},
}
"""Members and capital that a starter file gives to each strategy."""
OTHER_GROUP = {"members": 50, "capital": 10_000.0}


def starter_text(world: str) -> str:
    """The text of a starter file with synthetic prices ("diffusion") or real ones ("replay")."""
    lines = [
        "# An experiment: who trades on which venue, while what happens outside. `abm run` this file.",
        "# Keys behind a # without a blank show their default; remove the # to change them.",
        "",
        'title = "A fall of twenty per cent"' if world == "diffusion" else 'title = "8 November 2022"',
        'question = "Who is liquidated, who pays for it, and does the venue stay solvent?"',
        "",
        "[run]",
        *_fields(Run(seconds=DAY), active=("seconds", "seed")),
        "",
        "[record]",
        *_fields(Recording()),
        "",
        *_venue(),
        "",
        *(_diffusion() if world == "diffusion" else _replay()),
        "",
        "# The spot market behind the prices: what hedgers and arbitrageurs trade outside the venue.",
        "[spot]",
        *_fields(Spot()),
        "",
        "[gas]",
        *_fields(Gas()),
        "",
        "# The traders: one table per group, under a name of your choice. A number for everybody, or a distribution:",
        '# { kind = "LogNormal", median = 5.0, sigma = 0.7 }, or Pareto, Uniform, Constant.',
    ]
    for kind, strategy in kinds(Strategy).items():
        if strategy.__module__.startswith("abm."):
            lines += ["", *_group(kind, strategy)]
    return "\n".join(lines) + "\n"


def _venue() -> Iterator[str]:
    preset, make = next(iter(PRESETS.items()))
    venue = make()
    yield "# The venue: a preset, and below it what differs. A rule of another kind replaces the whole rule."
    yield "[venue]"
    others = [name for name in PRESETS if name != preset]
    yield _explained(
        f"{PRESET} = {value_text(preset)}",
        f"{f'or {listed(others)}; ' if others else ''}`abm presets NAME` prints one",
    )
    rules = {field.name: getattr(venue, field.name) for field in dataclasses.fields(Venue)}
    yield from _fields(venue, only=[name for name, value in rules.items() if isinstance(value, float)])
    for listing in venue.listings:
        yield "#"
        yield f"#[venue.listings.{key_text([listing.symbol])}]"
        yield from _fields(listing, only=[field.name for field in dataclasses.fields(Listing) if field.name != "symbol"])
    for name, value in rules.items():
        if isinstance(value, Rule):
            yield from _rule(f"venue.{name}", value)
    for name, guard in zip(plain(venue.guards), venue.guards, strict=True):
        yield from _rule(f"venue.guards.{name}", guard)
    for name, event in zip(plain(venue.events), venue.events, strict=True):
        yield from _rule(f"venue.events.{name}", event)


def _rule(path: str, rule: Rule) -> Iterator[str]:
    family = next(base for base in type(rule).__mro__ if Rule in base.__bases__)
    others = [name for name in kinds(family) if name != type(rule).__name__]
    yield "#"
    yield f"#[{path}]"
    yield _explained(f"#{KIND} = {value_text(type(rule).__name__)}", f"or {listed(others)}" if others else "")
    yield from _fields(rule)


def _diffusion() -> Iterator[str]:
    yield "# Prices outside: a diffusion with jumps and clustered volatility, and a scripted crash on top of it."
    yield "[world]"
    yield f'{KIND} = "{Diffusion.__name__}"'
    yield from _fields(Diffusion(), only=[field.name for field in dataclasses.fields(Diffusion) if field.name != "crashes"])
    yield ""
    yield "[[world.crashes]]"
    yield from _fields(Crash(start=DAY / 2), active=("start", "duration", "depth"))


def _replay() -> Iterator[str]:
    yield "# Prices outside: real one-minute bars. Files named here lie beside this one or in the data folder (ABM_DATA);"
    yield "# `abm data fetch BTCUSDT ETHUSDT SOLUSDT --from 2022-11-08 --to 2022-11-08 --folder bars` downloads these."
    yield "[world]"
    yield f'{KIND} = "{Replay.__name__}"'
    symbols = {listing.symbol: f"{listing.symbol}USDT" for listing in next(iter(PRESETS.values()))().listings}
    recorded = RecordedBars(bars="bars", symbols=symbols, start="2022-11-08", end="2022-11-08")
    yield from _fields(recorded, active=("bars", "symbols", "from", "to"))


def _group(kind: str, strategy: type[Parameters]) -> Iterator[str]:
    means = GROUPS.get(kind, OTHER_GROUP)
    about = " ".join((strategy.__doc__ or "").split("\n\n")[0].split())
    yield f"# {about}"
    yield f"[population.{name_of_kind(kind)}]"
    yield f'{KIND} = "{kind}"'
    for field, shape in shapes_of(Group).values():
        if field.name in means:
            yield from _line(field, shape, means[field.name], active=True)
        elif not is_required(field):
            yield from _line(field, shape, plain(field.default), active=False)
    yield from _fields(strategy())


def _fields(value: Parameters, active: Sequence[str] = (), only: Sequence[str] | None = None) -> Iterator[str]:
    """One line per field, `active` ones uncommented."""
    table: Mapping[str, Any] = plain_fields(value)
    for key, (field, shape) in shapes_of(type(value)).items():
        if key in table and (only is None or field.name in only):
            yield from _line(field, shape, table[key], active=key in active)


def _line(field: dataclasses.Field[Any], shape: Shape, value: Any, *, active: bool) -> Iterator[str]:
    mark = "" if active else "#"
    text = value_text(value)
    about = _about(field, shape)
    if len(text) <= LONGEST_VALUE or not isinstance(value, list):
        yield _explained(f"{mark}{field_key(field)} = {text}", about)
        return
    yield _explained(f"{mark}{field_key(field)} = [", about)
    yield from (f"{mark}    {value_text(item)}," for item in value)
    yield f"{mark}]"


def _about(field: dataclasses.Field[Any], shape: Shape) -> str:
    """Unit, range and meaning; of a choice what there is to choose from."""
    least, most = field.metadata.get("least", -math.inf), field.metadata.get("most", math.inf)
    if least > -math.inf and most < math.inf:
        bounds = f"{least:g} to {most:g}"
    elif least > -math.inf:
        bounds = f"{least:g} or more" if least else "not negative"
    else:
        bounds = f"{most:g} or less" if most < math.inf else ""
    unit = shape.expected if isinstance(shape, Choice) else field.metadata.get("unit", "")
    return "; ".join(part for part in (f"{unit}, {bounds}".strip(", "), field.metadata.get("about", "")) if part)


def _explained(code: str, about: str) -> str:
    return f"{code.ljust(MARGIN)}  # {about}" if about else code
