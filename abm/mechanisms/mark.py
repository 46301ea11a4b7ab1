"""What positions are valued at."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any

from abm.kernels import mark as kernels
from abm.mechanisms.rule import Rule
from abm.parameters import parameter
from abm.state import NOT_YET, State, Table, empty_table


@dataclass(frozen=True, kw_only=True)
class Mark(Rule):
    """What positions are valued at."""

    @abstractmethod
    def update(self, state: State, memory: Any) -> None:
        """Called once a block: writes `mark` of every market."""


@dataclass(frozen=True, kw_only=True)
class OracleMark(Mark):
    """The oracle price: trading on the venue cannot move it, an oracle fault can (dYdX v4, the default)."""

    def init(self, state: State, seed: int) -> None:
        kernels.mark_at_oracle(state.markets)

    def update(self, state: State, memory: None) -> None:
        kernels.mark_at_oracle(state.markets)


@dataclass(frozen=True, kw_only=True)
class LastTradeMark(Mark):
    """The last trade on the venue, and the oracle price before the first: anybody who trades through a thin book moves it."""

    def init(self, state: State, seed: int) -> None:
        kernels.mark_at_last_trade(state.markets)

    def update(self, state: State, memory: None) -> None:
        kernels.mark_at_last_trade(state.markets)


@dataclass(frozen=True, kw_only=True)
class MidMark(Mark):
    """Half-way between the venue's best quotes: on a curve its own price, to the nearest half tick (Perp v1 values positions by it).

    The oracle price before the first quotes; the last mark stays while a side is empty.
    """

    def init(self, state: State, seed: int) -> None:
        kernels.mark_at_oracle(state.markets)

    def update(self, state: State, memory: None) -> None:
        kernels.mark_at_mid(state.markets)


@dataclass(frozen=True, kw_only=True)
class MedianMark(Mark):
    """Median of oracle + average basis, of median(bid, ask, last), and of the moving average of the latter.

    No single one of oracle, book and recent past can move it alone (Hyperliquid docs, "Robust price indices"). That venue takes the
    weighted median of perpetual mids on other exchanges for the third price where it has them: with `looks_outside` it is the mid
    on the venue beside (`abm.VenuePair`), and without one, or while that has no quotes, the average. Missing quotes: the median of
    the book is taken of what is there (of two, their mean); the basis is sampled only while there are both a bid and an ask; with
    no quote and no trade at all the mark is oracle + average basis.
    """

    basis_seconds: float = parameter(150.0, unit="seconds", least=1e-3, most=1e9, about="time constant of the average of mid - oracle")
    book_seconds: float = parameter(
        30.0, unit="seconds", least=1e-3, most=1e9, about="time constant of the average of median(bid, ask, last)"
    )
    looks_outside: bool = parameter(False, unit="yes or no", about="the third price is the mid on the venue beside, if there is one")

    def init(self, state: State, seed: int) -> Table:
        averages: Table = empty_table((2, state.n_markets), kernels.MOVING_AVERAGE)
        averages["sampled_block"] = NOT_YET
        kernels.mark_at_oracle(state.markets)
        return averages

    def update(self, state: State, memory: Table) -> None:
        kernels.mark_at_median(
            state.venue, state.markets, memory, state.seconds_per_block, self.basis_seconds, self.book_seconds, int(self.looks_outside)
        )
