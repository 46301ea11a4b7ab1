"""Conditional orders: they wait outside the book and become ordinary orders when a price passes their trigger."""

from __future__ import annotations

from abm.kernels.compiled import shared_kernel
from abm.kernels.transactions import submit_order
from abm.state import BAR_TRIGGERS, NEVER, TRIGGER_ABOVE, TRIGGER_ON_MARK


@shared_kernel
def trigger_conditionals(venue, markets, conditionals, transactions):
    """Sends every waiting order whose trigger has been passed, and drops those that expired.

    Trigger price: the mark price, or the market's own trigger price, by default the oracle price, together with the trades of the last
    block clamped to the market's trigger band around the oracle (dYdX v4, `x/clob`, conditional orders). A triggered order then takes
    what the book offers, like any other.
    Then the range of the last block's trades is forgotten, and that of this block can begin.
    """
    block = venue[0].block
    kept = 0
    for c in range(venue[0].conditionals):
        k = conditionals[c].market
        low = markets[k].oracle
        if markets[k].trigger > 0.0:
            low = markets[k].trigger
        high = low
        if conditionals[c].flags & TRIGGER_ON_MARK:
            low = markets[k].mark
            high = low
        elif markets[k].low_tick > 0 and markets[k].trigger_band > 0.0:
            band = markets[k].trigger_band * markets[k].oracle
            low = min(low, max(markets[k].low_tick * markets[k].tick, markets[k].oracle - band))
            high = max(high, min(markets[k].high_tick * markets[k].tick, markets[k].oracle + band))
        if conditionals[c].expires <= block:
            continue
        triggered = high >= conditionals[c].trigger if conditionals[c].flags & TRIGGER_ABOVE else low <= conditionals[c].trigger
        if triggered and markets[k].barred & BAR_TRIGGERS == 0:
            flags = conditionals[c].flags & ~(TRIGGER_ABOVE | TRIGGER_ON_MARK)
            submit_order(
                venue, transactions, conditionals[c].account, k, conditionals[c].side, conditionals[c].tick, conditionals[c].lots,
                flags, NEVER, 0,
            )  # fmt: skip
        else:
            if kept != c:
                conditionals[kept] = conditionals[c]
            kept += 1
    venue[0].conditionals = kept
    for k in range(markets.shape[0]):
        markets[k].low_tick = 0
        markets[k].high_tick = 0
