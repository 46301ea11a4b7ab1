"""How a rule of the venue gives way to another in the middle of a run: what stays in force until the new one has spoken."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from abm.mechanisms.guards import Guard
from abm.mechanisms.rule import Rule
from abm.state import State

ORACLE_FIELDS = ["oracle", "oracle_block", "oracle_confirmed"]

Guarded = list[tuple[Guard, Any]]  # guards with their memories, in the order in which they look


def begin_rule(kind: str, rule: Rule, state: State, seed: int) -> Any:
    """The memory of a rule that comes into force in this block as field `kind` of the venue.

    A new oracle leaves the price in force as it is until it publishes one of its own; what its sources saw before it began is that price.
    A new mark leaves the mark until the next block, and drops a trigger price that is not its own.
    """
    markets = state.markets
    if kind == "oracle":
        index, in_force = markets["index"].copy(), markets[ORACLE_FIELDS].copy()
        markets["index"] = markets["oracle"]
        memory = rule.init(state, seed)
        markets["index"] = index
        for field in ORACLE_FIELDS:
            markets[field] = in_force[field]
        return memory
    if kind == "mark":
        mark = markets["mark"].copy()
        markets["trigger"] = 0.0
        memory = rule.init(state, seed)
        markets["mark"] = mark
        return memory
    return rule.init(state, seed)


def succeeded(guards: Sequence[Guard], new: Sequence[Guard]) -> list[Guard]:
    """The guards in force after a vote: new ones in the place of those of the same kind, and others behind all."""
    kinds = {type(guard) for guard in new}
    kept: list[Guard] = []
    placed: set[type[Guard]] = set()
    for guard in guards:
        if type(guard) not in kinds:
            kept.append(guard)
        elif type(guard) not in placed:
            placed.add(type(guard))
            kept += [each for each in new if type(each) is type(guard)]
    return kept + [guard for guard in new if type(guard) not in placed]


def begin_guards(guarded: Guarded, new: Sequence[Guard], state: State, seed: int) -> Guarded:
    """The guards in force after a vote with their memories: those that stay go on with theirs, those that go take back what they set."""
    memories = {id(guard): memory for guard, memory in guarded}
    after = succeeded([guard for guard, _ in guarded], new)
    leaving = [guard for guard, _ in guarded if not any(guard is each for each in after)]
    for guard in leaving:
        guard.lift(state)
    begun = {id(guard): guard.init(state, seed) for guard in new}
    for guard in new:
        for before in leaving:
            if type(before) is type(guard):
                guard.take_over(begun[id(guard)], memories[id(before)])
    return [(guard, begun[id(guard)] if id(guard) in begun else memories[id(guard)]) for guard in after]
