"""What a report says of runs whose outcomes are known: effects, headlines, expectations, and what was not tested."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from abm.lab.errors import InputError
from abm.lab.expectations import judge, judged
from abm.lab.statistics.mean import mean_t
from abm.lab.statistics.paired import paired_difference
from abm.lab.sweep_effects import curve, factor_effect, mean_of, variant_effect
from abm.lab.sweep_exercised import SIGNS, exercise, untested
from abm.lab.sweep_findings import headline, response_title, turning_point
from abm.lab.sweep_lines import lines_of
from abm.lab.sweep_methods import design_text, ran_text
from abm.lab.sweep_results import results_of
from abm.lab.sweep_store import open_sweep
from tests.lab.made_sweeps import made_folder, made_results

LAG, FUND = "venue.oracle.lag_blocks", "venue.insurance_fund"
GRID = f"""
[sweep]
design = "grid"
replications = 8
outcomes = ["bad_debt", "liquidated"]
[factors]
"{LAG}" = [0, 5, 20]
"{FUND}" = [1000.0, 5000.0]
"""
VARIANTS = """
[sweep]
replications = 8
baseline = "today"
outcomes = ["bad_debt", "liquidation_delay_median"]
[variants.today]
[variants.new.venue.funding]
kind = "NoFunding"
[variants.idle.venue]
insurance_fund = 2000.0
"""


def world(seed: int) -> float:
    """What a world alone does to bad debt: much more than any factor."""
    return float(np.random.default_rng(seed).gamma(2.0, 5_000.0))


def noise(seed: int, *where: float) -> float:
    return float(np.random.default_rng([seed, *(int(each) for each in where)]).normal(0.0, 10.0))


def plain(text: str) -> str:
    return text.replace("\u00a0", " ").replace("\u2212", "-")


def test_effect_of_a_factor_is_the_paired_difference_of_its_ends(tmp_path: Path) -> None:
    """Worlds differ by thousands, the lag adds 100 a block: only pairs can see it, and they must be averaged within their world."""

    def make(_: str, values: dict[str, float], seed: int) -> dict[str, float]:
        return {"bad_debt": world(seed) + 100.0 * values[LAG] + 0.01 * values[FUND] + noise(seed, values[LAG], values[FUND])}

    results = made_results(tmp_path, GRID, make)
    effect = factor_effect(results, LAG, "bad_debt")
    runs = results.runs
    ends = [[runs.filter((pl.col(LAG) == lag) & (pl.col("seed") == seed))["bad_debt"].mean() for seed in range(1, 9)] for lag in (0, 20)]
    expected = paired_difference(*ends, shares=())
    assert [effect.interval.low, effect.interval.high] == pytest.approx([expected.bootstrap.low, expected.bootstrap.high])
    assert effect.interval.estimate == pytest.approx(2_000.0, abs=15.0)
    assert effect.interval.half_width < 30.0
    assert (effect.pairs, effect.units, effect.left_out, effect.identical) == (16, 8, 0, 0)
    text = plain(headline(results))
    assert text.startswith(
        "Averaged over insurance fund, raising oracle lag from 0 to 20 blocks raises bad debt by 2.00 k USD (95 % interval +"
    )
    assert text.endswith("USD on average.")
    assert plain(response_title(results, FUND, "bad_debt")).startswith("Bad debt rises from ")
    assert results.dimensions[LAG].log is False


def test_no_effect_is_told_as_such_with_what_would_have_been_found(tmp_path: Path) -> None:
    results = made_results(tmp_path, GRID, lambda _, values, seed: {"bad_debt": 1_000.0 + noise(seed, values[LAG], values[FUND])})
    effect = factor_effect(results, LAG, "bad_debt")
    assert effect.sign == 0
    text = plain(headline(results))
    assert "has no demonstrable effect on bad debt" in text
    assert "would have been found" in text
    assert response_title(results, LAG, "bad_debt") == "No demonstrable effect of oracle lag on bad debt"


def test_of_few_worlds_the_t_interval_stands_alone(tmp_path: Path) -> None:
    few = GRID.replace("replications = 8", "replications = 4")
    results = made_results(
        tmp_path, few, lambda _, values, seed: {"bad_debt": world(seed) + 100.0 * values[LAG] + noise(seed, values[LAG])}
    )
    effect = factor_effect(results, LAG, "bad_debt")
    assert effect.interval.method == "t"
    assert effect.sign == 1


def test_zero_everywhere_is_not_an_answer(tmp_path: Path) -> None:
    results = made_results(tmp_path, GRID, lambda *_: {"bad_debt": 0.0, "liquidated": 0.0})
    assert headline(results).startswith("Not tested: bad debt was zero in all 48 runs.")
    assert response_title(results, LAG, "bad_debt") == "Not tested: bad debt was zero in all 48 runs"


def test_an_outcome_that_never_exists_is_not_an_answer(tmp_path: Path) -> None:
    asked = GRID.replace('"bad_debt", "liquidated"', '"liquidation_delay_median"')
    results = made_results(tmp_path, asked, lambda *_: {"liquidated": 0.0})
    assert plain(headline(results)) == "Not tested: median liquidation delay needs a liquidation, and there was none in any of 48 runs."


def test_a_value_that_never_changes_changes_in_no_pair(tmp_path: Path) -> None:
    results = made_results(tmp_path, GRID, lambda _, values, seed: {"bad_debt": world(seed) * (1.0 + 1e-15 * values[LAG])})
    assert factor_effect(results, LAG, "bad_debt").unchanged
    assert factor_effect(results, LAG, "bad_debt").sign == 0
    assert "changes bad debt in none of 16 pairs of runs" in plain(headline(results))


def test_variants_with_an_effect_are_told_one_by_one_and_the_idle_as_idle(tmp_path: Path) -> None:
    def make(variant: str, _: object, seed: int) -> dict[str, float | None]:
        debt = world(seed) * (0.8 if variant == "new" else 1.0)
        return {"bad_debt": debt, "liquidation_delay_median": None if seed == 3 else 10.0 + noise(seed)}

    results = made_results(tmp_path, VARIANTS, make)
    text = plain(headline(results))
    assert text.startswith("Against today, new lowers bad debt by ")
    assert text.endswith("idle changes bad debt in none of 8 pairs of runs.")
    effect = variant_effect(results, "new", "bad_debt")
    first = [world(seed) for seed in range(1, 9)]
    assert effect.first == pytest.approx(np.mean(first))
    assert effect.interval.estimate == pytest.approx(-0.2 * np.mean(first))
    assert effect.units == 8
    delay = variant_effect(results, "new", "liquidation_delay_median")
    assert (delay.pairs, delay.left_out, delay.unchanged) == (7, 1, True)


def test_many_variants_without_an_effect_are_told_together(tmp_path: Path) -> None:
    results = made_results(tmp_path, VARIANTS, lambda variant, _, seed: {"bad_debt": 1e4 + noise(seed, len(variant))})
    text = plain(headline(results))
    assert text.startswith("Against today, new and idle have no demonstrable effect on bad debt: at most ")
    assert text.count("95 % interval") == 1


def test_a_baseline_is_not_made_up_where_factors_ask_the_question(tmp_path: Path) -> None:
    swept = f'[factors]\n"{LAG}" = [0, 5]\n'
    sweep = VARIANTS.replace('baseline = "today"\n', "").replace("[variants.today]", f"{swept}[variants.today]")
    results = made_results(tmp_path, sweep, lambda _, values, seed: {"bad_debt": world(seed) + values[LAG]})
    assert results.others == ()
    assert results.comparison is None
    assert plain(headline(results)).startswith("Averaged over variants, raising oracle lag from 0 to 5 blocks raises bad debt by 5.00 USD")
    assert lines_of(results, LAG).values == ("today", "new", "idle")


def test_failed_and_missing_runs_are_counted_and_left_out(tmp_path: Path) -> None:
    def make(variant: str, _: object, seed: int) -> dict[str, float] | str | None:
        if variant == "new" and seed == 2:
            return "Traceback\nValueError: <no> price"
        return None if variant == "new" and seed == 8 else {"bad_debt": world(seed) + (5.0 if variant == "new" else 0.0)}

    results = made_results(tmp_path, VARIANTS, make)
    assert (results.ended, results.runs.height, results.failures.height) == (23, 22, 1)
    assert plain(ran_text(results)) == "22 runs ended well, 1 run failed; 1 of 24 have not been made yet, `abm sweep` makes them."
    assert "(2 other pairs cannot be compared)" in plain(headline(results))
    effect = variant_effect(results, "new", "bad_debt")
    assert (effect.pairs, effect.left_out) == (6, 2)
    assert effect.interval.estimate == pytest.approx(5.0)


def test_a_sweep_of_which_every_run_failed_has_no_answer(tmp_path: Path) -> None:
    results = made_results(tmp_path, GRID, lambda *_: "ValueError: no")
    assert plain(headline(results)) == "No answer: none of 48 runs ended well."


def test_a_sweep_of_which_no_run_has_ended_is_refused(tmp_path: Path) -> None:
    folder = made_folder(tmp_path, GRID, lambda *_: {"bad_debt": 0.0})
    (folder / "tables" / "runs" / "part-00000.parquet").unlink()
    with pytest.raises(InputError, match="no run has been finished yet"):
        results_of(open_sweep(folder))


def test_replications_alone_give_a_mean(tmp_path: Path) -> None:
    results = made_results(tmp_path, '[sweep]\nreplications = 8\noutcomes = ["bad_debt"]\n', lambda _, __, seed: {"bad_debt": world(seed)})
    expected = mean_t([world(seed) for seed in range(1, 9)])
    assert mean_of(results.runs, "bad_debt") == expected
    assert plain(headline(results)).startswith("Bad debt is on average ")
    assert plain(headline(results)).endswith("over 8 worlds.")


def test_one_world_gives_no_interval_but_its_points_do(tmp_path: Path) -> None:
    alone = '[sweep]\nreplications = 1\noutcomes = ["bad_debt"]\n'
    results = made_results(tmp_path / "alone", alone, lambda *_: {"bad_debt": 7.0})
    assert "too few worlds for an interval" in headline(results)
    grid = GRID.replace("replications = 8", "replications = 1")
    points = made_results(
        tmp_path / "grid", grid, lambda _, values, seed: {"bad_debt": values[LAG] + noise(seed, values[LAG], values[FUND])}
    )
    assert factor_effect(points, LAG, "bad_debt").units == 2


def test_drawn_points_lie_on_a_line_of_the_logarithm(tmp_path: Path) -> None:
    """A factor of ten in the fund takes 500 away, whatever the lag: from 100 to 100,000 nearly 1,500."""
    sweep = f"""
[sweep]
design = "latin_hypercube"
points = 40
replications = 4
outcomes = ["bad_debt"]
[factors]
"{FUND}" = {{ low = 100.0, high = 100000.0, scale = "log" }}
"{LAG}" = {{ low = 0, high = 30 }}
"""

    def make(_: str, values: dict[str, float], seed: int) -> dict[str, float]:
        return {"bad_debt": world(seed) - 500.0 * math.log10(values[FUND]) + 3.0 * values[LAG] + noise(seed, values[LAG])}

    results = made_results(tmp_path, sweep, make)
    fund = results.dimensions[FUND]
    assert fund.log
    assert fund.levels == ()
    effect = factor_effect(results, FUND, "bad_debt")
    tens = math.log10(fund.high / fund.low)
    assert effect.interval.estimate == pytest.approx(-500.0 * tens, abs=60.0)
    assert effect.sign == -1
    assert effect.units == 4
    assert "lowers bad debt by 1." in plain(headline(results))
    levels = curve(results.runs, fund, "bad_debt")
    assert len(levels) == 6
    assert [level.position for level in levels] == sorted(level.position for level in levels)
    assert sum(level.runs for level in levels) == 160


def test_levels_of_a_zip_are_compared_world_by_world(tmp_path: Path) -> None:
    sweep = GRID.replace('"grid"', '"zip"').replace("[1000.0, 5000.0]", "[1000.0, 3000.0, 5000.0]")
    results = made_results(tmp_path, sweep, lambda _, values, seed: {"bad_debt": world(seed) + values[LAG]})
    assert factor_effect(results, LAG, "bad_debt").interval.estimate == pytest.approx(20.0)
    assert plain(headline(results)).endswith("; insurance fund changes with it.")


def test_a_hump_is_told_as_a_hump(tmp_path: Path) -> None:
    results = made_results(
        tmp_path, GRID, lambda _, values, seed: {"bad_debt": world(seed) + (500.0 if values[LAG] == 5 else 0.0) + noise(seed, values[LAG])}
    )
    assert turning_point(results, LAG, "bad_debt") == ("largest", 5)
    assert response_title(results, LAG, "bad_debt") == "Bad debt is largest in between: at oracle lag 5"


def test_labels_that_read_as_numbers_are_numbers(tmp_path: Path) -> None:
    """Several keys set at once, called 5, 20 and 100: in the order of numbers, not of letters."""
    values = 'values = [[5, 1.0], [100, 3.0], [20, 2.0]], labels = ["5", "100", "20"]'
    factor = f'[factors]\nlag_and_fund = {{ sets = ["{LAG}", "{FUND}"], {values} }}\n'
    sweep = f'[sweep]\nreplications = 8\noutcomes = ["bad_debt"]\n{factor}'
    results = made_results(tmp_path, sweep, lambda _, values, seed: {"bad_debt": world(seed) + 2.0 * float(values["lag_and_fund"])})
    dimension = results.dimensions["lag_and_fund"]
    assert dimension.levels == ("5", "20", "100")
    assert dimension.ordered
    assert factor_effect(results, "lag_and_fund", "bad_debt").interval.estimate == pytest.approx(190.0)


def test_curve_averages_each_world_first(tmp_path: Path) -> None:
    results = made_results(tmp_path, GRID, lambda _, values, seed: {"bad_debt": world(seed) + values[FUND]})
    level = curve(results.runs, results.dimensions[LAG], "bad_debt")[1]
    assert (level.value, level.position, level.runs) == (5, 5.0, 16)
    assert level.mean == mean_t([world(seed) + 3_000.0 for seed in range(1, 9)])


def test_shares_of_runs_have_wilsons_interval(tmp_path: Path) -> None:
    asked = '[sweep]\nreplications = 8\noutcomes = ["insolvent"]\n'
    results = made_results(tmp_path, asked, lambda *_: {"bad_debt": 0.0})
    runs = results.runs.with_columns(pl.Series("insolvent", [1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]))
    assert mean_of(runs, "insolvent").method == "Wilson"
    assert mean_of(runs, "insolvent").estimate == 0.125


EXPECTED = f"""
[[sweep.expectations]]
outcome = "bad_debt"
factor = "{LAG}"
sign = "+"
[[sweep.expectations]]
outcome = "bad_debt"
factor = "{LAG}"
sign = "-"
[[sweep.expectations]]
outcome = "liquidated"
factor = "{LAG}"
sign = "+"
[[sweep.expectations]]
outcome = "mark_fall"
factor = "{LAG}"
sign = "+"
[[sweep.expectations]]
outcome = "volume"
factor = "{LAG}"
sign = "0"
[[sweep.expectations]]
outcome = "bad_debt"
factor = "{LAG}"
sign = "0"
[factors]"""


def test_expectations_are_judged_by_their_intervals(tmp_path: Path) -> None:
    def make(_: str, values: dict[str, float], seed: int) -> dict[str, float]:
        mild = noise(seed, values[LAG], values[FUND])
        return {"bad_debt": world(seed) + 100.0 * values[LAG] + mild, "liquidated": 1e5 + mild, "mark_fall": 0.0, "volume": 1e6}

    folder = made_folder(tmp_path, GRID.replace("[factors]", EXPECTED), make)
    verdicts = [each.verdict for each in judge(open_sweep(folder))]
    assert verdicts == ["held", "contradicted", "undecided", "not tested", "held", "contradicted"]


def test_expectation_about_a_variant_is_judged_against_the_baseline(tmp_path: Path) -> None:
    expected = '[[sweep.expectations]]\noutcome = "bad_debt"\nvariant = "new"\nsign = "-"\n[variants.today]'
    results = made_results(
        tmp_path,
        VARIANTS.replace("[variants.today]", expected),
        lambda variant, _, seed: {"bad_debt": world(seed) * (0.5 if variant == "new" else 1.0)},
    )
    assert [each.verdict for each in judged(results)] == ["held"]


def test_headline_follows_the_factor_of_the_first_expectation(tmp_path: Path) -> None:
    expected = f'[[sweep.expectations]]\noutcome = "bad_debt"\nfactor = "{FUND}"\nsign = "+"\n[factors]'
    results = made_results(tmp_path, GRID.replace("[factors]", expected), lambda _, values, seed: {"bad_debt": world(seed) + values[FUND]})
    assert "raising insurance fund from 1,000 to" in plain(headline(results))


def test_what_acted_is_counted_in_runs(tmp_path: Path) -> None:
    def make(_: str, values: dict[str, float], seed: int) -> dict[str, float | None]:
        return {
            "liquidated": 10.0 if values[LAG] == 20 else 0.0, "oracle_gap": 0.0005 if values[LAG] == 0 else 0.01,
            "keeper_delay_median": 0.0 if seed == 1 else None, "bad_debt": 0.0,
        }  # fmt: skip

    results = made_results(tmp_path, GRID, make)
    found = dict(zip((sign.mechanism for sign in SIGNS), exercise(results).acted, strict=True))
    assert found["liquidation"] == 16
    assert found["oracle lag"] == 32
    assert found["keepers liquidate"] == 6
    assert found["bad debt at the end"] == 0
    assert "bad debt at the end" in untested(exercise(results))
    assert "liquidation" not in untested(exercise(results))


def test_what_no_kept_table_tells_is_unknown_rather_than_untested(tmp_path: Path) -> None:
    kept = GRID.replace("[factors]", 'tables = ["markets", "venue", "cohorts"]\n[factors]').replace(', "liquidated"', "")
    results = made_results(tmp_path, kept, lambda *_: {"bad_debt": 1.0})
    found = dict(zip((sign.mechanism for sign in SIGNS), exercise(results).acted, strict=True))
    assert found["liquidation"] is None
    assert "liquidation" not in untested(exercise(results))


def test_design_is_told_in_words(tmp_path: Path) -> None:
    results = made_results(tmp_path, GRID, lambda *_: {"bad_debt": 0.0})
    assert plain(design_text(results)).startswith("6 configurations, each in the same 8 worlds (seeds 1 to 8): 48 runs.")
    assert "every value with every other" in design_text(results)
