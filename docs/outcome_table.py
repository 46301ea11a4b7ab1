"""Writes the tables of outcomes.md from what the outcomes say of themselves: `python docs/outcome_table.py`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from abm.lab.outcomes import FAMILIES, PAIR_FAMILIES, Outcome

DOCUMENT = Path(__file__).with_name("outcomes.md")
MARK = re.compile(r"(<!-- outcomes -->\n).*?(<!-- end -->)", re.DOTALL)
HEAD = ("name", "unit", "definition", "better", "exercised by", "source")
SUFFIX = {"": "", "market": "MARKET", "cohort": "COHORT", "leverage": "BAND"}


def with_fresh_tables(text: str) -> str:
    """The document with what stands between its marks written anew."""
    return MARK.sub(lambda match: f"{match[1]}\n{sections()}{match[2]}", text)


def sections() -> str:
    """A heading and a table for each family."""
    return "".join(f"### {family}\n\n{table(outcomes)}\n" for family, outcomes in {**FAMILIES, **PAIR_FAMILIES}.items())


def table(outcomes: Iterable[Outcome]) -> str:
    """One row per outcome."""
    lines = [HEAD, ("---",) * len(HEAD), *map(row, outcomes)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def row(outcome: Outcome) -> tuple[str, ...]:
    """The cells of one outcome, in the order of HEAD."""
    named = [f"`{outcome.name}`"] if outcome.plain else []
    named += [f"`{outcome.name}.{SUFFIX[outcome.split]}`"] if outcome.split else []
    name = ", ".join(named) + (" *" if outcome.detail else "")
    cells = (name, outcome.unit, outcome.meaning, outcome.better, outcome.exercised_by, outcome.source)
    return tuple(cell.replace("|", "\\|") for cell in cells)


if __name__ == "__main__":
    DOCUMENT.write_text(with_fresh_tables(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
