"""The commands `compare` and `sensitivity`: what a sweep says. Those that search, `threshold` and `worst`, lie in `abm.lab.search_cli`."""

from __future__ import annotations

from pathlib import Path

import click

from abm.lab.analysis_options import (
    RUNS,
    cluster_option,
    evaluating,
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
from abm.lab.search_cli import threshold, worst

_by = click.Choice(["variant", "cell", "point"])


@click.command(short_help="Compare variants or points of a sweep with a baseline.")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--baseline", default="", metavar="NAME", help="A variant, or a point as KEY=VALUE; that of the file unless given.")
@click.option("--outcomes", default="", metavar="NAMES", help="With commas, patterns such as basis_* too; those of the file unless given.")
@click.option("--by", type=_by, help="Variants with points together, variants at each point (cell), or points.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the tables; FOLDER/compare unless given.")
@quiet_option
def compare(folder: Path, baseline: str, outcomes: str, by: str | None, out: Path | None, quiet: bool) -> None:
    """Compare configurations of the sweep in FOLDER with a baseline, run by run in the same worlds."""
    one_thread()
    from abm.lab.comparison import compare as compared
    from abm.lab.comparison_table import FOLDER, write_comparison
    from abm.lab.sweep_store import open_sweep

    found = compared(open_sweep(folder), baseline, listed(outcomes) or None, by or "")  # type: ignore[arg-type]
    written = write_comparison(found, out or folder / FOLDER)
    if not quiet:
        from abm.lab.comparison_text import rendered

        show(rendered(found))
        click.echo(f"tables: {written[0]}")


@click.command(short_help="Find which factors an outcome depends on.")
@click.argument("source", type=click.Path(path_type=Path), metavar="FILE|FOLDER")
@click.option("--method", type=click.Choice(["sobol", "morris"]), default="morris", show_default=True, help="For a FILE.")
@click.option("--outcome", default="", metavar="NAME", help="The main one of the file unless given.")
@click.option("--samples", type=click.IntRange(min=2), help="Sobol: base samples, a power of two (64); Morris: walks (10).")
@click.option("--factors", default="", metavar="NAMES", help="Of the file, with commas; all unless given.")
@click.option("--design-seed", type=click.IntRange(min=0), default=1, show_default=True, help="Of the points.")
@variant_option
@replications_option
@overrides_option
@workers_option
@cluster_option
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the results; runs/NAME-METHOD unless given.")
@quiet_option
def sensitivity(
    source: Path,
    method: str,
    outcome: str,
    samples: int | None,
    factors: str,
    design_seed: int,
    variant: str,
    replications: int | None,
    overrides: tuple[str, ...],
    workers: int | None,
    cluster: str,
    out: Path | None,
    quiet: bool,
) -> None:
    """Find which factors an outcome depends on: by running a design over the ranges of the sweep FILE, or, for a FOLDER with the
    results of a drawn design, from what is there."""
    one_thread()
    from abm.lab.analysis_record import record_given_data, record_search
    from abm.lab.sensitivity import given_data_sensitivity
    from abm.lab.sensitivity import sensitivity as computed
    from abm.lab.sensitivity_store import write_sensitivity

    if source.is_dir():
        from abm.lab.sweep_store import open_sweep

        stored = open_sweep(source)
        found = given_data_sensitivity(stored, outcome, variant or None)
        folder = out or source / "sensitivity"
        written = write_sensitivity(found, folder)
        options = ["--outcome", found.outcome, *(["--variant", found.variant] if found.variant else [])]
        record_given_data(folder, stored, options)
    else:
        from abm.lab.evaluation import declared, described

        subject, main, seeds = searched(source, overrides, variant, outcome, replications)
        chosen = declared(subject, listed(factors))
        folder = out or RUNS / f"{subject.sweep.name}-{method}"
        with evaluating(subject, folder, main, workers, cluster, quiet) as evaluator:
            number = samples or (64 if method == "sobol" else 10)
            records = described(subject, chosen)
            found = computed(evaluator, chosen, method, number, seeds, design_seed=design_seed, records=records)  # type: ignore[arg-type]
        written = write_sensitivity(found, folder)
        options = ["--method", method, "--samples", str(number), "--design-seed", str(design_seed)]
        record_search(folder, "sensitivity", subject, chosen, main, seeds, options)
    if not quiet:
        from abm.lab.sensitivity_text import sensitivity_text

        show(sensitivity_text(found))
        click.echo(f"indices: {written}")
    report_on(folder, quiet)


COMMANDS: tuple[click.Command, ...] = (compare, sensitivity, threshold, worst)
