"""How safe a market is held to be, and the bounds that follow from it (Drift v2)."""

from __future__ import annotations

from typing import Literal, NamedTuple, get_args

TierName = Literal["A", "B", "C", "Speculative", "HighlySpeculative", "Isolated"]


class ContractTier(NamedTuple):
    """Bounds of one tier; fractions of a price unless said otherwise."""

    largest_divergence: float  # between the averages that funding is computed from
    trigger_band: float  # of the trigger price around the oracle price
    confidence_multiplier: float  # times the venue's largest confidence interval
    average_band: float  # of a sample around the average that it enters
    insurance_draw: float  # USD that the insurance fund pays for losses of the market at most


# drift-labs/protocol-v2 `programs/drift/src/state/perp_market.rs`; draws: the largest that its documentation names.
CONTRACT_TIERS: dict[TierName, ContractTier] = {
    "A": ContractTier(1.0 / 33.0, 0.002, 1.0, 1.0 / 10.0, 100_000_000.0),
    "B": ContractTier(1.0 / 33.0, 0.002, 1.0, 1.0 / 5.0, 1_000_000.0),
    "C": ContractTier(1.0 / 20.0, 0.01, 2.0, 1.0 / 2.0, 100_000.0),
    "Speculative": ContractTier(1.0 / 10.0, 0.025, 10.0, 1.0 / 3.0, 0.0),
    "HighlySpeculative": ContractTier(1.0 / 10.0, 0.025, 50.0, 1.0 / 3.0, 0.0),
    "Isolated": ContractTier(1.0 / 10.0, 0.025, 50.0, 1.0 / 3.0, 0.0),
}

Tiers = tuple[TierName, ...]


def unknown_tiers(rule: str, tiers: Tiers) -> list[str]:
    """What is wrong with a rule's `tiers`: none, or a name that is not a tier's; one line each."""
    if not tiers:
        return [f"{rule}.tiers: at least one tier is needed"]
    return [f"{rule}.tiers: {name!r} is not one of {', '.join(get_args(TierName))}" for name in tiers if name not in CONTRACT_TIERS]


def tiers_of(tiers: Tiers, n_markets: int, rule: str) -> list[ContractTier]:
    """One tier per market: a single one stands for all; raises ValueError when their number is another."""
    if len(tiers) == 1:
        return [CONTRACT_TIERS[tiers[0]]] * n_markets
    if len(tiers) != n_markets:
        raise ValueError(f"{rule}.tiers: {len(tiers)} tiers for {n_markets} markets")
    return [CONTRACT_TIERS[name] for name in tiers]
