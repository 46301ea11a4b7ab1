"""The commands `threshold` and `worst`: where the answers of a sweep change, and where they are worst."""

from __future__ import annotations

from pathlib import Path

import click

from abm.lab.analysis_options import (
    RUNS,
    cluster_option,
    evaluating,
    file_argument,
    listed,
    one_thread,
    overrides_option,
    quiet_option,
    replications_option,
    report_on,
    searched,
    show,
    variant_option,
    workers_option,
)

FRESH_WORLDS = 10


@click.command(short_help="Find where along a factor something begins to happen.")
@file_argument
@click.option("--factor", required=True, metavar="KEY", help="A factor of the file, or with --between any number of the configuration.")
@click.option("--event", required=True, metavar="TEXT", help='Such as "bad_debt > 0".')
@click.option("--between", type=(float, float), metavar="LOW HIGH", help="Range; that of the factor in the file unless given.")
@click.option("--log", is_flag=True, help="Halve ratios rather than differences.")
@click.option("--probability", type=click.FloatRange(0, 1, min_open=True, max_open=True), default=0.5, show_default=True)
@click.option("--tolerance", type=click.FloatRange(0, 1, min_open=True, max_open=True), default=0.02, show_default=True,
              help="Where bisection ends, as a fraction of the range.")  # fmt: skip
@variant_option
@replications_option
@overrides_option
@workers_option
@cluster_option
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the results; runs/NAME-threshold unless given.")
@quiet_option
def threshold(
    file: Path,
    factor: str,
    event: str,
    between: tuple[float, float] | None,
    log: bool,
    probability: float,
    tolerance: float,
    variant: str,
    replications: int | None,
    overrides: tuple[str, ...],
    workers: int | None,
    cluster: str,
    out: Path | None,
    quiet: bool,
) -> None:
    """Find by bisection where along a factor of the sweep FILE the probability of an event crosses a level. Other factors are left
    as the file's base configuration has them."""
    one_thread()
    from abm.lab.evaluation import between as factor_between
    from abm.lab.evaluation import unit_of_factor
    from abm.lab.search import read_event, threshold_along

    wanted = read_event(event)
    subject, outcome, seeds = searched(file, overrides, variant, wanted.outcome, replications)
    along = factor_between(subject, factor, between, log)
    folder = out or RUNS / f"{subject.sweep.name}-threshold"
    with evaluating(subject, folder, outcome, workers, cluster, quiet) as evaluator:
        unit = unit_of_factor(subject, along)
        found = threshold_along(evaluator, along, wanted, seeds, probability=probability, tolerance=tolerance, unit=unit)
    from abm.lab.analysis_record import record_search
    from abm.lab.search_store import write_threshold
    from abm.lab.search_text import threshold_text

    written = write_threshold(found, folder)
    options = ["--factor", factor, "--event", event, "--probability", repr(probability), "--tolerance", repr(tolerance)]
    record_search(folder, "threshold", subject, [along], outcome, seeds, options)
    if not quiet:
        show(threshold_text(found))
        click.echo(f"threshold: {written}")
    report_on(folder, quiet)


@click.command(short_help="Find the configuration in which an outcome is worst.")
@file_argument
@click.option("--outcome", default="", metavar="NAME", help="To make as high as can be; the main one of the file unless given.")
@click.option("--lowest", is_flag=True, help="Make it as low as can be.")
@click.option("--evaluations", type=click.IntRange(min=1), default=64, show_default=True, help="Points to try, at most.")
@click.option("--optimiser", type=click.Choice(["evolution", "optuna"]), default="evolution", show_default=True)
@click.option("--factors", default="", metavar="NAMES", help="Of the file, with commas; all unless given.")
@click.option("--fresh", type=click.IntRange(min=2), default=FRESH_WORLDS, show_default=True, help="Worlds in which the winner is tried.")
@click.option("--search-seed", type=click.IntRange(min=0), default=1, show_default=True, help="Of the search.")
@variant_option
@replications_option
@overrides_option
@workers_option
@cluster_option
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the results; runs/NAME-worst unless given.")
@quiet_option
def worst(
    file: Path,
    outcome: str,
    lowest: bool,
    evaluations: int,
    optimiser: str,
    factors: str,
    fresh: int,
    search_seed: int,
    variant: str,
    replications: int | None,
    overrides: tuple[str, ...],
    workers: int | None,
    cluster: str,
    out: Path | None,
    quiet: bool,
) -> None:
    """Search the ranges of the factors of the sweep FILE for the configuration in which an outcome is highest, and try it in worlds
    that the search has not seen."""
    one_thread()
    from abm.lab.evaluation import declared
    from abm.lab.search import worst_within

    subject, main, seeds = searched(file, overrides, variant, outcome, replications)
    chosen = declared(subject, listed(factors))
    folder = out or RUNS / f"{subject.sweep.name}-worst"
    others = range(max(seeds) + 1, max(seeds) + 1 + fresh)
    with evaluating(subject, folder, main, workers, cluster, quiet) as evaluator:
        found = worst_within(
            evaluator,
            chosen,
            seeds,
            others,
            evaluations=evaluations,
            lowest=lowest,
            optimiser=optimiser,  # type: ignore[arg-type]
            seed=search_seed,
        )
    from abm.lab.analysis_record import record_search
    from abm.lab.search_store import write_worst
    from abm.lab.search_text import worst_text

    written = write_worst(found, evaluator, chosen, folder)
    options = ["--evaluations", str(evaluations), "--optimiser", optimiser, "--search-seed", str(search_seed), "--fresh", str(fresh)]
    record_search(folder, "worst", subject, chosen, main, seeds, [*options, *(["--lowest"] if lowest else [])])
    if not quiet:
        show(worst_text(found))
        click.echo(f"worst case: {written[-1]}; `abm run` runs it")
    report_on(folder, quiet)
