"""Mark prices from averages of the venue's price, from the funding basis, and the price that conditional orders are compared with."""

from __future__ import annotations

from abm.kernels.averages import add_to_window, blended_average, book_mid, window_average
from abm.kernels.compiled import inline, kernel
from abm.kernels.mark import median_of_three, take_sample
from abm.kernels.twap_funding import funding_basis


@inline
def median_of_averages(short_average, long_average, index, premium):
    """Median of two averages of the venue's price and of index + average premium, all in USD (Perp v2 `AccountBalance.sol`,
    getMarkPrice)."""
    return median_of_three(short_average, long_average, index + premium)


@inline
def fair_price(index, rate, time_left):
    """Index with the basis that funding still to come implies: index x (1 + rate x time left), the rate a fraction per interval, the
    time a fraction of it (BitMEX fair price marking; the first price of Binance's median)."""
    return index * (1.0 + rate * time_left)


@inline
def price_with_basis(index, rate, time_left, basis, last):
    """Median of the fair price, of index + average basis, and of the last trade, all in USD (Binance mark price FAQ)."""
    return median_of_three(fair_price(index, rate, time_left), index + basis, last)


@inline
def clamped_to_band(price, centre, band):
    """A price held within `band` (fraction) of another (Drift v2, clamp_trigger_price)."""
    return min(max(price, centre * (1.0 - band)), centre * (1.0 + band))


@inline
def trigger_price(oracle, last, venue_average, oracle_average, basis, band):
    """What conditional orders are compared with: the median of the last trade (0: the oracle price), of oracle + funding basis, and of
    oracle + distance of the averages, within a band of the oracle price. USD (Drift v2, get_trigger_price)."""
    traded = last if last > 0.0 else oracle
    middle = median_of_three(traded, oracle + basis, oracle + (venue_average - oracle_average))
    return clamped_to_band(middle, oracle, band)


@inline
def time_left(block, interval):
    """Part of the funding interval that is still to come, both in blocks."""
    return 1.0 - (block % interval) / interval


@inline
def last_trade(markets, k, otherwise):
    """Last trade in USD; `otherwise` before the first."""
    return markets[k].last_tick * markets[k].tick if markets[k].last_tick > 0 else otherwise


@kernel
def mark_at_median_of_averages(venue, markets, venue_sums, index_sums, short, long, premium):
    """Mark = `median_of_averages`; windows in blocks, `..._sums` (blocks + 1, m) rings of running sums."""
    block = venue[0].block
    for k in range(markets.shape[0]):
        index = markets[k].oracle
        add_to_window(venue_sums, k, block, book_mid(markets, k, last_trade(markets, k, index)))
        add_to_window(index_sums, k, block, index)
        gap = window_average(venue_sums, k, block, premium) - window_average(index_sums, k, block, premium)
        markets[k].mark = median_of_averages(
            window_average(venue_sums, k, block, short), window_average(venue_sums, k, block, long), index, gap
        )


@kernel
def mark_at_fair_price(venue, markets, interval):
    """Mark = `fair_price` on the oracle price and the rate of the last settlement."""
    left = time_left(venue[0].block, interval)
    for k in range(markets.shape[0]):
        markets[k].mark = fair_price(markets[k].oracle, markets[k].funding_rate, left)


@kernel
def mark_with_basis(venue, markets, averages, seconds_per_block, basis_seconds, interval):
    """Mark = `price_with_basis`; the basis is the moving average of mid - oracle in row 0 of `averages`."""
    block = venue[0].block
    left = time_left(block, interval)
    for k in range(markets.shape[0]):
        index = markets[k].oracle
        mid = book_mid(markets, k, 0.0)
        if mid > 0.0:
            take_sample(averages, 0, k, mid - index, block, seconds_per_block, basis_seconds)
        basis = averages[0, k].weighted_sum / averages[0, k].weight if averages[0, k].weight > 0.0 else 0.0
        markets[k].mark = price_with_basis(index, markets[k].funding_rate, left, basis, last_trade(markets, k, index))


@kernel
def mark_at_average_trade(venue, markets, sums, window):
    """Mark = average of the last trade over a window of blocks; `sums` (blocks + 1, m) is a ring of running sums."""
    block = venue[0].block
    for k in range(markets.shape[0]):
        add_to_window(sums, k, block, last_trade(markets, k, markets[k].oracle))
        markets[k].mark = window_average(sums, k, block, window)


@kernel
def mark_at_blended_trade(venue, markets, averages, period):
    """Mark = exponential average of the last trade; `averages` (m,) USD, `period` seconds."""
    for k in range(markets.shape[0]):
        traded = last_trade(markets, k, markets[k].oracle)
        averages[k] = blended_average(averages[k], traded, venue[0].seconds_per_block, period)
        markets[k].mark = averages[k]


@kernel
def mark_at_oracle_with_trigger(venue, markets, venue_averages, oracle_averages, bands, period, interval, offset):
    """Mark = oracle; and the trigger price of every market. Averages (m,) in USD over `period` seconds, `interval` in blocks."""
    block = venue[0].block
    elapsed = venue[0].seconds_per_block
    for k in range(markets.shape[0]):
        oracle = markets[k].oracle
        venue_averages[k] = blended_average(venue_averages[k], book_mid(markets, k, venue_averages[k]), elapsed, period)
        oracle_averages[k] = blended_average(oracle_averages[k], oracle, elapsed, period)
        basis = 0.0
        if block >= interval:
            basis = funding_basis(oracle, markets[k].funding_per_day, offset, float(block % interval), float(interval))
        markets[k].mark = oracle
        markets[k].trigger = trigger_price(oracle, last_trade(markets, k, 0.0), venue_averages[k], oracle_averages[k], basis, bands[k])
