"""How liquidations were found and executed: delay, failures, prices beyond bankruptcy, and what keepers earned."""

from __future__ import annotations

from functools import partial

import numpy as np
import polars as pl

from abm.lab.outcomes.estimators import weighted_mean
from abm.lab.outcomes.grouping import by_group
from abm.lab.outcomes.looks import attempts, closings, venue_looks
from abm.lab.outcomes.many_runs import ManyRuns
from abm.lab.outcomes.outcome import Outcome
from abm.lab.outcomes.solvency import last_looks_at_cohorts
from abm.lab.outcomes.timeline import Timeline


def sent(many: ManyRuns) -> pl.DataFrame:
    """The liquidation transactions that keepers sent, also those that closed nothing."""
    return many.make(attempts).filter(pl.col("keeper") >= 0)


def keepers(many: ManyRuns) -> pl.DataFrame:
    """One row per keeper who sent a liquidation: `run`, `reward`."""
    return by_group(many.make(sent), ["run", "keeper"], reward=pl.col("reward").sum())


def detections(many: ManyRuns) -> pl.DataFrame:
    """One row per time that an account fell below maintenance margin and somebody tried to liquidate it: `run`, `delay` until the
    first attempt was sent, in seconds."""
    known = many.make(attempts).filter((pl.col("trigger_block") >= 0) & (pl.col("block") > 0))
    waited = (pl.col("submitted_block") - pl.col("trigger_block")) * (pl.col("seconds") / pl.col("block"))
    return by_group(known, ["run", "account", "trigger_block"], delay=waited.min().clip(0.0))


def overshoots(many: ManyRuns) -> pl.DataFrame:
    """Closings with `overshoot`, how far the average price was beyond the bankruptcy price, as a fraction of that."""
    beyond = pl.col("price") / pl.col("bankruptcy_price") - 1.0
    worse = pl.when(pl.col("side") == "sell").then(-beyond).otherwise(beyond).clip(0.0)
    return many.make(closings).with_columns(overshoot=pl.when(pl.col("bankruptcy_price") > 0.0).then(worse).otherwise(0.0))


def discounts(many: ManyRuns) -> pl.DataFrame:
    """Closings with `discount`, how much less than the index a sale brought, or how much more a purchase cost, as a fraction of it."""
    above = pl.col("price") / pl.col("index") - 1.0
    return many.make(closings).with_columns(discount=pl.when(pl.col("side") == "sell").then(-above).otherwise(above))


def unattended(many: ManyRuns) -> pl.DataFrame:
    """Looks at which accounts were below maintenance margin as at the look before: `run`, `tried`, whether anybody tried to
    liquidate anything in between."""
    looks = many.make(venue_looks).select("run", "seconds", "below_maintenance")
    tries = Timeline.of(many.make(attempts))
    row = Timeline.of(looks).following(tries.track, tries.seconds)
    tried = np.zeros(looks.height, bool)
    tried[row[row >= 0]] = True
    before = pl.col("below_maintenance").shift(1).over("run")
    looks = looks.with_columns(pl.Series("tried", tried), waiting=(before > 0) & (pl.col("below_maintenance") > 0))
    return looks.filter(pl.col("waiting"))


closed = partial(Outcome, rows=closings, tables=("liquidations",), exercised_by="a liquidation", better="less")
tried = partial(Outcome, rows=attempts, tables=("liquidations",), source="liquidations", exercised_by="an attempt to liquidate")
by_keeper = partial(Outcome, rows=sent, tables=("liquidations",), source="liquidations", exercised_by="a keeper who sends a liquidation")
closed_by_keeper = pl.col("delay").filter(pl.col("size") > 0.0)
DELAY = "from falling below maintenance margin to execution"
DELAYS = "liquidations: block, trigger_block"
BEYOND = "liquidations: price, bankruptcy_price"
discounted = partial(
    Outcome,
    unit="fraction of the index",
    source="liquidations: price, index. Fire sales: Shleifer and Vishny (2011)",
    exercised_by="a liquidation",
    better="less",
    rows=discounts,
    tables=("liquidations",),
)

OUTCOMES = (
    closed(
        name="liquidation_delay_median",
        unit="seconds",
        definition=f"{DELAY}, median of the transactions that closed something",
        source=DELAYS,
        value=pl.col("delay").median(),
    ),
    closed(
        name="liquidation_delay_p95",
        unit="seconds",
        definition=f"{DELAY}, 95% quantile of the transactions that closed something",
        source=DELAYS,
        value=pl.col("delay").quantile(0.95, "linear"),
    ),
    closed(
        name="liquidation_delay_longest",
        detail=True,
        unit="seconds",
        definition=f"{DELAY}, longest of the transactions that closed something",
        source=DELAYS,
        value=pl.col("delay").max(),
    ),
    Outcome(
        name="detection_delay_median",
        detail=True,
        unit="seconds",
        definition="from falling below maintenance margin to the sending of the first liquidation, successful or not, median over the "
        "times that an account fell below and was noticed",
        source="liquidations: submitted_block, trigger_block",
        exercised_by="an attempt to liquidate",
        better="less",
        rows=detections,
        value=pl.col("delay").median(),
        tables=("liquidations",),
    ),
    Outcome(
        name="overshoot_mean",
        unit="fraction of the bankruptcy price",
        definition="how far closing prices were beyond the bankruptcy price, zero where they were not, mean weighted by notional",
        source=BEYOND,
        exercised_by="a liquidation",
        better="less",
        rows=overshoots,
        value=weighted_mean(pl.col("overshoot"), pl.col("notional")),
        tables=("liquidations",),
    ),
    Outcome(
        name="overshoot_largest",
        detail=True,
        unit="fraction of the bankruptcy price",
        definition="how far the closing price of one transaction was beyond the bankruptcy price, at most",
        source=BEYOND,
        exercised_by="a liquidation",
        better="less",
        rows=overshoots,
        value=pl.col("overshoot").max(),
        tables=("liquidations",),
    ),
    Outcome(
        name="overshoot_share",
        unit="fraction of the notional",
        definition="liquidated at a price beyond bankruptcy: at a loss to the fund or to others",
        source=BEYOND,
        exercised_by="a liquidation",
        better="less",
        rows=overshoots,
        value=weighted_mean((pl.col("overshoot") > 0.0).cast(pl.Float64), pl.col("notional")),
        tables=("liquidations",),
    ),
    discounted(
        name="liquidation_discount_mean",
        definition="how much less than at the index was got for long positions, or more was paid for short ones, mean weighted by notional",
        value=weighted_mean(pl.col("discount"), pl.col("notional")),
    ),
    discounted(
        name="liquidation_discount_largest",
        detail=True,
        definition="how much less than at the index one transaction got for a long position, or more it paid for a short one, at most",
        value=pl.col("discount").max(),
    ),
    tried(
        name="liquidation_failure_share",
        unit="fraction of the attempts",
        definition="of keepers and protocol that closed nothing",
        better="less",
        value=(pl.col("size") <= 0.0).mean(),
    ),
    tried(
        name="empty_book_share",
        unit="fraction of the attempts",
        definition="of keepers and protocol that closed nothing because no orders rested within the price limit",
        better="less",
        value=((pl.col("size") <= 0.0) & (pl.col("result") == "no_liquidity")).mean(),
    ),
    Outcome(
        name="zero_bid_share",
        unit="fraction of the looks",
        definition="of those at which accounts were below maintenance margin, as at the look before, the part in whose interval nobody "
        "tried to liquidate anything",
        source="venue: below_maintenance, liquidations. After the auctions without bids of MakerDAO on 12 March 2020",
        exercised_by="accounts below maintenance margin at two looks in a row",
        better="less",
        rows=unattended,
        value=(~pl.col("tried")).mean(),
        tables=("venue", "liquidations"),
    ),
    Outcome(
        name="keeper_profit",
        unit="USD",
        definition="rewards of keepers less the gas that cohorts paid",
        source="cohorts: rewards, gas",
        exercised_by="a keeper who sends a liquidation",
        rows=last_looks_at_cohorts,
        value=pl.when(pl.col("rewards").sum() + pl.col("gas").sum() > 0.0).then(pl.col("rewards").sum() - pl.col("gas").sum()),
        tables=("cohorts",),
    ),
    by_keeper(
        name="keeper_delay_median",
        unit="seconds",
        definition=f"{DELAY}, median of the transactions of keepers that closed something",
        better="less",
        value=closed_by_keeper.median(),
    ),
    by_keeper(
        name="keeper_delay_p95",
        detail=True,
        unit="seconds",
        definition=f"{DELAY}, 95% quantile of the transactions of keepers that closed something",
        better="less",
        value=closed_by_keeper.quantile(0.95, "linear"),
    ),
    by_keeper(
        name="keeper_failure_share",
        unit="fraction of the attempts",
        definition="of keepers that closed nothing",
        better="less",
        value=(pl.col("size") <= 0.0).mean(),
    ),
    Outcome(
        name="keeper_top_share",
        detail=True,
        unit="fraction",
        definition="of the rewards of all keepers, those of the one who got most",
        source="liquidations: keeper, reward",
        exercised_by="a reward to a keeper",
        better="less",
        rows=keepers,
        value=pl.col("reward").max() / pl.col("reward").sum(),
        tables=("liquidations",),
    ),
    Outcome(
        name="gas_price_highest",
        detail=True,
        unit="USD per transaction",
        definition="highest gas price of a keeper at any look",
        source="venue: gas_price",
        exercised_by="always",
        rows=venue_looks,
        value=pl.col("gas_price").max(),
        tables=("venue",),
    ),
    Outcome(
        name="failed_gas",
        detail=True,
        unit="USD",
        definition="burnt by liquidations that closed nothing",
        source="venue: failed_gas",
        exercised_by="always",
        better="less",
        rows=venue_looks,
        value=pl.col("failed_gas").last(),
        tables=("venue",),
    ),
)
