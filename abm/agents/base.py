"""What a strategy is, what it sees, and the Mesa agents that carry it.

A `Strategy` holds parameters and decides for all its members at once. A `Cohort` is the Mesa agent that ties a strategy to its
rows; a `Trader` is a Mesa agent for one account, scripted in plain Python.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from abm.agents.numbering import Participant
from abm.agents.sheet import OrderSheet
from abm.distributions import Distribution, sample
from abm.kernels.random import fill_normals, fill_uniforms
from abm.parameters import ParameterError, Parameters, parameter
from abm.state import NOBODY, State, empty_table
from abm.streams import stream_key

if TYPE_CHECKING:
    from abm.model import PerpModel

MEMBER = [
    ("row", "i8"),  # first account
    ("stride", "i8"),  # 0: cross margin, one account for all markets; 1: isolated, the account of market k is row + k
    ("latency", "i8"),  # blocks from decision to arrival
    ("capital", "f8"),  # USD paid in at the start
]  # fields that every member table of a compiled strategy starts with


class Recruits(NamedTuple):
    """What a strategy is told about its members when a run starts."""

    name: str  # of the cohort
    seed: int
    rows: NDArray[np.int64]  # (n,) first account of each member
    stride: int  # 0 cross, 1 isolated
    capital: NDArray[np.float64]  # (n,) USD
    latency: NDArray[np.int64]  # (n,) blocks
    state: State

    @property
    def members(self) -> int:
        return len(self.rows)

    def draw(self, what: str, distribution: Distribution | float) -> NDArray[np.float64]:
        """One value per member (n,) of the parameter called `what`, from its own random stream."""
        uniforms = np.zeros((self.members, 1))
        fill_uniforms(stream_key(self.seed, f"{self.name}/{what}"), 0, uniforms)
        return sample(distribution, uniforms[:, 0])

    def table(self, fields: list[tuple[str, str]]) -> NDArray[Any]:
        """A member table (n,) with the common fields filled in and `fields` zero."""
        table = empty_table(self.members, np.dtype(MEMBER + fields, align=True))
        table["row"] = self.rows
        table["stride"] = self.stride
        table["capital"] = self.capital
        table["latency"] = self.latency
        return table

    def wakes(self, mean_wait: NDArray[np.float64] | float = 1.0) -> NDArray[np.int64]:
        """Block of each member's first decision (n,), spread over `mean_wait` blocks.

        An array of its own and not a field of the member table: most members sleep in most blocks, and a kernel that looks for
        those awake reads an eighth of the memory.
        """
        return np.floor(self.uniforms("first decision") * mean_wait).astype(np.int64)

    def uniforms(self, what: str) -> NDArray[np.float64]:
        """One uniform per member (n,) from the stream called `what`."""
        uniforms = np.zeros((self.members, 1))
        fill_uniforms(stream_key(self.seed, f"{self.name}/{what}"), 0, uniforms)
        return uniforms[:, 0]

    def key(self, what: str) -> np.uint64:
        """The key of this cohort's random stream called `what`."""
        return stream_key(self.seed, f"{self.name}/{what}")


class View:
    """What a cohort sees: prices as just published, the book and all accounts as the last block left them. Not to be written to."""

    __slots__ = ("state", "rows", "stride", "orders", "beside", "_key")

    def __init__(self, state: State, recruits: Recruits) -> None:
        self.state = state
        self.rows = recruits.rows
        self.stride = recruits.stride
        self._key = recruits.key("view")
        self.orders = OrderSheet(state, recruits.rows, recruits.stride, recruits.latency)
        self.beside: View | None = None  # of the same members on a second venue, where they have accounts on two

    @property
    def block(self) -> int:
        return int(self.state.venue["block"][0])

    @property
    def seconds(self) -> float:
        """Time since the start of the run."""
        return self.block * self.state.seconds_per_block

    def market(self, symbol: str) -> int:
        """Column of a market by its symbol; raises KeyError with the known symbols."""
        if symbol not in self.state.symbols:
            raise KeyError(f"no market {symbol!r}; there are {', '.join(self.state.symbols)}")
        return self.state.symbols.index(symbol)

    def offers(self, what: str) -> bool:
        """How liquidity can be provided here: orders on a book, money in a pool, ranges of prices; on a curve only the venue does."""
        return what in self.state.offers

    def price(self, market: int, what: Literal["index", "oracle", "mark"] = "mark") -> float:
        """USD per coin."""
        return float(self.state.markets[what][market])

    def mid(self, market: int) -> float:
        """Half-way between best bid and best ask in USD; the mark price while a side is empty."""
        row = self.state.markets[market]
        if row["best_bid"] == 0 or row["best_ask"] == row["ticks"]:
            return float(row["mark"])
        return 0.5 * float(row["best_bid"] + row["best_ask"]) * float(row["tick"])

    def premium(self, market: int) -> float:
        """Mid over oracle, less one."""
        return self.mid(market) / self.price(market, "oracle") - 1.0

    def funding_rate(self, market: int) -> float:
        """Of the last settlement, fraction per interval of the venue's rule; positive: longs pay."""
        return float(self.state.markets["funding_rate"][market])

    def accounts(self, market: int) -> NDArray[np.int64]:
        """(n,) account rows of the members in a market: their only one, or under isolated margin that market's."""
        return self.rows + market * self.stride

    def size(self, market: int) -> NDArray[np.float64]:
        """(n,) positions in coins, long > 0."""
        lots = self.state.positions["lots"][self.accounts(market), market]
        size: NDArray[np.float64] = lots * float(self.state.markets["lot"][market])
        return size

    def outside(self, market: int) -> NDArray[np.float64]:
        """(n,) coins held on the outside market, short < 0: what they began with and what `orders.spot` has bought since."""
        size: NDArray[np.float64] = self.state.outside["size"][self.accounts(market), market].copy()
        return size

    def equity(self) -> NDArray[np.float64]:
        """(n,) USD at mark, over all accounts of a member."""
        accounts = self.state.accounts["equity"]
        if self.stride == 0:
            own: NDArray[np.float64] = accounts[self.rows].copy()
            return own
        total: NDArray[np.float64] = accounts[self.rows[:, None] + np.arange(self.state.n_markets)].sum(axis=1)
        return total

    def uniforms(self, draws: int = 1) -> NDArray[np.float64]:
        """(n, draws) uniforms in [0, 1) of this block: the same at every call, whatever else happens in the run."""
        out = np.zeros((len(self.rows), draws))
        fill_uniforms(self._key, self.block, out)
        return out

    def normals(self, draws: int = 1) -> NDArray[np.float64]:
        """(n, draws) standard normals of this block, addressed like `uniforms` but at other draws of the stream."""
        out = np.zeros((len(self.rows), draws))
        fill_normals(self._key ^ np.uint64(1), self.block, out)
        return out


@dataclass(frozen=True, kw_only=True)
class Strategy(Parameters, ABC):
    """How the members of a cohort behave: parameters, and one method that decides for all of them."""

    def init(self, recruits: Recruits) -> Any:
        """What the strategy must remember, made once at the start of a run."""
        return None

    @abstractmethod
    def decide(self, view: View, memory: Any) -> None:
        """Called once a block: writes orders to `view.orders`; reads all it likes and changes nothing else but its memory."""


@dataclass(frozen=True, kw_only=True)
class Hedge(Parameters, ABC):
    """What the members of a group do outside the venue about what they hold on it, whatever their strategy."""

    def init(self, recruits: Recruits) -> Any:
        """What must be remembered, made once at the start of a run, after the strategy's."""
        return None

    @abstractmethod
    def decide(self, view: View, memory: Any) -> None:
        """Called once a block, after the strategy; sends orders to the outside market and changes nothing else but its memory."""


@dataclass(frozen=True, kw_only=True)
class NoHedge(Hedge):
    """Nothing."""

    def decide(self, view: View, memory: None) -> None:
        """Never called."""


@dataclass(frozen=True, kw_only=True)
class Group(Parameters):
    """A cohort to be: how many members, with what means, following which strategy."""

    name: str = parameter(unit="name")
    strategy: Strategy = parameter(unit="strategy")
    members: int = parameter(unit="traders", least=1, most=10_000_000)
    capital: Distribution | float = parameter(10_000.0, unit="USD per trader", least=0.0)
    leverage_limit: Distribution | float = parameter(0.0, unit="times equity", least=0.0, about="0: as much as the venue allows")
    latency: Distribution | float = parameter(0.0, unit="blocks", least=0.0)
    margin: Literal["cross", "isolated"] = parameter("cross", unit="name")
    hedge: Hedge = parameter(NoHedge(), unit="", about="outside the venue, of what its members hold on it")

    def accounts(self, n_markets: int) -> int:
        """Account rows the group needs: one per trader, or one per trader and market under isolated margin."""
        return self.members * (n_markets if self.margin == "isolated" else 1)


class Cohort(Participant):
    """A strategy and its rows in the tables."""

    def __init__(self, model: PerpModel, group: Group, number: int, recruits: Recruits) -> None:
        super().__init__(model)
        self.group = group
        self.name = group.name
        self.number = number
        self.rows = recruits.rows
        self.accounts_from = int(recruits.rows[0])
        self.accounts_to = self.accounts_from + group.accounts(recruits.state.n_markets)
        self.state = recruits.state
        self.view = View(recruits.state, recruits)
        self.memory = group.strategy.init(recruits)
        self.hedge = None if isinstance(group.hedge, NoHedge) else group.hedge
        self.hedge_memory = group.hedge.init(recruits)

    def step(self) -> None:
        """Everybody in the cohort decides."""
        self.group.strategy.decide(self.view, self.memory)
        if self.hedge is not None:
            self.hedge.decide(self.view, self.hedge_memory)

    @property
    def equity(self) -> float:
        """USD of all its accounts at mark, as last assessed."""
        return float(self.state.accounts["equity"][self.accounts_from : self.accounts_to].sum())


class Trader(Participant):
    """One account, scripted in plain Python: override `step` and call `buy`, `sell`, `close`, `position`, `equity`.

    Created before the first block with the USD it pays in; its account is one of the rows the model keeps free (`spare_accounts`).
    """

    def __init__(self, model: PerpModel, capital: float = 10_000.0, latency: int = 0, leverage_limit: float = 0.0) -> None:
        super().__init__(model)
        self.state = model.state
        self.row = model.open_account(capital, latency, leverage_limit)
        rows = np.array([self.row], np.int64)
        self._orders = OrderSheet(model.state, rows, 0, np.array([latency], np.int64))
        self._mine = np.array([True])

    def step(self) -> None:
        """Does nothing until overridden."""

    def _market(self, symbol: str) -> int:
        symbols = self.state.symbols
        if symbol not in symbols:
            raise KeyError(f"no market {symbol!r}; there are {', '.join(symbols)}")
        return int(symbols.index(symbol))

    def buy(self, symbol: str, size: float, limit: float | None = None, **flags: bool) -> None:
        """Buys `size` coins at once, or with `limit` (USD) leaves what is not filled resting. `flags` as in `OrderSheet.limit`."""
        self._order(symbol, 1, size, limit, **flags)

    def sell(self, symbol: str, size: float, limit: float | None = None, **flags: bool) -> None:
        """Sells `size` coins at once, or with `limit` (USD) leaves what is not filled resting."""
        self._order(symbol, -1, size, limit, **flags)

    def _order(self, symbol: str, side: int, size: float, limit: float | None, **flags: bool) -> None:
        if not size > 0.0:
            raise ValueError(f"size must be a positive number of coins, not {size}")
        market = self._market(symbol)
        if limit is None:
            self._orders.market(self._mine, market, side, size, **flags)
        else:
            self._orders.limit(self._mine, market, side, size, limit, **flags)

    def close(self, symbol: str) -> None:
        """Closes the position at market."""
        size = self.position(symbol)
        if size != 0.0:
            self._orders.market(self._mine, self._market(symbol), -1 if size > 0 else 1, abs(size), reduce_only=True)

    def cancel(self, symbol: str) -> None:
        """Cancels all resting orders in a market."""
        self._orders.cancel_all(self._mine, self._market(symbol))

    def position(self, symbol: str) -> float:
        """Coins held, long > 0."""
        market = self._market(symbol)
        return float(self.state.positions["lots"][self.row, market] * self.state.markets["lot"][market])

    def price(self, symbol: str, what: str = "mark") -> float:
        """USD per coin: mark, oracle or index."""
        return float(self.state.markets[what][self._market(symbol)])

    @property
    def equity(self) -> float:
        """USD at mark, as last assessed."""
        return float(self.state.accounts["equity"][self.row])


def enlist(state: State, group: Group, number: int, first_account: int, seed: int) -> Recruits:
    """Opens the accounts of a group from row `first_account` on and pays in its capital; returns its recruits.

    Raises ParameterError for a negative or non-finite draw of capital, leverage or latency.
    """
    n_markets = state.n_markets
    isolated = group.margin == "isolated"
    stride = 1 if isolated else 0
    per_member = n_markets if isolated else 1
    rows = first_account + per_member * np.arange(group.members, dtype=np.int64)
    blank = Recruits(group.name, seed, rows, stride, np.zeros(group.members), np.zeros(group.members, np.int64), state)
    drawn = {what: blank.draw(what, getattr(group, what)) for what in ("capital", "leverage_limit", "latency")}
    problems = [
        f"population.{group.name}.{what}: a member drew {values.min():g}; must be finite and at least 0"
        for what, values in drawn.items()
        if not np.isfinite(values).all() or values.min() < 0.0
    ]
    if problems:
        raise ParameterError(problems)
    recruits = blank._replace(capital=drawn["capital"], latency=np.rint(drawn["latency"]).astype(np.int64))
    limits = drawn["leverage_limit"]
    fraction = np.divide(1.0, limits, out=np.zeros_like(limits), where=limits > 0.0)
    for part in range(per_member):
        open_accounts(state, rows + part, recruits.capital / per_member, recruits.latency, fraction, number)
        state.accounts["owner"][rows + part] = rows
        if isolated:
            state.accounts["isolated_market"][rows + part] = part
    return recruits


def open_accounts(
    state: State,
    rows: NDArray[np.int64],
    capital: NDArray[np.float64],
    latency: NDArray[np.int64],
    least_margin_fraction: NDArray[np.float64],
    cohort: int = NOBODY,
) -> None:
    """Pays `capital` USD into the accounts `rows` and sets their latency (blocks) and user-chosen leverage."""
    accounts = state.accounts
    accounts["collateral"][rows] += capital
    accounts["equity"][rows] += capital
    accounts["net_deposits"][rows] += capital
    accounts["latency"][rows] = latency
    accounts["cohort"][rows] = cohort
    state.positions["least_margin_fraction"][rows] = least_margin_fraction[:, None]
    state.venue["net_deposits"] += capital.sum()
