"""A plan for a reader: what will run, how it is combined, what it will cost."""

from __future__ import annotations

from collections.abc import Iterator

from abm.lab.design import WORDS
from abm.lab.pilot import Pilot
from abm.lab.plan import Plan
from abm.lab.wording import compact, duration, plural

LONGEST_LIST = 120  # of the values of a factor


def plan_lines(plan: Plan, pilot: Pilot | None, workers: int) -> Iterator[str]:
    """Lines for a terminal; without a pilot nothing is said about cost."""
    table, base = plan.sweep.table, plan.sweep.base
    yield f"{plan.name}: {base.title}" if base.title else plan.name
    if base.question:
        yield base.question
    yield ""
    yield f"{_cells(plan)}; {_seeds(plan)}; {_runs(plan)}"
    yield (
        f"design    {WORDS[plan.design]}"
        if plan.factors
        else "design    none: nothing is varied" + (" but the variant" if len(plan.variants) > 1 else "")
    )
    width = max((len(factor.name) for factor in plan.factors), default=0)
    for factor in plan.factors:
        words = factor.words()
        yield f"  {factor.name.ljust(width)}  {words if len(words) <= LONGEST_LIST else words[:LONGEST_LIST] + ' ...'}"
    if plan.variants != ("",):
        names = [f"{name} (baseline)" if name == table.baseline else name for name in plan.variants]
        yield f"variants  {', '.join(names)}"
    yield f"first     {plan.cells[0].words()}, seed {plan.seeds[0]}"
    if plan.most_runs > 1:
        yield f"last      {plan.cells[-1].words()}, seed {plan.seeds[-1]}"
    if table.outcomes:
        yield f"outcomes  {', '.join(table.outcomes)}"
    yield f"kept      {', '.join(table.tables)}; looks {duration(table.every_seconds)} apart"
    if pilot is not None:
        yield from _cost(plan, pilot, workers)


def _cells(plan: Plan) -> str:
    if len(plan.variants) > 1:
        return f"{plural(len(plan.variants), 'variant')} x {plural(plan.points, 'point')} = {plural(len(plan.cells), 'configuration')}"
    return plural(len(plan.cells), "configuration")


def _seeds(plan: Plan) -> str:
    first, last = plan.seeds[0], plan.seeds[-1]
    if len(plan.seeds) == 1:
        return f"1 seed ({first})"
    in_row = plan.seeds == tuple(range(first, last + 1))
    listed = f"{first} to {last}" if in_row else ", ".join(map(str, plan.seeds[:6])) + (" ..." if len(plan.seeds) > 6 else "")
    if plan.until:
        return f"{plan.until.least} to {plan.until.most} seeds ({listed}), until {plan.until.until}"
    return f"{len(plan.seeds)} seeds ({listed})"


def _runs(plan: Plan) -> str:
    if plan.until:
        return f"{plan.rounds[0].replications * len(plan.cells):,} to {plan.most_runs:,} runs"
    return f"{plural(plan.most_runs, 'run')} in {plural(plan.most_parts, 'part')}"


def _cost(plan: Plan, pilot: Pilot, workers: int) -> Iterator[str]:
    seconds = pilot.total_seconds(workers)
    most = "at most " if plan.until else "about "
    measured = "one run" if pilot.blocks == pilot.of_blocks else f"{pilot.blocks:,} of {pilot.of_blocks:,} blocks of one run"
    yield (
        f"cost      {most}{duration(seconds)} on {plural(workers, 'processor')} and {compact(pilot.total_bytes)}B on disk "
        f"({duration(pilot.seconds) if pilot.seconds >= 1 else f'{1000 * pilot.seconds:.0f} ms'} a run, measured on {measured})"
    )
    budget = plan.sweep.table.budget
    said, over = [], False
    if budget.runs is not None:
        said.append(plural(budget.runs, "run"))
        over |= plan.most_runs > budget.runs
    if budget.minutes is not None:
        said.append(duration(60.0 * budget.minutes))
        over |= seconds > 60.0 * budget.minutes
    if said:
        yield f"budget    {', '.join(said)}: {'EXCEEDED' if over else 'kept'}"
