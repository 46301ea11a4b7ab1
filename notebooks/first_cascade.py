# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # A first cascade
#
# A perpetual is a bet on a price that never expires, usually made with borrowed money. In this lesson the price falls by a
# fifth in forty minutes, on a venue with a thousand traders. You will see who is sold out, in what order, why, and who
# pays for it. Then you change one thing and let the same crash come again.
#
# You need no more than this: a **long** gains when the price rises; **leverage** is the size of a position over the money
# behind it; a **liquidation** closes a position against its owner's will because too little money is left behind it.
# Other words are in the [glossary](../docs/glossary.md).
#
# ## 1. First, your prediction
#
# Write down what you expect *before* you run anything. There is no mark for being right; without a guess you learn
# nothing from the answer.

# %%
my_prediction = {
    "accounts liquidated, of about a thousand": 50,
    "perp below spot at worst, in per cent": 5.0,
    "who loses most": "scalpers",  # scalpers, hedgers, providers, arbitrageurs, keepers, takers or whales
    "insurance fund afterwards": "empty",  # empty, smaller or larger
}

# %% [markdown]
# ## 2. The same crash, as often as you like
#
# `experiments/flash_crash.toml` describes venue, traders and crash. There the crash comes at noon; here it comes
# after two hours, and we watch for an hour and a half more. `crash()` runs it, with single values changed if you say so, and
# returns everything that was recorded, as tables.

# %%
import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import polars as pl
import seaborn as sns

warnings.filterwarnings("ignore", message="IProgress not found")  # of a progress bar that nobody uses here
plt.switch_backend(plt.get_backend())  # from here on the notebook shows figures that a function returns

from abm.lab.config import load

HERE = next(folder for folder in (Path.cwd(), *Path.cwd().parents) if (folder / "experiments").is_dir())
SHORTER = ["run.seconds=12600", "world.crashes[0].start=7200", "record.positions_every_seconds=1800"]


def crash(*changes):
    """The record of the flash crash with some values changed, such as "spot.depth=inf"."""
    return load(HERE / "experiments" / "flash_crash.toml", [*SHORTER, *changes]).model().run().frames()


as_it_was = crash()
print({name: table.height for name, table in as_it_was.items()})

# %% [markdown]
# ## 3. What happened
#
# Compare with your prediction. Where were you wrong by a factor of two or more? Keep that in mind: the rest of the lesson
# is about it.

# %%
from abm.lab.summary import headline, summarise

summary = summarise(as_it_was)
losses = {name: cohort.total for name, cohort in summary.cohorts.items()}
what_happened = {
    "accounts liquidated, of about a thousand": summary.liquidations.accounts,
    "perp below spot at worst, in per cent": round(-100 * min(market.gap_lowest for market in summary.markets.values()), 2),
    "who loses most": min(losses, key=losses.get),
    "insurance fund afterwards": "larger" if summary.insurance.end > summary.insurance.start else "smaller",
}
print(headline(summary), "\n")
for question, answer in what_happened.items():
    print(f"{question:42} you said {my_prediction[question]!s:10} it was {answer}")

# %% [markdown]
# ## 4. The picture
#
# Each bubble is a minute of liquidations. They are not spread over the fall: they begin when the price reaches the first
# positions that cannot carry it, and most of them are over before the price has found its floor. Where the blue line leaves
# the black one, forced sales have pushed the perp below the price outside.

# %%
from abm.lab.figures import price_figure

price_figure(as_it_was)

# %% [markdown]
# ## 5. Where the fuel was
#
# The map below was drawn *before* the crash. For every open position it asks: how far must prices move until this one is
# closed by force? The shaded band is the move that came. Everything inside it was fuel, and it could be seen in advance.

# %%
from abm.lab.figures import fuel_figure

fuel_figure(as_it_was)

# %% [markdown]
# ## 6. The law behind the map
#
# Take a long with leverage $L$: it costs $P_0$ per coin, of which $P_0/L$ is the owner's. The venue closes it when what is
# left of the owner's money falls below a share $m$ of the position's value, the *maintenance margin*:
#
# $$P - P_0\left(1 - \tfrac1L\right) = mP \quad\Rightarrow\quad P = P_0\,\frac{1 - 1/L}{1 - m}$$
#
# So it survives a fall of $1 - \frac{1 - 1/L}{1 - m}$ and not a step more. This is the **leverage barrier**. Each dot is one
# account: its leverage before the crash, and how far the price had fallen when the venue found it below maintenance margin. The
# grey line above a dot is how much further the price fell until the first piece was sold: a keeper must find it worth the
# gas, and somebody must buy. No dot was told where to lie.

# %%
START = 7_200
longs = as_it_was["positions"].filter(pl.col("seconds") == START, pl.col("size") > 0)
longs = longs.filter(pl.len().over("account") == 1).with_columns(leverage=pl.col("account_notional") / pl.col("equity"))
sales = as_it_was["liquidations"].filter(pl.col("seconds") > START, pl.col("size") > 0).sort("seconds")
sales = sales.group_by("account", "market").agg(found=pl.col("trigger_block").first().cast(float), sold=pl.col("mark").first())
marks = as_it_was["markets"].select("market", "seconds", pl.col("mark").alias("mark_found")).sort("seconds")
dots = longs.drop("seconds").join(sales, on=["account", "market"]).sort("found")
dots = dots.join_asof(marks, left_on="found", right_on="seconds", by="market", check_sortedness=False)
dots = dots.with_columns(fall=1 - pl.col("mark_found") / pl.col("mark"), sold=1 - pl.col("sold") / pl.col("mark"))

leverage, m = np.linspace(2, 20, 200), 0.03
barrier = 1 - (1 - 1 / leverage) / (1 - m)
sns.set_theme(style="ticks", context="notebook")
figure, axes = plt.subplots(figsize=(9, 4.5), layout="constrained")
axes.plot(leverage, barrier, color="black", label="the law")
names = dots["market"].cast(pl.String)
sns.scatterplot(x=dots["leverage"], y=dots["fall"], hue=names, hue_order=sorted(set(names)), palette="colorblind", s=30, ax=axes)
axes.vlines(dots["leverage"], dots["fall"], dots["sold"], color="#b0b0b0", linewidth=1, zorder=0)
axes.set(xlim=(2, 20), ylim=(0, None), xlabel="leverage before the crash", ylabel="fall of the price when found")
axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
axes.legend(title=None, frameon=False)
axes.set_title("Who falls when is known before the crash", loc="left", weight="bold")
sns.despine()

# %% [markdown]
# Dots below the law had lost money, or added to their position, between the two looks; dots above it had closed a part in
# time. With ten times leverage the barrier is about seven per cent: an ordinary week.
#
# ## 7. The cascade
#
# A forced sale needs a buyer. When many come at once, those who usually buy have lost money too, and step back: look at
# how many orders were left near the price, and when. Where neither the book nor the fund can take a position, the venue's
# last resort is to close it against those who are winning, without asking them: *deleveraging*.

# %%
from abm.lab.figures import cascade_figure

cascade_figure(as_it_was)

# %% [markdown]
# ## 8. Who paid
#
# Every dollar lost was won by somebody, or went to the venue and its fund. A bar to the right is money won, to the left
# money lost. Hedgers hold coins elsewhere: what they lose there they win back here, and that is why they came.

# %%
from abm.lab.figures import profit_figure

profit_figure(as_it_was)

# %% [markdown]
# ## 9. One thing changed
#
# Nobody may close a position before the venue knows the price. Its *oracle* was two seconds late. What if it is a minute late?
# Guess first: more people liquidated, or fewer? And who pays?
#
# The world is the same to the last digit, and so is every trader's every random choice: the first line checks it. What
# differs is due to the oracle alone.

# %%
late_oracle = crash("venue.oracle.lag_blocks=60")
assert late_oracle["markets"]["exogenous"].equals(as_it_was["markets"]["exogenous"])

runs = {"oracle 2 s late": as_it_was, "oracle 60 s late": late_oracle}
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
for (name, frames), colour in zip(runs.items(), ("#767676", "#d55e00"), strict=True):
    closed = frames["liquidations"].filter(pl.col("seconds") > START).select("seconds", pl.col("notional").cum_sum() / 1e6)
    left.plot((closed["seconds"] - START) / 60, closed["notional"], color=colour, label=name)
    fund = frames["venue"].filter(pl.col("seconds") > START)
    right.plot((fund["seconds"] - START) / 60, fund["insurance_fund"] / 1e3, color=colour)
left.set(title="Liquidated so far", ylabel="million USD", xlabel="minutes since the crash began", xlim=(0, 60))
right.set(title="Insurance fund", ylabel="thousand USD", xlabel="minutes since the crash began", xlim=(0, 60), ylim=(0, None))
left.legend(frameon=False)
sns.despine()

# %% [markdown]
# The same positions come up for closing: the barrier does not ask who knows. But they are closed later, at a worse price,
# and what was left of their owners' money is gone by then. With a timely oracle a part of it would have gone to the fund
# as a penalty; now the fund pays for what is missing, and some positions cannot be closed at all within the limit that the
# venue sets. **A late oracle does not spare anybody; it moves the loss from the trader to the fund.**
#
# ## 10. Your turn
#
# Change one thing, guess, and look. Some that are worth a guess:
#
# - `"venue.margin.initial_margin_fraction=0.2"` – nobody above five times leverage. (Is the fund safer? Are fewer people
#   liquidated? Careful: maintenance margin is a share of initial margin, so the barrier moves as well. Which way?)
# - `"gas.base=50.0"` – keepers pay fifty dollars for every attempt. Who is still worth liquidating?
# - `"world.crashes[0].duration=86400"` – the same depth, spread over a day that we see only the beginning of.
# - `"population.providers.members=10"` – a third of the market makers.
#
# The last column says what your change did. Can you find one that empties the fund?

# %%
my_change = "gas.base=50.0"

mine = summarise(crash(my_change))
rows = {
    "accounts liquidated": lambda run: run.liquidations.accounts,
    "liquidated, thousand USD": lambda run: run.liquidations.notional / 1e3,
    "closed against winners, thousand USD": lambda run: run.deleveraging.notional / 1e3,
    "insurance fund, thousand USD": lambda run: run.insurance.end / 1e3,
    "debt nobody covered, thousand USD": lambda run: run.insurance.debt_end / 1e3,
    "makers won, thousand USD": lambda run: run.cohorts["providers"].total / 1e3,
}
print(f"{'':38}{'as it was':>12}{'mine':>12}{'difference':>12}     {my_change}")
for name, number in rows.items():
    print(f"{name:38}{number(summary):12,.0f}{number(mine):12,.0f}{number(mine) - number(summary):+12,.0f}")

# %% [markdown]
# What to take home: a cascade is not a surprise. Who falls when is written in the positions (5, 6); how deep it goes depends on
# who is left to buy (7); who pays depends on the rules (8, 9). Rules can be changed: [write one](../docs/write-a-rule.md).
