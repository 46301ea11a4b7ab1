"""An agent-based simulator of a perpetual-futures exchange under stress.

The public names below are imported when they are first used, so that `import abm` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

PUBLIC = {
    "abm.agents.arbitrageurs": ["Arbitrageurs"],
    "abm.agents.base": ["Cohort", "Group", "Hedge", "NoHedge", "Strategy", "Trader", "View"],
    "abm.agents.cross_venue": ["CrossVenueArbitrageurs"],
    "abm.agents.hedgers": ["Hedgers"],
    "abm.agents.keepers": ["Keepers"],
    "abm.agents.liquidity_providers": ["LiquidityProviders"],
    "abm.agents.oracle_pumpers": ["OraclePumpers"],
    "abm.agents.outside_hedges": ["OptionHedge", "SpotHedge"],
    "abm.agents.passive": ["FixedSlippage", "Holders", "SteadyDepth", "ZeroIntelligence"],
    "abm.agents.pool_providers": ["PoolProviders"],
    "abm.agents.pyramiders": ["Pyramiders"],
    "abm.agents.range_providers": ["RangeProviders"],
    "abm.agents.scalpers": ["Scalpers"],
    "abm.agents.spoofers": ["Spoofers"],
    "abm.agents.takers": ["Takers"],
    "abm.agents.vault_runners": ["VaultRunners"],
    "abm.agents.vaults": ["ResidentVaults"],
    "abm.agents.washers": ["Washers"],
    "abm.agents.whales": ["Whales"],
    "abm.distributions": ["Constant", "Distribution", "LogNormal", "Pareto", "Uniform"],
    "abm.mechanisms.auction_liquidation": ["AuctionLiquidation", "InsolventAuctionGate"],
    "abm.mechanisms.auctioned_book": ["AuctionedBook"],
    "abm.mechanisms.averaged_mark": [
        "AverageTradeMark",
        "AveragesMedianMark",
        "BasisMedianMark",
        "FairBasisMark",
        "OracleMarkWithTrigger",
    ],
    "abm.mechanisms.batch_auction": ["BatchAuction"],
    "abm.mechanisms.clearing": ["Clearing", "ContinuousBook"],
    "abm.mechanisms.concentrated_amm": ["ConcentratedAmm", "provided_ranges"],
    "abm.mechanisms.continuous_funding": ["ConvergenceFunding"],
    "abm.mechanisms.deleveraging": [
        "Deleveraging",
        "NoDeleveraging",
        "PoolDeleveraging",
        "ProRataDeleveraging",
        "RandomDeleveraging",
        "RankedDeleveraging",
        "SocialisedLoss",
    ],
    "abm.mechanisms.enforcement": ["CostCoveringEnforcement", "Enforcement", "KeeperEnforcement", "ProtocolEnforcement"],
    "abm.mechanisms.events": ["Delisting", "Drain", "Event", "RuleChange"],
    "abm.mechanisms.fees": ["Fees", "FlatFees", "TieredFees"],
    "abm.mechanisms.funding": ["ClampedPremiumFunding", "Funding", "NoFunding", "PremiumVoteFunding", "book_premiums", "pay_funding"],
    "abm.mechanisms.guards": ["CircuitBreaker", "Guard", "IsolatedMarkets", "OpenInterestCap", "WithdrawalGate"],
    "abm.mechanisms.halts": ["ChainHalt", "PausedFunctions"],
    "abm.mechanisms.limits": ["DepositOutflowLimit", "InsuranceDrawLimit", "OracleQualityGuard", "PriceBand", "WithdrawalFloor"],
    "abm.mechanisms.liquidation": [
        "ChunkedLiquidation",
        "FullLiquidation",
        "Liquidation",
        "PartialLiquidation",
        "ShortageLiquidation",
        "WindowedLiquidation",
    ],
    "abm.mechanisms.listing": ["Listing"],
    "abm.mechanisms.margin": ["FlatMargin", "Margin", "OpenInterestMargin", "SizeMargin", "TieredMargin"],
    "abm.mechanisms.mark": ["LastTradeMark", "Mark", "MedianMark", "MidMark", "OracleMark"],
    "abm.mechanisms.oracle": ["MeanOracle", "MedianOracle", "Oracle", "ProposerOracle"],
    "abm.mechanisms.oracle_chain": ["AveragedOracle", "Dispute", "DisputedOracle", "FallbackOracle", "PushedOracle"],
    "abm.mechanisms.oracle_pool": ["OraclePool", "Pool", "SkewedPool"],
    "abm.mechanisms.ordering": ["Ordering", "PriorityFeeOrdering", "RandomOrdering"],
    "abm.mechanisms.portfolio_margin": ["PortfolioMargin"],
    "abm.mechanisms.presets": ["PRESETS"],
    "abm.mechanisms.skew_funding": ["AdaptiveSkewFunding", "VelocityFunding"],
    "abm.mechanisms.skew_margin": ["SkewMargin"],
    "abm.mechanisms.takeover_liquidation": ["TakeoverLiquidation"],
    "abm.mechanisms.twap_funding": ["DivergenceFunding", "TwapPremiumFunding"],
    "abm.mechanisms.venue": ["Venue"],
    "abm.mechanisms.virtual_amm": ["VirtualAmm"],
    "abm.model": ["PerpModel"],
    "abm.parameters": ["ParameterError", "parameter"],
    "abm.recorder": ["Recording"],
    "abm.venue_pair": ["VenuePair"],
    "abm.worlds.crash": ["Crash"],
    "abm.worlds.diffusion": ["Diffusion"],
    "abm.worlds.gas": ["Gas"],
    "abm.worlds.options": ["OptionMarket"],
    "abm.worlds.replay": ["Replay"],
    "abm.worlds.spot": ["Spot"],
    "abm.worlds.waypoints": ["Waypoints"],
    "abm.worlds.world": ["Setting", "Stretch", "World"],
}
_HOME = {name: module for module, names in PUBLIC.items() for name in names}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module 'abm' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
