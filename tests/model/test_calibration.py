"""The default population (experiments/flash_crash.toml) against facts of real markets: docs/calibration.md has the table.

`python tests/model/test_calibration.py calm 1 2 3` (or `crash`) prints the facts of those seeds.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

config = pytest.importorskip("abm.lab.config", reason="the default population is an experiment file, which only the lab reads")

FLASH_CRASH = Path(__file__).resolve().parents[2] / "experiments" / "flash_crash.toml"
HOUR = 3600
NOON = 12 * HOUR
CALM_SEEDS = (1, 3, 4, 6)
CRASH_SEEDS = (1, 2, 3)
NO_CRASH = "world.crashes=[]"
UNLEVERED = tuple(
    f"population.{key}=1.0"
    for key in ("takers.leverage", "scalpers.leverage", "whales.leverage", "arbitrageurs.leverage", "hedgers.exposure")
)

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Day:
    """The record of one simulated day; blocks are seconds."""

    frames: dict[str, pl.DataFrame]
    symbols: tuple[str, ...]
    ticks: dict[str, float]
    blocks: int

    @classmethod
    def simulate(cls, seed: int, *changes: str) -> Day:
        experiment = config.load(FLASH_CRASH, [*changes, f"run.seed={seed}"])
        frames = experiment.model().run().frames()
        ticks = {listing.symbol: listing.tick for listing in experiment.venue.listings}
        return cls(frames, experiment.symbols, ticks, experiment.blocks)

    def market(self, symbol: str, since: int = HOUR, until: int | None = None) -> pl.DataFrame:
        """Looks at a market, with `basis` (fraction), `interest` (USD) and `depth` (USD within 10 bp, mean of the two sides)."""
        until = self.blocks if until is None else until
        return (
            self.frames["markets"]
            .filter((pl.col("market") == symbol) & (pl.col("block") >= since) & (pl.col("block") < until))
            .sort("block")
            .with_columns(
                (pl.col("mid") / pl.col("index") - 1.0).alias("basis"),
                (pl.col("open_interest") * pl.col("index")).alias("interest"),
                ((pl.col("bid_depth_10bp") + pl.col("ask_depth_10bp")) / 2.0).alias("depth"),
                (pl.col("block") // 60).alias("minute"),
            )
        )

    def basis(self, symbol: str, until: int | None = None) -> NDArray[np.float64]:
        """At whole minutes, fraction of the index."""
        return self.market(symbol, until=until).filter(pl.col("block") % 60 == 0)["basis"].to_numpy()

    def spread_ticks(self, symbol: str) -> NDArray[np.float64]:
        looks = self.market(symbol)
        return np.rint(((looks["best_ask"] - looks["best_bid"]) / self.ticks[symbol]).to_numpy())

    def interest(self, until: int | None = None) -> float:
        """Mean open interest of all markets together, USD."""
        return sum(float(self.market(symbol, until=until)["interest"].mean()) for symbol in self.symbols)

    def interest_over_depth(self, symbol: str) -> float:
        looks = self.market(symbol)
        return float(looks["interest"].mean() / looks["depth"].median())

    def turnover(self, symbol: str) -> float:
        """Volume per day over open interest, after the first hour."""
        looks = self.market(symbol)
        days = (looks["block"][-1] - looks["block"][0]) / 86_400
        return float((looks["volume"][-1] - looks["volume"][0]) / days / looks["interest"].mean())

    def funding(self, symbol: str) -> NDArray[np.float64]:
        """Hourly rates as fractions per day."""
        payments = self.frames["funding"].filter((pl.col("market") == symbol) & (pl.col("block") > HOUR))
        return payments["rate_per_day"].to_numpy()

    def trade_signs(self, symbol: str) -> NDArray[np.float64]:
        fills = self.frames["fills"].filter((pl.col("market") == symbol) & (pl.col("block") >= HOUR))
        return np.where((fills["side"] == "buy").to_numpy(), 1.0, -1.0)

    @cached_property
    def liquidations(self) -> pl.DataFrame:
        """Those that closed something."""
        return self.frames["liquidations"].filter(pl.col("notional") > 0.0)

    @property
    def liquidated(self) -> float:
        return float(self.liquidations["notional"].sum())

    @property
    def liquidated_longs(self) -> float:
        return float(self.liquidations.filter(pl.col("side") == "sell")["notional"].sum())

    def leverage(self, hour: int) -> float:
        """Notional-weighted leverage of all accounts above zero."""
        held = self.frames["positions"].filter((pl.col("block") == hour * HOUR) & (pl.col("equity") > 0.0))
        notional = (held["size"] * held["mark"]).abs()
        return float((held["account_notional"] / held["equity"] * notional).sum() / notional.sum())

    def profit(self, cohort: str, block: int) -> float:
        """Of a cohort's members up to `block`, outside leg and gas included, over what they paid in."""
        row = self.frames["cohorts"].filter((pl.col("cohort") == cohort) & (pl.col("block") == block)).row(0, named=True)
        return float((row["equity"] - row["net_deposits"] + row["outside"] - row["gas"]) / row["net_deposits"])

    def worst_depth(self, symbol: str) -> tuple[float, float]:
        """(lowest minute's bid depth after noon over the usual one, minutes until half of the usual one is back)."""
        usual = float(self.market(symbol, until=NOON)["bid_depth_10bp"].median())
        minutes = self.market(symbol, since=NOON).group_by("minute").agg(pl.col("bid_depth_10bp").mean()).sort("minute")
        depth = minutes["bid_depth_10bp"].to_numpy()
        worst = int(depth.argmin())
        back = np.flatnonzero(depth[worst:] > 0.5 * usual)
        return float(depth[worst] / usual), float(back[0]) if len(back) else np.inf

    @property
    def peak_minute(self) -> float:
        """Largest share of the day's liquidated notional that fell into one minute."""
        minutes = self.liquidations.group_by(pl.col("block") // 60).agg(pl.col("notional").sum())
        return float(minutes["notional"].max() / self.liquidated)

    @property
    def failed_share(self) -> float:
        """Of the keepers' transactions, those that closed nothing."""
        sent = self.frames["liquidations"]
        return 1.0 - self.liquidations.height / sent.height if sent.height else 0.0


def autocorrelation(series: NDArray[np.float64], lag: int) -> float:
    centred = series - series.mean()
    return float((centred[lag:] * centred[:-lag]).mean() / (centred * centred).mean())


def pooled_funding(days: list[Day], symbol: str) -> dict[str, float]:
    """Mean and deviation (fractions per day), share of negative hours, of changes of sign, autocorrelation over an hour."""
    runs = [day.funding(symbol) for day in days]
    everything = np.concatenate(runs)
    mean = everything.mean()
    products = sum(float(((run[1:] - mean) * (run[:-1] - mean)).sum()) for run in runs)
    squares = sum(float(((run[:-1] - mean) ** 2).sum()) for run in runs)
    return {
        "mean": float(mean),
        "deviation": float(everything.std()),
        "negative": float((everything < 0.0).mean()),
        "flips": float(np.concatenate([np.sign(run[1:]) != np.sign(run[:-1]) for run in runs]).mean()),
        "autocorrelation": products / squares,
    }


def tail_index(sizes: NDArray[np.float64], share: float = 0.1) -> float:
    """Hill's estimate from the largest `share` of sizes."""
    largest = np.sort(sizes)[-max(int(len(sizes) * share), 10) :]
    return float(1.0 / np.log(largest / largest[0]).mean())


@pytest.fixture(scope="module")
def calm_days() -> list[Day]:
    return [Day.simulate(seed, NO_CRASH) for seed in CALM_SEEDS]


@pytest.fixture(scope="module")
def crash_days() -> list[Day]:
    return [Day.simulate(seed) for seed in CRASH_SEEDS]


def median(values: list[float]) -> float:
    return float(np.median(values))


def test_at_least_a_thousand_traders_of_all_archetypes() -> None:
    groups = config.load(FLASH_CRASH).groups
    assert sum(group.members for group in groups) >= 1_000
    kinds = {type(group.strategy).__name__ for group in groups}
    assert kinds >= {"Scalpers", "Hedgers", "LiquidityProviders", "Arbitrageurs", "Keepers", "Takers", "Whales"}


@pytest.mark.parametrize(("symbol", "most"), [("BTC", 0.0003), ("ETH", 0.0003), ("SOL", 0.0004)])
def test_the_perpetual_is_pegged_on_calm_days(calm_days: list[Day], symbol: str, most: float) -> None:
    paths = [day.basis(symbol) for day in calm_days]
    assert all(abs(path.mean()) < 0.0004 for path in paths)
    assert 0.000085 < median([path.std() for path in paths]) < most
    assert 0.6 < median([autocorrelation(path, 1) for path in paths]) < 0.95


def test_the_spread_is_one_or_two_ticks_in_bitcoin(calm_days: list[Day]) -> None:
    assert median([float((day.spread_ticks("BTC") <= 2).mean()) for day in calm_days]) > 0.6


def test_open_interest_is_hundreds_of_times_the_near_depth(calm_days: list[Day]) -> None:
    for symbol in ("BTC", "ETH", "SOL"):
        assert 100 < median([day.interest_over_depth(symbol) for day in calm_days]) < 700


def test_turnover_is_a_small_multiple_of_open_interest(calm_days: list[Day]) -> None:
    for day in calm_days:
        assert all(0.5 < day.turnover(symbol) < 4.0 for symbol in day.symbols)


def test_funding_is_small_persistent_and_of_both_signs(calm_days: list[Day]) -> None:
    facts = [pooled_funding(calm_days, symbol) for symbol in ("BTC", "ETH", "SOL")]
    for fact in facts:
        assert abs(fact["mean"]) < 0.001
        assert 0.0001 < fact["deviation"] < 0.0015
        assert 0.05 < fact["negative"] < 0.8
        assert fact["flips"] < 0.45
    assert median([fact["autocorrelation"] for fact in facts]) > 0.4


def test_trade_signs_are_persistent(calm_days: list[Day]) -> None:
    near, middle, far = ([autocorrelation(day.trade_signs("BTC"), lag) for day in calm_days] for lag in (1, 10, 100))
    assert 0.5 < median(near) < 0.9
    assert 0.2 < median(middle) < 0.65
    assert 0.05 < median(far) < 0.35


def test_leverage_is_far_below_what_the_venue_allows(calm_days: list[Day]) -> None:
    assert all(3.0 < day.leverage(6) < 7.0 for day in calm_days)


def test_few_are_liquidated_on_calm_days(calm_days: list[Day]) -> None:
    assert median([day.liquidated / day.interest() for day in calm_days]) < 0.04


def test_makers_and_arbitrageurs_earn_and_retail_pays_fees_on_calm_days(calm_days: list[Day]) -> None:
    last = (calm_days[0].blocks - 1) // 10 * 10
    assert -0.002 < np.mean([day.profit("providers", last) for day in calm_days]) < 0.01
    assert 0.0 < np.mean([day.profit("arbitrageurs", last) for day in calm_days]) < 0.01
    assert -0.05 < np.mean([day.profit("scalpers", last) for day in calm_days]) < 0.01
    assert all(day.frames["cohorts"].filter(pl.col("cohort") == "takers")["fees"][-1] < 0.0 for day in calm_days)


def test_a_crash_becomes_a_cascade(crash_days: list[Day]) -> None:
    for day in crash_days:
        before = day.interest(until=NOON)
        assert 0.15 < day.liquidated / before < 1.0
        assert day.liquidated_longs / day.liquidated > 0.8
        assert 0.05 < day.peak_minute < 0.4
        for symbol in day.symbols:
            worst, minutes = day.worst_depth(symbol)
            assert worst < 0.25
            assert minutes < 120
        assert min(day.worst_depth(symbol)[0] for symbol in day.symbols) < 0.1
        lowest = min(float(day.market(symbol, since=NOON)["basis"].min()) for symbol in day.symbols)
        assert -0.07 < lowest < -0.01


def test_a_crash_reaches_the_insurance_fund_and_beyond(crash_days: list[Day]) -> None:
    for day in crash_days:
        assert day.liquidations.filter(pl.col("fund_delta") < 0.0).height > 0
        assert day.frames["venue"]["below_zero"].max() > 0
    assert sum(day.frames["deleveragings"].height for day in crash_days) > 0


def test_a_crash_turns_funding_and_raises_gas(crash_days: list[Day]) -> None:
    for day in crash_days:
        after = day.frames["funding"].filter((pl.col("block") > NOON) & (pl.col("block") <= NOON + HOUR))
        assert after["rate"].min() < 0.0
        venue = day.frames["venue"]
        assert venue["gas_price"].max() > 2.0 * venue.filter(pl.col("block") < NOON)["gas_price"].median()


def test_keepers_earn_in_a_crash_though_many_come_too_late(crash_days: list[Day]) -> None:
    last = (crash_days[0].blocks - 1) // 10 * 10
    for day in crash_days:
        assert day.profit("keepers", last) > 0.0
        assert 0.1 < day.failed_share < 0.85


def test_liquidation_sizes_have_a_heavy_tail(crash_days: list[Day]) -> None:
    episodes = [day.liquidations.group_by("account", "market").agg(pl.col("notional").sum()) for day in crash_days]
    assert 0.8 < median([tail_index(frame["notional"].to_numpy()) for frame in episodes]) < 2.0


def test_most_traders_survive_a_crash(crash_days: list[Day]) -> None:
    for day in crash_days:
        traders = sum(group.members for group in config.load(FLASH_CRASH).groups)
        assert day.liquidations["account"].n_unique() < 0.5 * traders


def test_without_leverage_the_same_crash_is_no_cascade(crash_days: list[Day]) -> None:
    levered = crash_days[0]
    unlevered = Day.simulate(CRASH_SEEDS[0], *UNLEVERED)
    assert unlevered.interest(until=NOON) > 1e6
    assert unlevered.liquidated / unlevered.interest(until=NOON) < 0.02
    assert unlevered.liquidated / unlevered.interest(until=NOON) < 0.05 * levered.liquidated / levered.interest(until=NOON)
    assert unlevered.frames["deleveragings"].height == 0

    def lowest(day: Day) -> float:
        return min(float(day.market(symbol, since=NOON)["basis"].min()) for symbol in day.symbols)

    assert lowest(unlevered) > 0.5 * lowest(levered)


def test_the_protocol_can_liquidate_without_keepers() -> None:
    day = Day.simulate(CRASH_SEEDS[0], 'venue.enforcement={kind="ProtocolEnforcement", lag_blocks=1}')
    assert 0.15 < day.liquidated / day.interest(until=NOON) < 1.0
    assert day.frames["liquidations"]["reward"].sum() == 0.0
    assert day.frames["cohorts"].filter(pl.col("cohort") == "keepers")["gas"].max() == 0.0


def table(kind: str, seeds: list[int]) -> str:
    """The facts of these seeds, one a line: median over seeds, and the range."""
    days = [Day.simulate(seed, *([NO_CRASH] if kind == "calm" else [])) for seed in seeds]
    until = None if kind == "calm" else NOON
    lines = []

    def row(fact: str, values: list[float], unit: float = 1.0) -> None:
        scaled = [value / unit for value in values]
        lines.append(f"{fact:48s} {np.median(scaled):9.3g}   [{min(scaled):.3g}, {max(scaled):.3g}]")

    for symbol in days[0].symbols:
        paths = [day.basis(symbol, until) for day in days]
        row(f"{symbol} basis mean, bp", [path.mean() for path in paths], 1e-4)
        row(f"{symbol} basis standard deviation, bp", [path.std() for path in paths], 1e-4)
        row(f"{symbol} basis autocorrelation, 1 minute", [autocorrelation(path, 1) for path in paths])
        if kind == "calm":
            row(f"{symbol} spread at most two ticks, share", [float((day.spread_ticks(symbol) <= 2).mean()) for day in days])
            row(f"{symbol} open interest, million USD", [float(day.market(symbol)["interest"].mean()) for day in days], 1e6)
            row(f"{symbol} open interest / depth within 10 bp", [day.interest_over_depth(symbol) for day in days])
            row(f"{symbol} volume per day / open interest", [day.turnover(symbol) for day in days])
            for lag in (1, 10, 100):
                row(
                    f"{symbol} trade sign autocorrelation, lag {lag}",
                    [autocorrelation(day.trade_signs(symbol), lag) for day in days],
                )
            for fact, value in pooled_funding(days, symbol).items():
                row(f"{symbol} funding, all seeds, {fact}", [value])
        else:
            row(f"{symbol} basis at worst, bp", [float(day.market(symbol, since=NOON)["basis"].min()) for day in days], 1e-4)
            row(f"{symbol} depth at worst / before", [day.worst_depth(symbol)[0] for day in days])
            row(f"{symbol} minutes until half of it is back", [day.worst_depth(symbol)[1] for day in days])
    row("liquidated / open interest", [day.liquidated / day.interest(until=until) for day in days])
    longs = sum(day.liquidated_longs for day in days) / max(sum(day.liquidated for day in days), 1.0)
    row("liquidated longs, share of all seeds' notional", [longs])
    row("notional-weighted leverage, 6:00", [day.leverage(6) for day in days])
    for cohort in ("providers", "arbitrageurs", "takers", "scalpers", "hedgers", "keepers"):
        row(f"{cohort} return to noon", [day.profit(cohort, NOON) for day in days])
        row(f"{cohort} return of the day", [day.profit(cohort, (day.blocks - 1) // 10 * 10) for day in days])
    if kind == "crash":
        row("peak minute, share of the day's liquidations", [day.peak_minute for day in days])
        episodes = [day.liquidations.group_by("account", "market").agg(pl.col("notional").sum()) for day in days]
        row("liquidation sizes, tail index", [tail_index(frame["notional"].to_numpy()) for frame in episodes])
        row("accounts liquidated", [day.liquidations["account"].n_unique() for day in days])
        row("accounts below zero at once", [float(day.frames["venue"]["below_zero"].max()) for day in days])
        row(
            "insurance fund paid, thousand USD",
            [-float(day.liquidations["fund_delta"].clip(upper_bound=0.0).sum()) for day in days],
            1e3,
        )
        row("insurance fund lowest, thousand USD", [float(day.frames["venue"]["insurance_fund"].min()) for day in days], 1e3)
        row("deleveragings", [float(day.frames["deleveragings"].height) for day in days])
        row("deleveraged / open interest", [
            float((day.frames["deleveragings"]["price"] * day.frames["deleveragings"]["size"]).sum()) / day.interest(until=NOON)
            for day in days
        ])  # fmt: skip
        row("keeper transactions that closed nothing, share", [day.failed_share for day in days])
        row("gas at its highest, USD", [float(day.frames["venue"]["gas_price"].max()) for day in days])
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(table(sys.argv[1], [int(seed) for seed in sys.argv[2:]]))
