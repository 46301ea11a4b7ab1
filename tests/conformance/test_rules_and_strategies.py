"""Every concrete rule, strategy and hedge of the package, found by walking the modules, and examples of a user's, good and bad."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import abm
from abm.agents.base import Hedge, Recruits, Strategy, View
from abm.agents.outside_hedges import OptionHedge, SpotHedge
from abm.mechanisms.enforcement import Enforcement
from abm.mechanisms.fees import FlatFees
from abm.mechanisms.funding import Funding, book_premiums, pay_funding
from abm.mechanisms.guards import Guard, IsolatedMarkets, OpenInterestCap
from abm.mechanisms.margin import Margin
from abm.mechanisms.mark import Mark
from abm.mechanisms.ordering import Ordering
from abm.mechanisms.rule import Rule
from abm.parameters import Parameters, parameter
from abm.state import State
from abm.testing import ConformanceError, check_hedge, check_rule, check_strategy
from abm.testing.small_venue import BLOCKS, others, small_model, small_venue

# Parameters of those that have no default for each.
NEEDED: dict[str, dict[str, Any]] = {
    "FlatFees": {"maker": 0.0001, "taker": 0.0005},
    "IsolatedMarkets": {"symbols": ("BTC",)},
    "OpenInterestCap": {"caps": 100_000.0},
}


def concrete(family: type[Parameters], package: str) -> Iterator[type[Parameters]]:
    """All classes below `family` that can be made, in the modules of `package`."""
    home = importlib.import_module(package)
    for module in pkgutil.walk_packages(home.__path__, f"{package}."):
        importlib.import_module(module.name)

    def below(cls: type) -> Iterator[type]:
        for child in cls.__subclasses__():
            yield child
            yield from below(child)

    found = {cls for cls in below(family) if not inspect.isabstract(cls) and cls.__module__.startswith(f"{package}.")}
    return iter(sorted(found, key=lambda cls: cls.__name__))


def made(cls: type[Parameters]) -> Any:
    """One object of the class, from its defaults where it has them."""
    return cls(**NEEDED.get(cls.__name__, {}))


RULES = list(concrete(Rule, "abm.mechanisms"))
STRATEGIES = list(concrete(Strategy, "abm.agents"))
HEDGES = list(concrete(Hedge, "abm.agents"))


def test_the_walk_finds_what_the_package_offers() -> None:
    names = {cls.__name__ for cls in (*RULES, *STRATEGIES, *HEDGES)}
    public = {name: getattr(abm, name) for name in abm.__all__ if inspect.isclass(getattr(abm, name))}
    offered = {name for name, cls in public.items() if issubclass(cls, Rule | Strategy | Hedge) and not inspect.isabstract(cls)}
    assert offered
    assert offered <= names


@pytest.mark.parametrize("cls", RULES, ids=[cls.__name__ for cls in RULES])
def test_every_rule(cls: type[Rule]) -> None:
    check_rule(made(cls))


@pytest.mark.parametrize("cls", STRATEGIES, ids=[cls.__name__ for cls in STRATEGIES])
def test_every_strategy(cls: type[Strategy]) -> None:
    check_strategy(made(cls))


@pytest.mark.parametrize("cls", HEDGES, ids=[cls.__name__ for cls in HEDGES])
def test_every_hedge(cls: type[Hedge]) -> None:
    check_hedge(made(cls))


def test_contracts_that_expire_and_roll_conform() -> None:
    check_hedge(OptionHedge(form="straddle", expiry_seconds=1200.0))


@dataclass(frozen=True, kw_only=True)
class Trespassing(SpotHedge):
    """Hedges by taking the position off the venue's books."""

    def decide(self, view: View, memory: Any) -> None:
        view.state.positions["lots"][view.rows] = 0


@dataclass(frozen=True, kw_only=True)
class EndowsItself(SpotHedge):
    """Begins with coins that nobody paid for."""

    def init(self, recruits: Recruits) -> Any:
        recruits.state.outside["size"][recruits.rows] += 1.0
        return super().init(recruits)


def test_a_hedge_that_writes_elsewhere_does_not_pass() -> None:
    with pytest.raises(ConformanceError, match=r"Trespassing: decide changed positions\.lots in block \d+, which is not its own"):
        check_hedge(Trespassing(), markets=(1,), margins=("cross",))
    with pytest.raises(ConformanceError, match=r"EndowsItself: init changed outside\.size"):
        check_hedge(EndowsItself(), markets=(1,), margins=("cross",))


@dataclass(frozen=True, kw_only=True)
class TenthOfPremium(Funding):
    """A user's rule in plain NumPy: a tenth of the premium, paid every so many blocks."""

    every: int = parameter(10, unit="blocks", least=1)

    def init(self, state: State, seed: int) -> dict[str, Any]:
        return {"settlements": 0, "premium": np.zeros(state.n_markets)}

    def settle(self, state: State, memory: dict[str, Any]) -> None:
        memory["premium"] = book_premiums(state)
        if state.venue["block"][0] % self.every == 0:
            rate = memory["premium"] / 10.0
            pay_funding(state, rate * state.markets["oracle"], rate, interval_seconds=self.every * state.seconds_per_block)
            memory["settlements"] += 1


@dataclass(frozen=True, kw_only=True)
class Contrarians(Strategy):
    """A user's strategy in plain NumPy: sells what has risen, buys what has fallen, some of the time."""

    notional: float = parameter(300.0, unit="USD per order", least=0.0)

    def init(self, recruits: Recruits) -> dict[str, Any]:
        return {"last": np.zeros(recruits.state.n_markets)}

    def decide(self, view: View, memory: dict[str, Any]) -> None:
        tempted = view.uniforms()[:, 0] < 0.2
        for market in range(view.state.n_markets):
            price = view.price(market, "index")
            if memory["last"][market] > 0.0:
                side = -1 if price > memory["last"][market] else 1
                view.orders.market(tempted, market, side, self.notional / price)
            memory["last"][market] = price


def test_a_users_rule_and_strategy_pass() -> None:
    check_rule(TenthOfPremium(every=7))
    check_strategy(Contrarians())


@dataclass(frozen=True, kw_only=True)
class WithoutUnit(Contrarians):
    """A parameter that says nothing."""

    patience: int = 3


class Undecorated(Contrarians):
    """Not a dataclass of its own."""


@dataclass(frozen=True, kw_only=True)
class Undocumented(Contrarians):
    pass


@dataclass(frozen=True, kw_only=True)
class Unhashable(Contrarians):
    """Holds a list."""

    weights: list[float] = parameter(unit="shares")


SHARED: list[int] = []


@dataclass(frozen=True, kw_only=True)
class Sharing(Contrarians):
    """Keeps its state where all runs see it."""

    def decide(self, view: View, memory: Any) -> None:
        SHARED.append(view.block)
        if len(SHARED) % 3 == 0:
            super().decide(view, memory)


@dataclass(frozen=True, kw_only=True)
class Sequenced(Contrarians):
    """Draws from a generator whose position depends on what was drawn before."""

    def init(self, recruits: Recruits) -> Any:
        return {**super().init(recruits), "generator": np.random.default_rng(1)}


@dataclass(frozen=True, kw_only=True)
class Thief(Contrarians):
    """Pays itself."""

    def decide(self, view: View, memory: Any) -> None:
        view.state.accounts["collateral"][view.rows] += 1.0


@dataclass(frozen=True, kw_only=True)
class Heir(Contrarians):
    """Owns other people's coins."""

    def init(self, recruits: Recruits) -> Any:
        recruits.state.outside["size"][0, 0] = 5.0
        return super().init(recruits)


@dataclass(frozen=True, kw_only=True)
class Crossed(Contrarians):
    """Works under cross margin only."""

    def init(self, recruits: Recruits) -> Any:
        if recruits.stride:
            raise ValueError("made for cross margin")
        return super().init(recruits)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (WithoutUnit, "WithoutUnit: its field patience has no unit"),
        (Undecorated, "Undecorated: is not a dataclass"),
        (Undocumented, "Undocumented: has no docstring"),
        (lambda: Unhashable(weights=[1.0]), "Unhashable: cannot be hashed"),
        (Sharing, "Sharing: two runs of the same seed differ in the table"),
        (Sequenced, "Sequenced: remembers a Generator"),
        (Thief, "Thief: decide changed accounts.collateral in block 0, which is not its own"),
        (Heir, "Heir: init changed the outside holdings of accounts that are not its own"),
        (Crossed, "Crossed: at the start with 1 market(s) and isolated margin: ValueError: made for cross margin"),
    ],
)
def test_a_strategy_that_breaks_a_promise_is_told_which(make: Callable[[], Strategy], message: str) -> None:
    with pytest.raises(ConformanceError) as caught:
        check_strategy(make())
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_what_is_made_for_one_setting_is_checked_for_that_one() -> None:
    check_strategy(Crossed(), margins=("cross",))


@dataclass(frozen=True, kw_only=True)
class Meddling(Mark):
    """Sets the oracle price too."""

    def update(self, state: State, memory: None) -> None:
        state.markets["mark"] = state.markets["oracle"]
        state.markets["oracle"] *= 1.01


@dataclass(frozen=True, kw_only=True)
class Worthless(Mark):
    """A price of nothing."""

    def update(self, state: State, memory: None) -> None:
        state.markets["mark"] = 0.0


@dataclass(frozen=True, kw_only=True)
class Repeating(Ordering):
    """Executes the first transaction twice."""

    def arrange(self, state: State, memory: Any) -> int:
        state.sequence[0, :2] = 0
        return min(2, int(state.venue["transactions"][0]))


@dataclass(frozen=True, kw_only=True)
class Failing(Guard):
    """Divides by nothing after a while."""

    def watch(self, state: State, memory: None) -> None:
        _ = 1 // (30 - int(state.venue["block"][0]))


@dataclass(frozen=True, kw_only=True)
class Minting(Funding):
    """Gives everybody a dollar."""

    def settle(self, state: State, memory: None) -> None:
        state.accounts["collateral"] += 1.0


@dataclass(frozen=True, kw_only=True)
class Greedy(Enforcement):
    """A reward below nothing."""

    def reward(self) -> tuple[float, float]:
        return -0.1, 0.0

    def enforce(self, state: State, memory: None) -> None:
        """Nothing."""


@dataclass(frozen=True, kw_only=True)
class Loose(Rule):
    """Below no kind of rule."""


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (Meddling(), "Meddling: update changed markets.oracle in block 0, which is not its own"),
        (Worthless(), "Worthless: published [0.0]: prices must be finite and positive"),
        (Repeating(), "Repeating: arrange wrote a transaction twice"),
        (Failing(), "Failing: in block 30 with 1 market(s): ZeroDivisionError"),
        (Minting(), "Minting: in block 0 with 1 market(s): "),
        (Greedy(), "Greedy: reward() gave -0.1"),
        (Loose(), "Loose: is not below one of Ordering, Clearing"),
    ],
)
def test_a_rule_that_breaks_a_promise_is_told_which(rule: Rule, message: str) -> None:
    with pytest.raises(ConformanceError) as caught:
        check_rule(rule)
    assert str(caught.value).startswith(message)


def test_a_rule_without_defaults_needs_an_example_here() -> None:
    """The table of parameters above names no class that is gone, and none that could do without."""
    classes = {cls.__name__: cls for cls in (FlatFees, IsolatedMarkets, OpenInterestCap)}
    assert classes.keys() == NEEDED.keys()
    for cls in classes.values():
        with pytest.raises(TypeError):
            cls()
    assert issubclass(Margin, Rule)


@pytest.mark.parametrize("n_markets", [1, 3])
def test_everything_happens_on_the_small_venue(n_markets: int) -> None:
    """A check on it would prove little if nobody were liquidated, deleveraged or charged funding there."""
    frames = small_model(small_venue(n_markets), others(), BLOCKS).run().frames()
    for table in ("fills", "liquidations", "deleveragings", "funding"):
        assert frames[table]["market"].n_unique() == n_markets, table
    assert frames["venue"]["insurance_fund"].min() < 2_500.0
    assert frames["funding"]["paid"].sum() > 0.0
