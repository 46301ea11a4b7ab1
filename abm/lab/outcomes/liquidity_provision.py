"""What making markets returns: by what it comes from, and what resting orders were worth after they had traded.

A markout is what a fill was worth some time later: how far the mid had moved in favour of the resting order, spread included.
Loss versus rebalancing is Milionis, Moallemi, Roughgarden and Zhang (2022), Automated market making and loss-versus-rebalancing:
what a liquidity provider loses to a strategy that holds the same position at every moment and trades at the outside price.
For a pool that quotes one price that is sum dx (p - S), dx the coins it takes at each trade, p the price of the trade and S the
outside price at that moment. The same sum is defined for the fills of resting orders on a book. It contains the spread that they
quote, which a pool takes as a fee and Milionis et al. account for apart, so it is negative where makers earn more from the
spread than they lose through stale quotes.

For whole cohorts, whatever they provide liquidity with, what buying and selling brought is split in two ways. Holding the position q
from look to look gains sum q dS, which is what rebalancing at the outside price S would have earned; the rest is the loss versus
rebalancing with the sign of a gain. And liquidity in ranges, pools and curves gains what it is worth less what holding would be, the
impermanent loss with the sign of a gain; the rest is of positions beside it. Liquidity here is put in as dollars, so for a pool that
trades at the oracle price holding is keeping the dollars.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import polars as pl
from numpy.typing import NDArray

from abm.lab.outcomes.estimators import weighted_mean
from abm.lab.outcomes.grouping import by_group
from abm.lab.outcomes.looks import market_looks
from abm.lab.outcomes.many_runs import ManyRuns
from abm.lab.outcomes.outcome import Outcome
from abm.lab.outcomes.populations import wealth
from abm.lab.outcomes.timeline import Timeline
from abm.lab.profit import MEANING, PARTS

HORIZONS = (10, 60, 300)  # seconds after a fill
KEPT_APART = 60  # seconds; what resting orders gain until then is quoting, what comes later is inventory
RARELY = ("socialised", "gas", "rewards")  # what a maker's return comes from


def returns(many: ManyRuns) -> pl.DataFrame:
    """The rows of `wealth`, with `capital`: what the cohort had paid in at the first look, wherever on the venue it is."""
    rows = many.make(wealth)
    return rows.with_columns(
        capital=pl.col("net_deposits").first().over("run", "cohort"), high=pl.col("total").cum_max().over("run", "cohort")
    )


def rebalanced(many: ManyRuns) -> pl.DataFrame:
    """By run and cohort: `capital`, and the final `price` and `rebalancing`, which is null unless there is a look at every block."""
    every_block = many.table("cohorts").group_by("run").agg(whole=pl.col("block").max() + 1 == pl.col("block").n_unique())
    final = by_group(many.make(returns), ["run", "cohort"], [pl.col("capital", "price", "rebalancing").last()])
    final = final.join(every_block, on="run", how="left", maintain_order="left")
    return final.with_columns(rebalancing=pl.when(pl.col("whole")).then(pl.col("rebalancing")))


def made(many: ManyRuns) -> pl.DataFrame:
    """Fills from the side of the resting order, `cohort` being the maker's: `notional` (USD), and what the fill was worth to the
    maker per USD of notional: `markout_10s` and so on; `quoting` (the markout at KEPT_APART or at the end of the run, if that
    comes first); `half_spread` (against the mid at the look before) and `stale` (against the index at the end of the block).

    The mid in between looks is interpolated. A markout is null where looks are further apart than its horizon, or the run ends
    before; `half_spread` and `stale` are null unless there is a look at every block.
    """
    fills, looks = many.table("fills"), many.make(market_looks)
    moments, trades = (Timeline.of_markets(rows, many.categories("market")) for rows in (looks, fills))
    track, seconds = trades.track, trades.seconds
    first, last = moments.bounds(track)
    spacing, end = looks["spacing"].to_numpy()[first], moments.seconds[last]
    price, mid, index = fills["price"].to_numpy(), looks["mid"].to_numpy(), looks["index"].to_numpy()
    towards = np.where(fills["side"].to_numpy() == "sell", 1.0, -1.0)  # the maker bought, and gains from a rise
    here = moments.following(track, seconds)
    block = fills["block"].to_numpy()
    every_block = (here >= 0) & (block > 0) & (spacing * block <= seconds * (1.0 + 1e-9))

    def worth(reference: NDArray[np.float64], known: NDArray[np.bool_]) -> pl.Series:
        return pl.Series(np.where(known, towards * (reference - price) / price, np.nan)).fill_nan(None)

    columns = {
        f"markout_{horizon}s": worth(moments.interpolated(mid, track, seconds + horizon), (seconds + horizon <= end) & (spacing <= horizon))
        for horizon in HORIZONS
    }
    columns["quoting"] = worth(moments.interpolated(mid, track, np.minimum(seconds + KEPT_APART, end)), spacing <= KEPT_APART)
    columns["half_spread"] = worth(mid[here - 1], every_block & (here > first))
    columns["stale"] = worth(index[here], every_block)
    maker = pl.col("maker_cohort").alias("cohort")
    return fills.select("run", "market", maker, notional=pl.col("price") * pl.col("size")).with_columns(**columns)


def quoting(many: ManyRuns) -> pl.DataFrame:
    """By run and cohort: `quoted`, what its resting orders gained in USD up to KEPT_APART seconds after each fill, with the
    `capital` and the final `price` part of `returns`. Null where looks are further apart than that."""
    worth = (pl.col("quoting") * pl.col("notional")).sum()
    gained = by_group(many.make(made), ["run", "cohort"], quoted=pl.when(pl.col("quoting").is_not_null().all()).then(worth))
    final = by_group(many.make(returns), ["run", "cohort"], [pl.col("capital", "price").last()])
    return final.join(gained, on=["run", "cohort"], how="left", maintain_order="left")


returned = partial(
    Outcome,
    rows=returns,
    split="cohort",
    unit="fraction of capital",
    source="cohorts",
    exercised_by="a cohort that had paid in at the first look",
    tables=("cohorts",),
)
from_look_to_look = partial(
    Outcome,
    rows=rebalanced,
    split="cohort",
    unit="fraction of capital",
    exercised_by="a cohort that had paid in at the first look; a look at every block",
    tables=("cohorts",),
)
kept_apart = partial(
    Outcome,
    rows=quoting,
    split="cohort",
    unit="fraction of capital",
    source="fills, markets: mid, cohorts",
    exercised_by=f"a fill of a resting order; looks at most {KEPT_APART} s apart",
    tables=("fills", "markets", "cohorts"),
)
filled = partial(
    Outcome,
    rows=made,
    split="cohort",
    together="all",
    unit="fraction of the notional",
    source="fills, markets: mid",
    tables=("fills", "markets", "cohorts"),
)
spread = pl.col("half_spread") - pl.col(f"markout_{KEPT_APART}s")
EVERY_BLOCK = "a fill of a resting order; a look at every block"

OUTCOMES = (
    returned(
        name="return",
        definition="profit over capital, which is what the cohort had paid in at the first look, wherever on the venue it is, pools "
        "included; its parts add up to it",
        better="more",
        value=pl.col("total").last() / pl.col("capital").last(),
    ),
    *(
        returned(
            name=f"return_{part}",
            detail=part in RARELY,
            definition=f"part of the return: {MEANING[part]}",
            value=pl.col(part).last() / pl.col("capital").last(),
        )
        for part in PARTS
    ),
    returned(
        name="drawdown",
        definition="largest fall of wealth from an earlier look",
        better="less",
        value=(pl.col("high") - pl.col("total")).max() / pl.col("capital").last(),
    ),
    from_look_to_look(
        name="return_rebalancing",
        definition="part of return_price: sum of q dS, what was held at a look (its part of what pools hold too) times the change of the "
        "index until the next: what a strategy with the same positions earned that trades at the index; positions at the end at mark",
        source="cohorts: rebalancing",
        value=(pl.col("rebalancing") / pl.col("capital")).first(),
    ),
    from_look_to_look(
        name="return_versus_rebalancing",
        definition="the rest of return_price: sum of dq (S - p), S the index at the end of the block in which dq was bought or sold at p: "
        "the loss versus rebalancing with the sign of a gain, spread that was earned included, trading fees not",
        source="cohorts: rebalancing. Milionis, Moallemi, Roughgarden and Zhang (2022), Automated market making and loss-versus-"
        "rebalancing",
        better="more",
        value=((pl.col("price") - pl.col("rebalancing")) / pl.col("capital")).first(),
    ),
    returned(
        name="return_impermanent",
        definition="part of return_price: what liquidity in ranges (at the pool's price), in pools and on the venue's own curve gained "
        "against holding what was put in: the impermanent loss with the sign of a gain, until a range is removed",
        source="cohorts: impermanent. Uniswap v3 whitepaper (2021), section 6",
        value=pl.col("impermanent").last() / pl.col("capital").last(),
    ),
    returned(
        name="return_positions",
        definition="the rest of return_price: what positions beside that liquidity gained, such as those that a removed range leaves",
        source="cohorts: impermanent",
        value=(pl.col("price") - pl.col("impermanent")).last() / pl.col("capital").last(),
    ),
    kept_apart(
        name="return_quoting",
        definition=f"part of return_price: what resting orders were worth at the mid {KEPT_APART} s after they had traded, or at the end "
        "of the run: spread earned less adverse selection until then",
        value=(pl.col("quoted") / pl.col("capital")).first(),
    ),
    kept_apart(
        name="return_inventory",
        definition=f"the rest of return_price: what positions gained or lost later than {KEPT_APART} s after a fill, and taking",
        value=((pl.col("price") - pl.col("quoted")) / pl.col("capital")).first(),
    ),
    *(
        filled(
            name=f"markout_{horizon}s",
            detail=horizon != KEPT_APART,
            definition=f"how far the mid had moved in favour of resting orders {horizon} s after they traded, from their price, spread "
            "included; interpolated between looks, fills too near the end of the run left out; negative: adverse selection exceeded "
            "the spread",
            exercised_by=f"a fill of a resting order; looks at most {horizon} s apart",
            better="more",
            value=weighted_mean(pl.col(f"markout_{horizon}s"), pl.col("notional")),
        )
        for horizon in HORIZONS
    ),
    filled(
        name="half_spread_earned",
        detail=True,
        definition="of resting orders that traded, the distance of their price from the mid at the look before",
        exercised_by=EVERY_BLOCK,
        value=weighted_mean(pl.col("half_spread"), pl.col("notional")),
    ),
    filled(
        name="adverse_selection",
        definition=f"how far the mid had moved against resting orders that traded, from the look before to {KEPT_APART} s later: the "
        "spread earned less the markout",
        source="fills, markets: mid. Glosten and Milgrom (1985); realised spread of Huang and Stoll (1996)",
        exercised_by=EVERY_BLOCK,
        better="less",
        value=weighted_mean(spread, pl.col("notional")),
    ),
    filled(
        name="loss_versus_rebalancing",
        definition="sum of dx (p - S) over the fills of resting orders, over their notional: dx the coins they took, p the price of the "
        "fill, S the index at the end of its block: what they lost to a strategy that holds the same positions and trades at the index. "
        "The spread that they quote is in it: negative where it exceeds what stale quotes lost. So is a lasting basis, times the change "
        "of inventory",
        source="fills, markets: index. Milionis, Moallemi, Roughgarden and Zhang (2022), Automated market making and loss-versus-"
        "rebalancing",
        exercised_by=EVERY_BLOCK,
        better="less",
        value=-weighted_mean(pl.col("stale"), pl.col("notional")),
    ),
)
