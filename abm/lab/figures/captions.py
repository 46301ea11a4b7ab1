"""How to read each figure, for a reader who has never seen one like it."""

from __future__ import annotations

CAPTIONS: dict[str, str] = {
    "prices": (
        "Each row is a market: the whole run on the left, the crash on the right. The dark line is the price outside, the "
        "blue one the middle of the venue's own bid and ask prices, the dashed one what the oracle told the venue. Bubbles are "
        "liquidations, one for each minute, their area in proportion to the money closed; where the blue line lies below "
        "the dark one, forced sales push the perp."
    ),
    "cascade": (
        "Time runs from left to right and is the same in all panels. From above: how much was liquidated in each minute; "
        "how much could still be traded near the price to absorb it, compared with the time before; what the insurance fund "
        "held; what was closed against traders on the other side because neither the market nor the fund could take it."
    ),
    "profit": (
        "Each bar is a cohort, split by where its money was won (to the right of zero) or lost (to the left). The diamond "
        "is the sum of all parts. Everything on the venue adds up to zero once its fees and the insurance fund are "
        "counted."
    ),
    "fuel": (
        "Above: how far all prices together must move until a position is liquidated, weighted with its size; what lies "
        "inside the shaded band was within reach of the move that came. Below: how much is held at which leverage. Grey "
        "is before, colour after."
    ),
    "book": (
        "The shade at each moment and price is how much can be sold (blue) or bought (orange) there, on a logarithmic "
        "scale: orders on a book, elsewhere what curve, ranges or pool would trade. On the left by price, with the price "
        "outside as a line; on the right by distance from that price, with the middle of the venue's prices as a line. "
        "Pale shades around the line are a market that has emptied; a line below zero is a perp cheaper than outside."
    ),
    "funding": (
        "The thin line is the premium of the perp over the outside price, the step is the funding rate that followed from "
        "it: above zero longs pay shorts, below zero shorts pay longs. A diamond marks a settlement at which the sign "
        "changed."
    ),
    "victims": (
        "On the left how many accounts of each cohort have been liquidated at least in part up to each moment, on the "
        "right how much of their positions. Many small steps are a crowd; a tall one is a whale."
    ),
    "gap": (
        "Two venues side by side, a row for each market. On the left the middle of either venue's prices and the price outside, around the "
        "largest move; on the right how far the venue was above (or below) the one beside it, over the whole run, with that move shaded. "
        "A gap that stays is money that nobody could or would carry across."
    ),
}
