"""Writes the table of mechanisms.md: which published mechanism which rule runs, and which preset has it: `python docs/mechanism_table.py`.

What cannot be looked up is which rule a mechanism belongs to; that stands in RULES. Formulas are found in the source of the adapters of
`tests/reference`, uses by walking the presets, rows in the files of published numbers.
"""

from __future__ import annotations

import ast
import dataclasses
import importlib
import inspect
import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import abm
from abm.mechanisms.rule import Rule

DOCUMENT = Path(__file__).with_name("mechanisms.md")
REFERENCE = Path(__file__).parents[1] / "tests" / "reference"
MARK = re.compile(r"(<!-- mechanisms -->\n).*?(<!-- end -->)", re.DOTALL)
HEAD = ("mechanism", "formula", "rules that run it", "presets with such a rule", "published rows")

ANY_MARGIN = ("FlatMargin", "OpenInterestMargin", "TieredMargin", "SizeMargin", "SkewMargin", "PortfolioMargin")

# Mechanism -> the rules that run its formula, or why none does. `Rule.field`: only where the field is not zero; `Rule.field=value`: only
# where it has that value.
RULES: dict[str, tuple[str, ...] | str] = {
    "cex.adl_rank": ("RankedDeleveraging",),
    "cex.funding_rate": ("ClampedPremiumFunding",),
    "derive.auction_discount": ("AuctionLiquidation",),
    "derive.funding_payment": ("ConvergenceFunding",),
    "derive.funding_rate_per_hour": ("ConvergenceFunding",),
    "derive.insolvent_auction_payout": ("AuctionLiquidation",),
    "derive.solvent_auction": ("AuctionLiquidation",),
    "derive.solvent_bid_cash": ("AuctionLiquidation",),
    "derive.withdraw_blocked": ("InsolventAuctionGate",),
    "drift.affordable_repeg": ("AuctionedBook.repeg_seconds", "VirtualAmm.repeg_seconds"),
    "drift.amm_price": ("AuctionedBook", "VirtualAmm"),
    "drift.amm_terminal_price": "the terminal reserve runs in AuctionedBook and VirtualAmm, its price is only looked at",
    "drift.asset_for_liability": "collateral is money alone",
    "drift.asset_weight": ("SizeMargin",),
    "drift.auction_bounds": ("AuctionedBook.auction_slots",),
    "drift.auction_price": ("AuctionedBook.auction_slots",),
    "drift.base_to_cover_shortage": ("ShortageLiquidation",),
    "drift.budgeted_k_scale": ("AuctionedBook.scale_seconds", "VirtualAmm.repeg_seconds"),
    "drift.capped_funding": ("DivergenceFunding",),
    "drift.deposit_socialized_fraction": ("AuctionLiquidation", "SocialisedLoss.over=deposits"),
    "drift.ewma_twap": ("DivergenceFunding", "OracleQualityGuard", "DepositOutflowLimit"),
    "drift.expiry_settlement_price": ("Delisting",),
    "drift.funding_rate": ("DivergenceFunding",),
    "drift.jit_amount": ("AuctionedBook.jit_intensity",),
    "drift.k_update": ("AuctionedBook.scale_seconds", "VirtualAmm.repeg_seconds"),
    "drift.last_funding_basis": ("OracleMarkWithTrigger",),
    "drift.liability_implied_by_asset": "collateral is money alone",
    "drift.liability_transfer_to_cover_shortage": "collateral is money alone",
    "drift.liability_weight": ("SizeMargin",),
    "drift.liquidation_fee_ramp": ("ShortageLiquidation",),
    "drift.margin_ratio": ("SizeMargin",),
    "drift.match_fees": ("AuctionedBook",),
    "drift.max_funding_divergence": ("DivergenceFunding",),
    "drift.max_pct_to_liquidate": ("ShortageLiquidation",),
    "drift.normalise_oracle_price": ("AveragedOracle",),
    "drift.optimal_peg_and_budget": ("AuctionedBook.repeg_seconds", "VirtualAmm.repeg_seconds"),
    "drift.oracle_status": ("OracleQualityGuard",),
    "drift.peg_from_target": ("AuctionedBook.repeg_seconds", "VirtualAmm.repeg_seconds"),
    "drift.perp_if_fee": ("ShortageLiquidation",),
    "drift.perp_margin_and_pnl": ("SizeMargin",),
    "drift.repeg_cost": ("AuctionedBook.repeg_seconds", "VirtualAmm.repeg_seconds"),
    "drift.sanitized_twap_series": "its steps run one by one in AveragedOracle",
    "drift.scaled_initial_asset_weight": "collateral is money alone",
    "drift.socialized_loss_per_base": ("SocialisedLoss",),
    "drift.spot_if_fee": "collateral is money alone",
    "drift.trigger_price": ("OracleMarkWithTrigger",),
    "drift.trigger_price_clamp": ("OracleMarkWithTrigger",),
    "dydx.bankruptcy_quote_delta": ("PartialLiquidation", "FullLiquidation"),
    "dydx.can_deleverage": ("RandomDeleveraging", "RankedDeleveraging", "ProRataDeleveraging"),
    "dydx.deleverage": ("RandomDeleveraging", "RankedDeleveraging", "ProRataDeleveraging"),
    "dydx.fee_tier": ("TieredFees",),
    "dydx.fillable_price": ("PartialLiquidation",),
    "dydx.funding_clamp": ("PremiumVoteFunding",),
    "dydx.funding_index_delta": ("PremiumVoteFunding",),
    "dydx.funding_settlement": ("PremiumVoteFunding",),
    "dydx.funding_tick": ("PremiumVoteFunding",),
    "dydx.impact_price": ("PremiumVoteFunding",),
    "dydx.initial_collateralized": ANY_MARGIN,
    "dydx.initial_margin_requirement": ANY_MARGIN,
    "dydx.insurance_fund_can_cover": ("PartialLiquidation", "FullLiquidation"),
    "dydx.is_liquidatable": ANY_MARGIN,
    "dydx.is_towards_index": ("ProposerOracle",),
    "dydx.liquidatable_notional_bounds": ("PartialLiquidation",),
    "dydx.liquidation_insurance_delta": ("PartialLiquidation", "FullLiquidation"),
    "dydx.liquidation_order_priority": ("ProtocolEnforcement",),
    "dydx.liquidation_price": "only looked at: no rule needs it",
    "dydx.liquidation_size": ("PartialLiquidation",),
    "dydx.maintenance_collateralized": "its opposite, liquidatable, is what runs",
    "dydx.maintenance_margin_fraction": ANY_MARGIN,
    "dydx.margin_requirements": ANY_MARGIN,
    "dydx.max_allowed_price_delta": "bounds what validators accept; ProposerOracle applies the bound itself",
    "dydx.min_price_change": ("MedianOracle", "ProposerOracle"),
    "dydx.oi_scaled_imf": ("OpenInterestMargin",),
    "dydx.open_interest_delta": ("OpenInterestMargin",),
    "dydx.premium_sample": ("PremiumVoteFunding",),
    "dydx.premium_vote": ("PremiumVoteFunding",),
    "dydx.price_sqrt_condition": ("ProposerOracle",),
    "dydx.price_update_check": ("ProposerOracle",),
    "dydx.price_within_one_tick": ("ProposerOracle",),
    "dydx.remove_sample_tails": ("PremiumVoteFunding",),
    "dydx.risk_compare": "the collateral test compares risk inside `transition_result`",
    "dydx.subaccount_block_limit": ("PartialLiquidation",),
    "dydx.subaccount_liquidatable": ANY_MARGIN,
    "dydx.subaccount_risk": ANY_MARGIN,
    "dydx.undercollateralized_transition": ANY_MARGIN,
    "dydx.vault_quotes": "run by the strategy ResidentVaults",
    "dydx.withdrawal_baseline": ("WithdrawalGate",),
    "dydx.withdrawal_capacity": ("WithdrawalGate",),
    "gmx.adaptive_funding": ("AdaptiveSkewFunding",),
    "gmx.adaptive_funding_sign": "the sign of the rate, in words",
    "gmx.adl_enabled": ("PoolDeleveraging",),
    "gmx.apply_impact_factor": ("OraclePool",),
    "gmx.borrowing_fee": ("OraclePool",),
    "gmx.capped_pnl": ("OraclePool",),
    "gmx.impact_pool_distribution": ("OraclePool",),
    "gmx.impact_pool_step": ("OraclePool",),
    "gmx.is_liquidatable": ("OraclePool",),
    "gmx.pool_value": ("OraclePool",),
    "gmx.position_price_impact": ("OraclePool",),
    "gmx.static_funding": ("AdaptiveSkewFunding",),
    "hl.adl_rank": ("RankedDeleveraging",),
    "hl.funding_payment": ("ClampedPremiumFunding",),
    "hl.funding_rate": ("ClampedPremiumFunding",),
    "hl.liquidation_price": "only looked at: no rule needs it",
    "hl.mark_price": ("MedianMark",),
    "hl.tiered_maintenance_margin": ("TieredMargin",),
    "perp2.funding_payment": ("TwapPremiumFunding",),
    "perp2.liquidation": ("TakeoverLiquidation",),
    "perp2.mark_price": ("AveragesMedianMark",),
    "perp2.median_of_three": ("MedianMark", "AveragesMedianMark"),
    "slinky.stake_weighted_median": ("MedianOracle", "ProposerOracle"),
    "slinky.weighted_median": ("MedianOracle", "ProposerOracle"),
    "snx.account_margin": ANY_MARGIN,
    "snx.fill_price": ("SkewedPool",),
    "snx.keeper_reward": ("CostCoveringEnforcement",),
    "snx.liquidation_capacity": ("WindowedLiquidation",),
    "snx.required_margins": ("SkewMargin",),
    "snx.velocity_funding_series": ("VelocityFunding",),
    "snx.velocity_funding_step": ("VelocityFunding",),
    "vamm.amm_funding_pnl": ("TwapPremiumFunding",),
    "vamm.base_for_quote": "orders name coins: VirtualAmm runs the other direction",
    "vamm.fees": "fees of a venue are FlatFees or TieredFees",
    "vamm.funding_margin": ("TwapPremiumFunding",),
    "vamm.liquidation": ("VirtualAmm",),
    "vamm.margin_ratio": ("VirtualAmm",),
    "vamm.price_band_ok": ("VirtualAmm",),
    "vamm.quote_for_base": ("VirtualAmm",),
    "vamm.reserves_after_swaps": "orders name coins: VirtualAmm runs the other direction",
}


def with_fresh_tables(text: str) -> str:
    """The document with what stands between its marks written anew."""
    return MARK.sub(lambda match: f"{match[1]}\n{table()}\n{match[2]}", text)


def table() -> str:
    """One row for each mechanism."""
    published = Counter(row["mechanism"] for path in REFERENCE.glob("*.json") for row in json.loads(path.read_text(encoding="utf-8")))
    venues = {name: rules_of(make()) for name, make in sorted(abm.PRESETS.items())}
    files = formula_files()
    lines = [HEAD, ("---",) * len(HEAD)]
    for mechanism, wanted in sorted(RULES.items()):
        named, presets = f"– ({wanted})", ""
        if not isinstance(wanted, str):
            named = ", ".join(f"`{rule}` ({home(rule)})" for rule in dict.fromkeys(rule.split(".")[0] for rule in wanted))
            presets = ", ".join(name for name, rules in venues.items() if any(is_run(one, rule) for one in wanted for rule in rules))
        lines.append((f"`{mechanism}`", ", ".join(files[mechanism]), named, presets, str(published[mechanism])))
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def is_run(wanted: str, rule: Rule) -> bool:
    """Whether a rule of a venue is what an entry of RULES asks for."""
    name, _, condition = wanted.partition(".")
    field, _, value = condition.partition("=")
    if name not in {cls.__name__ for cls in type(rule).__mro__}:
        return False
    return not field or (str(getattr(rule, field)) == value if value else bool(getattr(rule, field)))


def home(rule: str) -> str:
    """File of a rule inside abm/mechanisms."""
    return Path(inspect.getfile(getattr(abm, rule))).name


def rules_of(venue: abm.Venue) -> list[Rule]:
    """All rules of a venue."""
    fields = [getattr(venue, field.name) for field in dataclasses.fields(venue)]
    return [item for field in fields for item in (field if isinstance(field, tuple) else (field,)) if isinstance(item, Rule)]


def formula_files() -> dict[str, list[str]]:
    """Mechanism -> files of abm/kernels whose functions its adapter calls; tables of a small venue stand for the margin formulas."""
    return {mechanism: sorted({f"{name.split('.')[0]}.py" for name in names}) for mechanism, names in formulas().items()}


def formulas() -> dict[str, set[str]]:
    """Mechanism -> `module.function` of abm.kernels that its adapter calls, straight or through the functions of its own folder."""
    sources = {path.stem: ast.parse(path.read_text(encoding="utf-8")) for path in REFERENCE.glob("*.py")}
    adapters = re.findall(r'"([\w.]+)": (\w+)\.(\w+),', (REFERENCE / "adapter.py").read_text(encoding="utf-8"))
    return {mechanism: set(called(sources, module, function, set())) for mechanism, module, function in adapters}


def called(sources: dict[str, ast.Module], module: str, function: str, seen: set[tuple[str, str]]) -> Iterator[str]:
    """`module.function` of every kernel function that a function of a module of tests/reference calls."""
    if (module, function) in seen:
        return
    seen.add((module, function))
    own = {node.name: node for node in sources[module].body if isinstance(node, ast.FunctionDef)}
    names = dict(imported(sources[module]))
    if function not in own:
        return
    for node in ast.walk(own[function]):
        target = ""
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            target = f"{names.get(node.value.id, '')}.{node.attr}"
        elif isinstance(node, ast.Name):
            target = names.get(node.id, "")
            if node.id in own:
                yield from called(sources, module, node.id, seen)
        if target.startswith("abm.kernels.") and target.count(".") == 3 and is_function(target):
            yield target.removeprefix("abm.kernels.")
        elif target.count(".") == 1 and target.split(".")[0] in sources:
            yield from called(sources, *target.split("."), seen)


def imported(source: ast.Module) -> Iterator[tuple[str, str]]:
    """(name in the module, where it comes from)."""
    for node in source.body:
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield alias.asname or alias.name, f"{node.module}.{alias.name}"


def is_function(dotted: str) -> bool:
    """Whether a dotted name of abm.kernels is something to call, and not a number or the form of a table."""
    module, name = dotted.rsplit(".", 1)
    return callable(getattr(importlib.import_module(module), name)) and name.islower()


def runs(name: str) -> bool:
    """Whether the package runs this function of `abm.kernels`: calls it, or what it is made of where it is there for tests alone."""
    module, function = name.split(".")
    package = Path(inspect.getfile(abm)).parent
    body = next(
        node
        for node in ast.parse((package / "kernels" / f"{module}.py").read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef) and node.name == function
    )
    parts = {node.func.id for node in ast.walk(body) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    return calls_of(function) > 0 or any(calls_of(part) > 1 for part in parts - {"min", "max", "abs", "float", "int"})


def calls_of(function: str) -> int:
    """How often the package calls a function."""
    package = Path(inspect.getfile(abm)).parent
    calls = re.compile(rf"(?<!def )\b{function}\(")
    return sum(len(calls.findall(path.read_text(encoding="utf-8"))) for path in package.rglob("*.py"))


if __name__ == "__main__":
    DOCUMENT.write_text(with_fresh_tables(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
