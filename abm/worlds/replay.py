"""Real bars as outside prices, filled with blocks inside each bar's range."""

from __future__ import annotations

import difflib
import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from abm.kernels.bars import past_variance, replay
from abm.parameters import ParameterError, parameter, per_market
from abm.streams import stream_key
from abm.worlds.world import Setting, Stretch, World

Prices = NDArray[np.float64]  # (bars, symbols), USD

SECONDS_PER_YEAR = 365.0 * 86_400.0  # markets that never close
SIDES = ("open", "high", "low", "close")
TOLERANCE = 1e-9  # of a bar, by which the run may seem longer than the data through rounding


@dataclass(frozen=True)
class ReplayMemory:
    """The markets' bars, and what was known about their volatility when each bar opened."""

    setting: Setting
    key: np.uint64
    bars: tuple[Prices, Prices, Prices, Prices]  # open, high, low, close; (bars, m)
    variances: NDArray[np.float64]  # (bars, m), of the log return over a bar, from earlier bars only


@dataclass(frozen=True, kw_only=True, eq=False)
class Replay(World):
    """Real bars, filled with blocks: a path that opens, turns and closes where the real one did.

    The first block of a bar has its open, the last its close. Between them the path touches the bar's low, then its
    high, if it closes at or above its open, and otherwise its high, then its low; elsewhere it is a Brownian bridge of
    log prices with the variance that Parkinson (Journal of Business 53, 1980) infers from the range,
    ln(high/low)^2 / (4 ln 2), folded back into the range. A bar of three blocks shows its farther extreme, of two its
    open and close, of one its close; a block longer than a bar has the close of the last bar that begins in it.

    Volatility is an exponentially weighted mean of squared log returns of the bars before the current one, those before
    `start_offset` included.

    The arrays are (bars, symbols) in USD; they are copied and cannot be written to. Two replays are equal when their
    data and parameters are.

    Raises ParameterError, naming symbol, bar and value, for prices that are not finite and positive, for an open or
    close outside [low, high], and for shapes that differ.
    """

    symbols: tuple[str, ...] = parameter(unit="")
    open: Prices = parameter(unit="USD")
    high: Prices = parameter(unit="USD")
    low: Prices = parameter(unit="USD")
    close: Prices = parameter(unit="USD")
    interval_seconds: float = parameter(60.0, unit="seconds per bar", least=1e-3)
    start_offset: float = parameter(0.0, unit="seconds from the first bar's opening to the beginning of the run", least=0.0)
    volatility_half_life: float = parameter(1800.0, unit="seconds", least=1e-3)
    initial_volatility: float | tuple[float, ...] = parameter(
        0.6, unit="per square root of a year", least=1e-6, most=50.0, about="before there is any past bar"
    )

    def __post_init__(self) -> None:
        object.__setattr__(self, "symbols", tuple(self.symbols))
        for side in SIDES:
            prices = np.array(getattr(self, side), dtype=np.float64, order="C")
            prices.flags.writeable = False
            object.__setattr__(self, side, prices)
        super().__post_init__()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Replay) and self._identity() == other._identity()

    def __hash__(self) -> int:
        return hash(self._identity())

    def _identity(self) -> tuple[object, ...]:
        return self.digest(), self.start_offset, self.volatility_half_life, self.initial_volatility

    def digest(self) -> bytes:
        """32 bytes that name the data: a hash of symbols, bar length, shape and prices (little-endian float64)."""
        digest = hashlib.blake2b(repr((self.symbols, float(self.interval_seconds), self.close.shape)).encode(), digest_size=32)
        for side in SIDES:
            digest.update(getattr(self, side).astype("<f8", copy=False).tobytes())
        return digest.digest()

    def inconsistencies(self) -> list[str]:
        shapes = {side: getattr(self, side).shape for side in SIDES}
        if len(set(shapes.values())) > 1 or self.close.ndim != 2 or self.close.shape[1] != len(self.symbols):
            found = ", ".join(f"{side} {shape}" for side, shape in shapes.items())
            return [
                f"Replay: {found}, expected the same (bars, {len(self.symbols)}) for all, one column for each of {', '.join(self.symbols)}"
            ]
        if self.close.size == 0:
            return ["Replay: no bars, expected at least one bar of one symbol"]
        if len(set(self.symbols)) < len(self.symbols):
            return [f"Replay.symbols: {self.symbols} names a symbol twice"]
        problems = []
        for side in SIDES:
            prices = getattr(self, side)
            problems += self._where(~(np.isfinite(prices) & (prices > 0.0)), side, "a finite and positive price")
        if not problems:
            for side in ("open", "close"):
                prices = getattr(self, side)
                problems += self._where((prices < self.low) | (prices > self.high), side, "a price between low and high")
        return problems

    def _where(self, wrong: NDArray[np.bool_], side: str, expected: str) -> list[str]:
        if not wrong.any():
            return []
        bar, column = (int(number) for number in np.argwhere(wrong)[0])
        value = getattr(self, side)[bar, column]
        more = f" (and {int(wrong.sum()) - 1} more)" if wrong.sum() > 1 else ""
        return [f"Replay.{side}: {value:g} for {self.symbols[column]} in bar {bar}{more}, expected {expected}"]

    def init(self, setting: Setting) -> ReplayMemory:
        problems = [self._unknown(symbol) for symbol in setting.symbols if symbol not in self.symbols]
        run = setting.blocks * setting.seconds_per_block
        data = len(self.close) * self.interval_seconds
        if self.start_offset + run > data + TOLERANCE * self.interval_seconds:
            problems.append(
                f"Replay: the run lasts {run:,.0f} s from {self.start_offset:,.0f} s on, the bars last {data:,.0f} s; "
                f"expected a run of at most {max(0.0, data - self.start_offset):,.0f} s"
            )
        if problems:
            raise ParameterError(problems)
        columns = [self.symbols.index(symbol) for symbol in setting.symbols]
        opens, highs, lows, closes = (np.ascontiguousarray(getattr(self, side)[:, columns]) for side in SIDES)
        annual = np.array(per_market(self.initial_volatility, len(columns), "Replay.initial_volatility"))
        variances = np.empty(closes.shape)
        weight = 1.0 - 2.0 ** (-self.interval_seconds / self.volatility_half_life)
        past_variance(opens, closes, annual * annual * (self.interval_seconds / SECONDS_PER_YEAR), weight, variances)
        return ReplayMemory(setting, stream_key(setting.seed, "world/replay"), (opens, highs, lows, closes), variances)

    def stretch(self, memory: ReplayMemory, first_block: int, blocks: int) -> Stretch:
        setting = memory.setting
        if first_block < 0 or first_block + blocks > setting.blocks:
            raise ParameterError([f"Replay: blocks {first_block} to {first_block + blocks - 1} asked for, the run has {setting.blocks}"])
        shape = (blocks, len(setting.symbols))
        prices, volatility = np.empty(shape), np.empty(shape)
        replay(
            memory.key,
            setting.seconds_per_block,
            self.interval_seconds,
            self.start_offset,
            *memory.bars,
            memory.variances,
            first_block,
            prices,
            volatility,
        )
        return Stretch(prices, volatility)

    def _unknown(self, symbol: str) -> str:
        close = difflib.get_close_matches(symbol, self.symbols, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        return f"Replay.symbols: no bars of {symbol!r}, there are {', '.join(self.symbols)}{hint}"
