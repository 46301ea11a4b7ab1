"""What longs and shorts pay each other to keep the venue's price near the index."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from abm.kernels.funding import (
    CLAMPED_TERMS,
    PREMIUM_AVERAGE,
    VOTE_COUNT,
    VOTE_TERMS,
    settle_clamped_funding,
    settle_given_amounts,
    settle_voted_funding,
)
from abm.kernels.premium import measure_premiums
from abm.mechanisms.rule import Rule
from abm.parameters import parameter, per_market
from abm.state import State, Table, empty_table

DAY = 86_400.0  # seconds
EIGHT_HOURS = 28_800.0  # seconds


@dataclass(frozen=True, kw_only=True)
class Funding(Rule):
    """What longs and shorts pay each other to keep the venue's price near the index."""

    @abstractmethod
    def settle(self, state: State, memory: Any) -> None:
        """Called once a block: samples the premium; in a funding block, settles."""


@dataclass(frozen=True, kw_only=True)
class NoFunding(Funding):
    """Nobody pays anybody: a future that never expires and is never pulled to its index."""

    def settle(self, state: State, memory: Any) -> None:
        """Does nothing."""


class VoteMemory(NamedTuple):
    """What dYdX v4 funding remembers between blocks."""

    terms: Table  # VOTE_TERMS, one row
    counts: Table  # VOTE_COUNT (m,)
    votes: NDArray[np.float64]  # (m, most votes of a sample), fractions
    samples: NDArray[np.float64]  # (m, most samples of a settlement), fractions


@dataclass(frozen=True, kw_only=True)
class PremiumVoteFunding(Funding):
    """Funding of dYdX v4: a vote on the premium every block, a median every minute, an average every hour, a clamp.

    - impact prices: average price of a market order of `impact_margin` / initial margin fraction
    - vote = [max(0, impact bid - P) - max(0, P - impact ask)] / P with P the oracle price, cut to millionths, held
      within `vote_clamp_factor` x (initial - maintenance margin fraction); 0 while the market is not active or a side
      has no depth
    - sample = median of the votes, padded with zeros to `least_votes`
    - rate = average of the samples (padded with zeros to one per sampling interval) + `default_rate`, held within
      `clamp_factor` x (initial - maintenance margin fraction), quoted for `rate_seconds`
    - longs pay rate x settlement interval / `rate_seconds` x P per coin

    Where blocks are so long that a sample has fewer than `least_votes` blocks, each block stands for several of the
    chain's and no zeros are added for those. Source: dydxprotocol/v4-chain
    `protocol/x/perpetuals/keeper/perpetual.go`; defaults of its `testing/genesis.sh`, where impact notionals are 10,000 USD
    at 5 % initial margin, 5,000 at 10 % and 2,500 at 20 %, and of the documentation
    (default rate 0 in cross-margined markets, 0.0001 in isolated ones).
    """

    sample_seconds: float = parameter(60.0, unit="seconds", least=1e-3, most=DAY)
    impact_margin: float = parameter(500.0, unit="USD of initial margin", least=0.0, about="size of impact orders; 0 = best prices")
    sample_offset_seconds: float = parameter(30.0, unit="seconds", least=0.0, most=DAY)
    settlement_seconds: float = parameter(3600.0, unit="seconds", least=1e-3, most=30 * DAY)
    rate_seconds: float = parameter(EIGHT_HOURS, unit="seconds", least=1.0, most=366 * DAY, about="time of a quoted rate")
    least_votes: int = parameter(15, unit="votes", least=1, most=100_000, about="fewer are filled up with zeros")
    vote_clamp_factor: float = parameter(60.0, unit="margin fractions", least=0.0, most=1e6)
    clamp_factor: float = parameter(6.0, unit="margin fractions", least=0.0, most=1e6)
    tail_removal: float = parameter(0.0, unit="fraction of the samples, at each end", least=0.0, most=1.0)
    default_rate: float | tuple[float, ...] = parameter(
        0.0, unit="fraction per rate_seconds", least=-1.0, most=1.0, about="one number, or one per market"
    )

    def inconsistencies(self) -> list[str]:
        if self.sample_seconds > self.settlement_seconds:
            return [
                f"PremiumVoteFunding: sample_seconds {self.sample_seconds:g} is longer than settlement_seconds {self.settlement_seconds:g}"
            ]
        return []

    def init(self, state: State, seed: int) -> VoteMemory:
        state.markets["impact_notional"] = self.impact_margin / state.margin_tiers["initial"][:, 0]
        sample_blocks = state.blocks(self.sample_seconds)
        settlement_blocks = max(state.blocks(self.settlement_seconds), sample_blocks)
        seconds = settlement_blocks * state.seconds_per_block
        terms = empty_table(1, VOTE_TERMS)
        terms["sample_blocks"] = sample_blocks
        terms["sample_offset"] = round(self.sample_offset_seconds / state.seconds_per_block) % sample_blocks
        terms["settlement_blocks"] = settlement_blocks
        terms["least_votes"] = least_votes = min(self.least_votes, sample_blocks)
        terms["least_samples"] = settlement_blocks // sample_blocks
        terms["vote_clamp_factor"] = self.vote_clamp_factor
        terms["clamp_factor"] = self.clamp_factor
        terms["tail_removal"] = self.tail_removal
        terms["share"] = seconds / self.rate_seconds
        terms["per_day"] = DAY / seconds
        counts = empty_table(state.n_markets, VOTE_COUNT)
        counts["default_rate"] = per_market(self.default_rate, state.n_markets, "PremiumVoteFunding.default_rate")
        votes = np.zeros((state.n_markets, max(sample_blocks, least_votes)))
        samples = np.zeros((state.n_markets, settlement_blocks // sample_blocks + 2))
        return VoteMemory(terms, counts, votes, samples)

    def settle(self, state: State, memory: VoteMemory) -> None:
        settle_voted_funding(
            state.venue,
            state.accounts,
            state.positions,
            state.markets,
            state.margin_tiers,
            state.levels,
            state.bitmap,
            state.orders,
            state.funding_payments,
            memory.terms,
            memory.counts,
            memory.votes,
            memory.samples,
        )


class AverageMemory(NamedTuple):
    """What clamped-premium funding remembers between blocks."""

    sample_blocks: int
    settlement_blocks: int
    terms: Table  # CLAMPED_TERMS, one row
    averages: Table  # PREMIUM_AVERAGE (m,)


@dataclass(frozen=True, kw_only=True)
class ClampedPremiumFunding(Funding):
    """Funding F = P + clamp(I - P, -band, band): the interest I while the average premium P is within the band around
    it.

    P is the average of samples of [max(0, impact bid - O) - max(0, O - impact ask)] / O, O the oracle price and the
    impact prices the average prices of a market order of `impact_notional`, taken
    every `sample_seconds`: "plain", or "time-weighted" with weights 1, 2, 3, ... so that later samples count more. F
    is quoted for `rate_seconds`; every `settlement_seconds` longs pay F x settlement_seconds / rate_seconds, held
    within `cap` and within `maintenance_cap` x maintenance margin fraction, of their notional at the oracle or the
    mark price.

    Sources: Hyperliquid documentation, funding (hourly, plain, cap 0.04, oracle price, 20,000 USD for its largest
    markets and 6,000 for the others: the defaults); Binance funding FAQ (settlement_seconds 28800, time-weighted,
    maintenance_cap 0.75, mark price, impact notional 200 USD / initial margin fraction); BitMEX perpetual contracts guide.
    With interest, band = 0 and rate_seconds = settlement_seconds the whole premium is paid each time.
    """

    sample_seconds: float = parameter(5.0, unit="seconds", least=1e-3, most=30 * DAY)
    impact_notional: float | tuple[float, ...] = parameter(
        20_000.0, unit="USD", least=0.0, about="size of impact orders, one number, or one per market; 0 = best prices"
    )
    settlement_seconds: float = parameter(3600.0, unit="seconds", least=1e-3, most=30 * DAY)
    rate_seconds: float = parameter(EIGHT_HOURS, unit="seconds", least=1.0, most=366 * DAY, about="time of a quoted rate")
    interest: float | tuple[float, ...] = parameter(
        0.0001, unit="fraction per rate_seconds", least=-1.0, most=1.0, about="one number, or one per market"
    )
    band: float | tuple[float, ...] = parameter(
        0.0005, unit="fraction per rate_seconds", least=0.0, about="half-width; one number, or one per market"
    )
    cap: float | tuple[float, ...] = parameter(
        0.04, unit="fraction per settlement", least=0.0, about="one number, or one per market; inf = none"
    )
    maintenance_cap: float = parameter(math.inf, unit="maintenance margin fractions per settlement", least=0.0, about="inf = none")
    averaging: Literal["plain", "time-weighted"] = parameter("plain", unit="how samples are averaged")
    payment_price: Literal["oracle", "mark"] = parameter("oracle", unit="price that notional is valued at")

    def inconsistencies(self) -> list[str]:
        problems = []
        if self.sample_seconds > self.settlement_seconds:
            problems.append(
                f"ClampedPremiumFunding: sample_seconds {self.sample_seconds:g} is longer than "
                f"settlement_seconds {self.settlement_seconds:g}"
            )
        choices: list[tuple[str, str, tuple[str, ...]]] = [
            ("averaging", self.averaging, ("plain", "time-weighted")),
            ("payment_price", self.payment_price, ("oracle", "mark")),
        ]
        for name, value, allowed in choices:
            if value not in allowed:
                problems.append(f"ClampedPremiumFunding.{name}: {value!r} is not one of {', '.join(map(repr, allowed))}")
        return problems

    def init(self, state: State, seed: int) -> AverageMemory:
        state.markets["impact_notional"] = per_market(self.impact_notional, state.n_markets, "ClampedPremiumFunding.impact_notional")
        sample_blocks = state.blocks(self.sample_seconds)
        settlement_blocks = max(state.blocks(self.settlement_seconds), sample_blocks)
        seconds = settlement_blocks * state.seconds_per_block
        terms = empty_table(1, CLAMPED_TERMS)
        terms["sample_blocks"] = sample_blocks
        terms["settlement_blocks"] = settlement_blocks
        terms["share"] = seconds / self.rate_seconds
        terms["per_day"] = DAY / seconds
        terms["maintenance_cap"] = self.maintenance_cap
        terms["time_weighted"] = self.averaging == "time-weighted"
        terms["paid_on_mark"] = self.payment_price == "mark"
        averages = empty_table(state.n_markets, PREMIUM_AVERAGE)
        for name in ("interest", "band", "cap"):
            averages[name] = per_market(getattr(self, name), state.n_markets, f"ClampedPremiumFunding.{name}")
        return AverageMemory(sample_blocks, settlement_blocks, terms, averages)

    def settle(self, state: State, memory: AverageMemory) -> None:
        block = state.venue["block"].item()
        if block == 0 or (block % memory.sample_blocks and block % memory.settlement_blocks):
            return
        settle_clamped_funding(
            state.venue,
            state.accounts,
            state.positions,
            state.markets,
            state.margin_tiers,
            state.levels,
            state.bitmap,
            state.orders,
            state.funding_payments,
            memory.terms,
            memory.averages,
        )


def book_premiums(state: State) -> NDArray[np.float64]:
    """Premium of the impact prices over the oracle price now, as a fraction, in every market (m,). For rules in plain
    NumPy."""
    premiums = np.empty(state.n_markets)
    measure_premiums(
        state.accounts,
        state.positions,
        state.markets,
        state.margin_tiers,
        state.levels,
        state.bitmap,
        state.orders,
        premiums,
    )
    return premiums


def pay_funding(
    state: State,
    per_coin: ArrayLike,
    rate: ArrayLike,
    *,
    interval_seconds: float,
    premium: ArrayLike = 0.0,
    price: ArrayLike | None = None,
    due: ArrayLike = True,
) -> None:
    """Settles funding now: every position pays `per_coin` USD per coin (longs pay when positive). For rules in plain
    NumPy.

    Each argument is one number or one per market (m,): `rate` the same as a fraction of notional per interval of
    `interval_seconds`, `premium` the average it came from and `price` what notional was valued at (default: the
    oracle price), both only for the record; `due` says which markets settle. Raises ValueError for an amount that is
    not finite.
    """
    if not 0.0 < interval_seconds < math.inf:
        raise ValueError(f"interval_seconds must be a finite time > 0, not {interval_seconds}")
    due = _row(state, due, "due", np.bool_)
    amounts = _row(state, per_coin, "per_coin", np.float64)
    rates = _row(state, rate, "rate", np.float64)
    for name, values in (("per_coin", amounts), ("rate", rates)):
        for symbol, value in zip(state.symbols, values, strict=True):
            if not math.isfinite(value):
                raise ValueError(f"{name} of {symbol} must be a finite number, not {value}")
    settle_given_amounts(
        state.venue,
        state.accounts,
        state.positions,
        state.markets,
        state.funding_payments,
        due,
        rates,
        rates * (DAY / interval_seconds),
        _row(state, premium, "premium", np.float64),
        _row(state, state.markets["oracle"] if price is None else price, "price", np.float64),
        amounts,
    )


def _row(state: State, values: ArrayLike, name: str, dtype: type) -> NDArray[Any]:
    row: NDArray[Any] = np.asarray(values, dtype)
    if row.shape not in ((), (state.n_markets,)):
        raise ValueError(f"{name} must be one number or {state.n_markets}, one per market, not of shape {row.shape}")
    return np.broadcast_to(row, (state.n_markets,)).copy()
