"""What takers and makers pay for a fill."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from abm.kernels.fees import FEE_TIER, assign_fees, roll_volumes
from abm.mechanisms.names import accounts_of
from abm.mechanisms.rule import Rule
from abm.parameters import Parameters, parameter
from abm.state import State, Table, empty_table

DAY = 86_400.0  # seconds
MOST_PERIODS = 1000  # of the fee window; each keeps two numbers per account


@dataclass(frozen=True, kw_only=True)
class Fees(Rule):
    """What takers and makers pay for a fill."""

    @abstractmethod
    def update(self, state: State, memory: Any) -> None:
        """Called once a block: writes `taker_fee` and `maker_fee` of every account when they change."""


@dataclass(frozen=True, kw_only=True)
class FlatFees(Fees):
    """The same fees for everybody; zero fees are `FlatFees(maker=0, taker=0)`."""

    maker: float = parameter(unit="fraction of notional, negative: rebate", least=-1.0, most=1.0)
    taker: float = parameter(unit="fraction of notional", least=0.0, most=1.0)

    def inconsistencies(self) -> list[str]:
        return _rebate_problems("FlatFees", self.maker, self.taker)

    def init(self, state: State, seed: int) -> None:
        state.accounts["maker_fee"] = self.maker
        state.accounts["taker_fee"] = self.taker

    def update(self, state: State, memory: None) -> None:
        """Does nothing: the fees were written at the start."""


@dataclass(frozen=True, kw_only=True)
class FeeTier(Parameters):
    """What an account must have traded in the fee window, and what it pays then."""

    volume: float = parameter(0.0, unit="USD as taker and maker", least=0.0)
    total_share: float = parameter(0.0, unit="fraction of the venue's volume, as taker and maker", least=0.0, most=1.0)
    maker_share: float = parameter(0.0, unit="fraction of the venue's volume, as maker", least=0.0, most=1.0)
    maker: float = parameter(unit="fraction of notional, negative: rebate", least=-1.0, most=1.0)
    taker: float = parameter(unit="fraction of notional", least=0.0, most=1.0)


DYDX_TIERS = (
    FeeTier(maker=0.0001, taker=0.0005),
    FeeTier(volume=1e6, maker=0.0001, taker=0.00045),
    FeeTier(volume=5e6, maker=0.00005, taker=0.0004),
    FeeTier(volume=25e6, maker=0.0, taker=0.00035),
    FeeTier(volume=125e6, maker=0.0, taker=0.0003),
    FeeTier(volume=125e6, total_share=0.005, maker=-0.00005, taker=0.00025),
    FeeTier(volume=125e6, total_share=0.005, maker_share=0.01, maker=-0.00009, taker=0.00025),
    FeeTier(volume=125e6, total_share=0.005, maker_share=0.02, maker=-0.00011, taker=0.00025),
    FeeTier(volume=125e6, total_share=0.005, maker_share=0.04, maker=-0.00011, taker=0.00025),
)


class VolumeMemory(NamedTuple):
    """What tiered fees remember between blocks."""

    refresh_blocks: int
    tiers: Table  # FEE_TIER (tiers,)
    highest_tier: NDArray[np.bool_]  # (n,), accounts that always have the last tier
    periods: NDArray[np.float64]  # (n, periods of the window, 2), USD traded as taker and as maker


@dataclass(frozen=True, kw_only=True)
class TieredFees(Fees):
    """Fees that fall with what an account traded in the last `window_seconds`, looked up every `refresh_seconds`.

    The highest tier counts of which, walking upward, all requirements are met: volume, share of the venue's volume,
    share as maker. A fee is charged as fee x `market_charge` x (1 - `staking_discount`), cut to millionths toward
    zero.

    What stands in `taker_volume` and `maker_volume` of the accounts at the start counts as traded evenly over the
    window before it. Volumes are multiplied by `volume_scale` before they are compared with a tier's volume: for a
    run of one day that stands for a month, 30 (and a `refresh_seconds` well below a day).

    Defaults: dydxprotocol/v4-chain `protocol/x/feetiers/types/genesis.go`, the venue's vaults always in the last tier.
    """

    tiers: tuple[FeeTier, ...] = parameter(DYDX_TIERS, unit="tiers, upward")
    refresh_seconds: float = parameter(DAY, unit="seconds", least=1e-3, most=366 * DAY)
    window_seconds: float = parameter(30 * DAY, unit="seconds", least=1e-3, most=3660 * DAY)
    volume_scale: float = parameter(1.0, unit="USD per USD traded in the run", least=1e-9, most=1e9)
    market_charge: float = parameter(1.0, unit="fraction of the tier's fees", least=0.0, most=1.0)
    staking_discount: float = parameter(0.0, unit="fraction of the fees", least=0.0, most=1.0)
    highest_tier_cohorts: tuple[str, ...] = parameter((), unit="cohort names")

    def inconsistencies(self) -> list[str]:
        if not self.tiers:
            return ["TieredFees.tiers: at least one tier is needed"]
        problems = []
        first = self.tiers[0]
        if first.volume > 0 or first.total_share > 0 or first.maker_share > 0:
            problems.append("TieredFees.tiers: the first tier must be open to everybody (volume and shares 0)")
        for number, (lower, upper) in enumerate(zip(self.tiers, self.tiers[1:], strict=False), start=2):
            for name in ("volume", "total_share", "maker_share"):
                if getattr(upper, name) < getattr(lower, name):
                    problems.append(
                        f"TieredFees.tiers: tier {number} asks for less {name} ({getattr(upper, name):g}) "
                        f"than the tier before it ({getattr(lower, name):g})"
                    )
        if self.window_seconds > MOST_PERIODS * self.refresh_seconds:
            problems.append(
                f"TieredFees: window_seconds {self.window_seconds:g} is more than {MOST_PERIODS} times "
                f"refresh_seconds {self.refresh_seconds:g}"
            )
        lowest_maker = min(tier.maker for tier in self.tiers)
        lowest_taker = min(tier.taker for tier in self.tiers)
        return problems + _rebate_problems("TieredFees", lowest_maker, lowest_taker)

    def init(self, state: State, seed: int) -> VolumeMemory:
        tiers = empty_table(len(self.tiers), FEE_TIER)
        for name in FEE_TIER.names or ():
            tiers[name] = [getattr(tier, name) for tier in self.tiers]
        highest_tier = accounts_of(self.highest_tier_cohorts, state, "TieredFees.highest_tier_cohorts")
        n_periods = max(1, round(self.window_seconds / self.refresh_seconds))
        periods = np.empty((state.n_accounts, n_periods, 2))
        for column, name in enumerate(("taker_volume", "maker_volume")):
            periods[:, :, column] = state.accounts[name][:, np.newaxis] / n_periods
        memory = VolumeMemory(state.blocks(self.refresh_seconds), tiers, highest_tier, periods)
        self._assign(state, memory)
        return memory

    def update(self, state: State, memory: VolumeMemory) -> None:
        block = state.venue["block"].item()
        if block == 0 or block % memory.refresh_blocks:
            return
        slot = (block // memory.refresh_blocks - 1) % memory.periods.shape[1]
        roll_volumes(state.accounts, memory.periods, slot)
        self._assign(state, memory)

    def _assign(self, state: State, memory: VolumeMemory) -> None:
        assign_fees(
            state.accounts,
            memory.tiers,
            memory.highest_tier,
            self.volume_scale,
            self.market_charge,
            self.staking_discount,
        )


def _rebate_problems(name: str, lowest_maker: float, lowest_taker: float) -> list[str]:
    """A rebate above the smallest taker fee would pay a trader for trading with itself."""
    if lowest_maker + lowest_taker < 0:
        return [f"{name}: the largest maker rebate {-lowest_maker:g} exceeds the smallest taker fee {lowest_taker:g}"]
    return []
