"""Synthetic outside prices: correlated diffusions with jumps, clustered volatility and scripted crashes."""

from __future__ import annotations

import difflib
import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from abm.kernels.prices import (
    ARITHMETIC,
    DIFFUSING_MARKET,
    GEOMETRIC,
    LAW,
    SOUND,
    VOLATILITY_FACTOR,
    crash_factors,
    diffuse,
)
from abm.parameters import ParameterError, parameter, per_market
from abm.streams import stream_key
from abm.worlds.crash import Crash, crash_tables
from abm.worlds.world import Setting, Stretch, World

SECONDS_PER_DAY = 86_400.0
SECONDS_PER_YEAR = 365.0 * SECONDS_PER_DAY  # markets that never close
FORMS = {"geometric": GEOMETRIC, "arithmetic": ARITHMETIC}
JUMPS_PER_BLOCK = 100.0  # more would be a diffusion
SAFE_DEVIATIONS = 5.0  # distance to zero that an arithmetic path must have, in standard deviations over the whole run


@dataclass(frozen=True)
class DiffusionMemory:
    """Tables for the compiled function, and the few numbers of the past on which the next block depends."""

    setting: Setting
    law: np.recarray
    markets: np.recarray
    factors: np.recarray
    crashes: np.recarray
    depths: NDArray[np.float64]  # (crashes, m), fraction
    levels: NDArray[np.float64]  # (m,) ln(S/S0), arithmetic form: S/S0 - 1; without crashes
    states: NDArray[np.float64]  # (factors, 1 + m) volatility factors in standard deviations; column 0 is common


@dataclass(frozen=True, kw_only=True)
class Diffusion(World):
    """Correlated outside prices: geometric or arithmetic diffusion, jumps, clustered volatility, scripted crashes.

    Per block of length h, with independent standard normals Z (common) and Z_i:

        move_i = (drift_i - v_i^2 / 2) h + v_i sqrt(h) (sqrt(c_i) Z + sqrt(1 - c_i) Z_i) + jumps_i
        S_i    = S0_i exp(sum of moves)        arithmetic: S0_i (1 + sum of moves), without the term v^2 / 2
        v_i    = volatility_i exp(sum over factors of deviation (sqrt(w) X + sqrt(1 - w) X_i) - variance)

    With `reversion` the sum of moves is multiplied by exp(-reversion h) before each new one (Ornstein and Uhlenbeck, exact at the ends
    of blocks): of constant volatility and without jumps its standard deviation tends to volatility / sqrt(2 reversion).

    X (common) and X_i are Ornstein-Uhlenbeck processes of unit variance, w is `volatility_common_share`; `variance`,
    the sum of squared deviations, makes `volatility` the root mean square of v. The correlation of a pair is
    sqrt(c_i c_j): a single number is that of all pairs. c = stress - (stress - calm) / u^2, where u >= 1 is the common
    volatility (scripted crashes included) over its calm level, one deviation below the usual one; without clustering
    and crashes c is `correlation` exactly. Jumps are Student-t, symmetric, not compensated, independent of volatility.

    Block 0 has the initial prices. The reported volatility is the true one over the step into the block; jumps are no
    part of it. An arithmetic path may not reach zero: a run in which that could happen is refused, and should it still
    happen the run ends with an error, because any boundary would falsify the law of the path.

    The defaults describe markets like Bitcoin, Ether and Solana in an ordinary month. One-minute returns there have an
    excess kurtosis of 7 to 50, autocorrelations of their absolute values of 0.25-0.42, 0.15-0.28 and 0.10-0.20 at 1, 10
    and 60 minutes, and a correlation (of the first two) of 0.83-0.86, 0.69 in the calmest and 0.88 in the most volatile
    hours; `tests/model/test_worlds.py` measures all of them.
    """

    form: Literal["geometric", "arithmetic"] = parameter("geometric", unit="")
    mirrored: bool = parameter(False, unit="", about="arithmetic only: report 2 S0 - S, every move with its sign flipped")
    initial_price: float | tuple[float, ...] = parameter((60_000.0, 3_000.0, 150.0), unit="USD", least=1e-12, most=1e15)
    volatility: float | tuple[float, ...] = parameter((0.50, 0.65, 0.90), unit="per square root of a year", least=0.0, most=50.0)
    drift: float | tuple[float, ...] = parameter(0.0, unit="per year", least=-1000.0, most=1000.0)
    reversion: float | tuple[float, ...] = parameter(0.0, unit="per day", least=0.0, most=1e6, about="pull towards the initial price")
    correlation: float | tuple[float, ...] = parameter(
        (0.63, 0.63, 0.27), unit="correlation of pairs, in calm markets", least=0.0, most=1.0
    )
    correlation_in_stress: float | tuple[float, ...] = parameter(
        (0.965, 0.965, 0.58), unit="correlation of pairs, in stress", least=0.0, most=1.0
    )
    volatility_half_life: float | tuple[float, ...] = parameter((600.0, 86_400.0), unit="seconds, one per factor", least=1e-3)
    volatility_deviation: float | tuple[float, ...] = parameter(
        (0.48, 0.50), unit="log units, one per factor", least=0.0, most=2.0, about="0 keeps volatility constant"
    )
    volatility_common_share: float = parameter(0.87, unit="fraction of the variance of log volatility", least=0.0, most=1.0)
    jump_rate: float = parameter(12.0, unit="per day and market", least=0.0, most=1e6)
    jump_scale: float | tuple[float, ...] = parameter((0.0012, 0.0016, 0.0022), unit="fraction of the price", least=0.0, most=1.0)
    jump_degrees: float = parameter(4.0, unit="degrees of freedom", least=2.01, most=1e6)
    jump_limit: float = parameter(0.25, unit="fraction of the price", least=0.0, most=2.0, about="largest sum of jumps in a block")
    jump_common_share: float = parameter(0.5, unit="fraction of a market's jumps that hit all markets", least=0.0, most=1.0)
    crashes: tuple[Crash, ...] = parameter((), unit="")

    def inconsistencies(self) -> list[str]:
        problems = []
        if self.form not in FORMS:
            close = difflib.get_close_matches(str(self.form), FORMS, n=1, cutoff=0.0)[0]
            problems.append(f"Diffusion.form: {self.form!r} is not one of {', '.join(FORMS)}; did you mean {close!r}?")
        if self.mirrored and self.form == "geometric":
            problems.append("Diffusion.mirrored: only an arithmetic path has a mirror image, form is 'geometric'")
        half_lives, deviations = len(_values(self.volatility_half_life)), len(_values(self.volatility_deviation))
        if half_lives != deviations:
            problems.append(
                f"Diffusion.volatility_deviation: {deviations} values for {half_lives} in volatility_half_life, expected one per factor"
            )
        if any(calm > stress for calm, stress in _side_by_side(self.correlation, self.correlation_in_stress)):
            problems.append(
                f"Diffusion.correlation_in_stress: {self.correlation_in_stress} is below correlation "
                f"{self.correlation}; expected at least that, correlation rises with volatility"
            )
        return problems

    def init(self, setting: Setting) -> DiffusionMemory:
        n_markets = len(setting.symbols)
        block_years = setting.seconds_per_block / SECONDS_PER_YEAR
        markets = self._markets(n_markets, block_years)
        crashes, depths = crash_tables(self.crashes, n_markets)
        jumps_per_block = self.jump_rate * setting.seconds_per_block / SECONDS_PER_DAY
        if jumps_per_block > JUMPS_PER_BLOCK:
            raise ParameterError(
                [f"Diffusion.jump_rate: {self.jump_rate:g} per day is {jumps_per_block:g} per block, expected {JUMPS_PER_BLOCK:g} at most"]
            )
        law = np.zeros(1, LAW).view(np.recarray)
        law.form = FORMS[self.form]
        law.mirrored = int(self.mirrored)
        law.seconds_per_block = setting.seconds_per_block
        law.price_key = stream_key(setting.seed, "world/price")
        law.volatility_key = stream_key(setting.seed, "world/volatility")
        law.jump_key = stream_key(setting.seed, "world/jumps")
        law.common_weight = math.sqrt(self.volatility_common_share)
        law.own_weight = math.sqrt(1.0 - self.volatility_common_share)
        law.common_jumps = jumps_per_block * self.jump_common_share
        law.own_jumps = jumps_per_block * (1.0 - self.jump_common_share)
        law.jump_degrees = self.jump_degrees
        law.jump_limit = self.jump_limit
        if self.form == "arithmetic":
            self._refuse_zero(setting, markets, jumps_per_block)
        factors = self._factors(setting.seconds_per_block)
        return DiffusionMemory(
            setting,
            law,
            markets,
            factors,
            crashes,
            depths,
            np.zeros(n_markets),
            np.zeros((len(factors), 1 + n_markets)),
        )

    def stretch(self, memory: DiffusionMemory, first_block: int, blocks: int) -> Stretch:
        shape = (blocks, len(memory.markets))
        prices, volatility = np.empty(shape), np.empty(shape)
        failed = diffuse(
            memory.law,
            memory.markets,
            memory.factors,
            memory.crashes,
            memory.depths,
            memory.levels,
            memory.states,
            first_block,
            prices,
            volatility,
        )
        if failed != SOUND:
            block, market = divmod(failed, shape[1])
            raise ParameterError(
                [
                    f"Diffusion: the {self.form} price of {memory.setting.symbols[market]} is not finite and positive "
                    f"in block {first_block + block}; expected a lower volatility, a shorter run or form = 'geometric'"
                ]
            )
        return Stretch(prices, volatility)

    def crash_factor(self, setting: Setting, block: int) -> NDArray[np.float64]:
        """Factor (m,) by which the scripted crashes multiply each price in `block`; 1 before the first of them."""
        crashes, depths = crash_tables(self.crashes, len(setting.symbols))
        factor = np.empty(len(setting.symbols))
        crash_factors(crashes, depths, block * setting.seconds_per_block, factor)
        return factor

    def _markets(self, n_markets: int, block_years: float) -> np.recarray:
        def column(name: str) -> NDArray[np.float64]:
            return np.array(per_market(getattr(self, name), n_markets, f"Diffusion.{name}"))

        markets = np.zeros(n_markets, DIFFUSING_MARKET).view(np.recarray)
        for name in ("initial_price", "correlation", "correlation_in_stress", "jump_scale"):
            markets[name] = column(name)
        markets.volatility = column("volatility") * math.sqrt(block_years)
        markets.drift = column("drift") * block_years
        markets.kept = np.exp(-column("reversion") * block_years * SECONDS_PER_YEAR / SECONDS_PER_DAY)
        return markets

    def _factors(self, seconds_per_block: float) -> np.recarray:
        pairs = list(zip(_values(self.volatility_half_life), _values(self.volatility_deviation), strict=True))
        factors = np.zeros(len(pairs), VOLATILITY_FACTOR).view(np.recarray)
        for row, (half_life, deviation) in enumerate(pairs):
            decay = math.log(2.0) * seconds_per_block / half_life
            factors[row] = (math.exp(-decay), math.sqrt(-math.expm1(-2.0 * decay)), deviation)
        return factors

    def _refuse_zero(self, setting: Setting, markets: np.recarray, jumps_per_block: float) -> None:
        direction = -1.0 if self.mirrored else 1.0
        jump_variance = jumps_per_block * self.jump_degrees / (self.jump_degrees - 2.0)
        for symbol, market in zip(setting.symbols, markets, strict=True):
            room = 1.0 + min(0.0, direction * float(market.drift) * setting.blocks)
            variance = float(market.volatility) ** 2 + jump_variance * float(market.jump_scale) ** 2
            deviation = math.sqrt(variance * setting.blocks)
            if room < SAFE_DEVIATIONS * deviation or room <= 0.0:
                raise ParameterError(
                    [
                        f"Diffusion.form: an arithmetic price of {symbol} can reach zero, its standard deviation over "
                        f"{setting.blocks} blocks is {deviation:.3g} of the initial price and the drift leaves "
                        f"{room:.3g}; expected {SAFE_DEVIATIONS:g} deviations of room, or form = 'geometric'"
                    ]
                )


def _values(value: float | tuple[float, ...]) -> list[float]:
    return list(value) if isinstance(value, tuple | list) else [value]


def _side_by_side(first: float | tuple[float, ...], second: float | tuple[float, ...]) -> list[tuple[float, float]]:
    """Entries of both, a single number standing for as many as the other has."""
    left, right = _values(first), _values(second)
    length = max(len(left), len(right))
    return list(zip(left * length if len(left) == 1 else left, right * length if len(right) == 1 else right, strict=False))
