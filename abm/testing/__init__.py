"""Conformance: what every rule, every strategy and every hedge must do, the built-in ones and yours.

    from abm.testing import check_hedge, check_rule, check_strategy

    def test_my_rule():
        check_rule(MyFunding(every=10))

All of them put the object to work on small venues for a hundred blocks that hold everything once: a crash, liquidations, bankruptcies,
funding, cross and isolated margin, one market and several. They raise ConformanceError with one clear line.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any, Literal

from abm.agents.base import Group, Hedge, Strategy
from abm.agents.passive import Holders
from abm.distributions import Uniform
from abm.mechanisms.enforcement import Enforcement
from abm.mechanisms.liquidation import Liquidation
from abm.mechanisms.rule import Rule
from abm.model import PerpModel
from abm.state import LIQUIDATION_TERMS
from abm.testing.comparison import changed_fields, content_of, tables_of
from abm.testing.form import ConformanceError, broken, check_parameters
from abm.testing.small_venue import BLOCKS, others, small_model, small_venue
from abm.testing.territory import DECIDES, HEDGES, MAY_WRITE, Watched

__all__ = ["ConformanceError", "check_hedge", "check_rule", "check_strategy"]


def check_rule(rule: Rule, *, markets: Sequence[int] = (1, 3), blocks: int = BLOCKS) -> None:
    """Runs `rule` on venues of so many markets (BTC; BTC, ETH and SOL); raises ConformanceError where it breaks a promise.

    It is a frozen, comparable dataclass with a docstring and units. Its verb runs without error while conservation is checked in
    every block, and writes only what its abstract class may write. The same seed gives the same bytes, also beside another run, and
    what it remembers is data that two identical runs share.
    """
    check_parameters(rule)
    kind = next((kind for kind in MAY_WRITE if isinstance(rule, kind)), None)
    if kind is None:
        raise broken(rule, f"is not below one of {', '.join(known.__name__ for known in MAY_WRITE)}")
    field, verb, may_write = MAY_WRITE[kind]
    if isinstance(rule, Liquidation):
        check_terms(rule)
    if isinstance(rule, Enforcement):
        fraction, amount = rule.reward()
        if not (0.0 <= fraction < math.inf and 0.0 <= amount < math.inf):
            raise broken(rule, f"reward() gave {fraction!r} of notional and {amount!r} USD; both must be finite and not negative")

    def memory(model: PerpModel) -> Any:
        if field == "events":
            return [due.memory for due in model._calendar.coming]
        return model._guards[0][1] if field == "guards" else model.memory[field]

    for n_markets in markets:

        def model(guest: Any, n_markets: int = n_markets) -> PerpModel:
            changes: dict[str, Any] = {field: (guest,) if field in ("guards", "events") else guest}
            return small_model(dataclasses.replace(small_venue(n_markets), **changes), others(), blocks)

        check_runs(rule, Watched(rule, verb, may_write), model, memory, blocks, f"with {n_markets} market(s)")


def check_strategy(
    strategy: Strategy,
    *,
    markets: Sequence[int] = (1, 3),
    margins: Sequence[Literal["cross", "isolated"]] = ("cross", "isolated"),
    members: int = 5,
    capital: float = 50_000.0,
    blocks: int = BLOCKS,
) -> None:
    """Runs a cohort of `strategy` among others on small venues; raises ConformanceError where it breaks a promise.

    The promises are those of `check_rule`: `decide` writes only to its orders, and `init` only to the outside holdings of its own
    members. A strategy that is made for one kind of margin or number of markets is checked for what it is made for.
    """
    check_parameters(strategy)
    watched = Watched(strategy, "decide", DECIDES)
    for n_markets in markets:
        for margin in margins:

            def model(guest: Any, n_markets: int = n_markets, margin: Literal["cross", "isolated"] = margin) -> PerpModel:
                group = Group(
                    name="guests",
                    strategy=guest,
                    members=members,
                    capital=capital,
                    margin=margin,
                    latency=Uniform(low=0.0, high=2.0),
                )
                return small_model(small_venue(n_markets), [*others(), group], blocks)

            where = f"with {n_markets} market(s) and {margin} margin"
            check_runs(strategy, watched, model, lambda model: model.cohorts[-1].memory, blocks, where)


def check_hedge(
    hedge: Hedge,
    *,
    strategy: Strategy | None = None,
    markets: Sequence[int] = (1, 3),
    margins: Sequence[Literal["cross", "isolated"]] = ("cross", "isolated"),
    blocks: int = BLOCKS,
) -> None:
    """Runs a cohort with `hedge` outside on small venues; raises ConformanceError where it breaks a promise.

    The promises are those of `check_rule`: `decide` writes only to its orders for spot and options, and `init` only adds contracts to
    the table of options. What there is to hedge comes from `strategy`, by default longs and shorts that hold.
    """
    check_parameters(hedge)
    watched = Watched(hedge, "decide", HEDGES)
    for n_markets in markets:
        for margin in margins:

            def model(guest: Any, n_markets: int = n_markets, margin: Literal["cross", "isolated"] = margin) -> PerpModel:
                held = strategy or Holders(leverage=3.0, long_share=0.5)
                group = Group(name="guests", strategy=held, members=5, capital=50_000.0, margin=margin, hedge=guest)
                return small_model(small_venue(n_markets), [*others(), group], blocks)

            where = f"with {n_markets} market(s) and {margin} margin"
            check_runs(hedge, watched, model, lambda model: model.cohorts[-1].hedge_memory, blocks, where)


def check_runs(
    guest: Rule | Strategy | Hedge,
    watched: Watched,
    make: Callable[[Any], PerpModel],
    memory: Callable[[PerpModel], Any],
    blocks: int,
    where: str,
) -> None:
    """One run that is watched, then two side by side; all three must end alike."""
    parameters = content_of(guest, guest)
    outcomes = []
    for guests in ([watched], [guest, guest]):
        models: list[PerpModel] = []
        try:
            models += [make(each) for each in guests]
            for _ in range(blocks):
                for model in models:
                    model.step()
        except ConformanceError:
            raise
        except Exception as error:
            block = f"in block {models[-1].block}" if models else "at the start"
            raise broken(guest, f"{block} {where}: {type(error).__name__}: {error}") from error
        outcomes += [(tables_of(model.state), content_of(guest, memory(model))) for model in models]
    alone, *together = outcomes
    for tables, remembered in together:
        for name, table in tables.items():
            if changed_fields(alone[0][name], table):
                raise broken(
                    guest,
                    f"two runs of the same seed differ in the table {name} {where}; is there a global state or random number?",
                )
        if remembered != alone[1]:
            raise broken(guest, f"two runs of the same seed remember different things {where}")
    if content_of(guest, guest) != parameters:
        raise broken(guest, "was changed by a run; keep what changes in the memory that init returns")


def check_terms(rule: Liquidation) -> None:
    """One row of LIQUIDATION_TERMS, the same each time."""
    terms = rule.terms()
    if terms.dtype != LIQUIDATION_TERMS or terms.shape != (1,):
        raise broken(rule, f"terms() gave {terms.dtype} of shape {terms.shape}, not one row of LIQUIDATION_TERMS")
    if terms.tobytes() != rule.terms().tobytes():
        raise broken(rule, "terms() gives something else every time")
