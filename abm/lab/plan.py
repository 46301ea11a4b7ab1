"""What a sweep will run: configurations, seeds, runs, parts, and what each is identified by. Nothing here runs anything."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from abm.kernels.compiled import PACKAGE, source_digest
from abm.lab.cells import Cell, resolve_cells, value_at
from abm.lab.config import Experiment
from abm.lab.design import expand, listed
from abm.lab.errors import InputError, nearest
from abm.lab.factors import Factor
from abm.lab.sweep import Sweep, Until, load_sweep, mentioned
from abm.lab.toml_text import value_text
from abm.parameters import Parameters
from abm.venue_pair import BESIDE

ACCOUNT_BLOCKS_PER_PART = 2e7  # a few seconds to a minute of work: what a crash costs, against what starting a part costs
MOST_RUNS_PER_PART = 50
WORTH_A_PART = 7e6  # account-blocks: half a second or more, beside which the tables and outcomes of a part cost little
FEW_PARTS, MANY_PARTS = 8, 64  # of a small sweep of small runs, of one of large runs: so that several workers have something to share
OWN_COLUMNS = ("run", "cell", "variant", "point", "seed", "replication", "identity", "status", "error", "blocks")


@dataclass(frozen=True)
class Run:
    """One configuration with one seed."""

    number: int
    cell: int
    replication: int
    seed: int
    identity: str


@dataclass(frozen=True)
class Part:
    """Consecutive runs: the unit of work and of storage."""

    number: int
    runs: tuple[Run, ...]


@dataclass(frozen=True)
class Round:
    """Replications of every configuration; a sweep with a fixed number of them has one round."""

    number: int
    first_replication: int
    replications: int
    first_run: int
    first_part: int


@dataclass(frozen=True)
class Plan:
    """Everything that a sweep will do, in order."""

    sweep: Sweep
    design: str
    factors: tuple[Factor, ...]
    cells: tuple[Cell, ...]
    seeds: tuple[int, ...]
    """As many as there can be replications."""
    runs_per_part: int
    code: str
    """Hash of the simulator's sources and of the user's own modules."""
    modules: tuple[Path, ...]
    """Files of the user's own rules, strategies and worlds."""

    @property
    def name(self) -> str:
        """Of the sweep."""
        return self.sweep.name

    @property
    def variants(self) -> tuple[str, ...]:
        """Names in order; one empty name where the file has none."""
        return tuple(self.sweep.variants)

    @property
    def points(self) -> int:
        """Combinations of factor values, the same for every variant."""
        return len(self.cells) // len(self.variants)

    @property
    def until(self) -> Until | None:
        """The condition that ends replication, if it is not their number."""
        wanted = self.sweep.table.replications
        return wanted if isinstance(wanted, Until) else None

    @property
    def rounds(self) -> tuple[Round, ...]:
        """All rounds that there can be; which one is the last is decided by `until`."""
        each = self.until.least if self.until else len(self.seeds)
        found: list[Round] = []
        run = part = 0
        for first in range(0, len(self.seeds), each):
            replications = min(each, len(self.seeds) - first)
            found.append(Round(len(found), first, replications, run, part))
            run += replications * len(self.cells)
            part += math.ceil(replications * len(self.cells) / self.runs_per_part)
        return tuple(found)

    @property
    def most_runs(self) -> int:
        """Runs, if every round is needed."""
        return len(self.cells) * len(self.seeds)

    @property
    def most_parts(self) -> int:
        """Parts, if every round is needed."""
        last = self.rounds[-1]
        return last.first_part + math.ceil(last.replications * len(self.cells) / self.runs_per_part)

    def parts(self, wanted: Round) -> Iterator[Part]:
        """The parts of a round, in order."""
        runs = wanted.replications * len(self.cells)
        for number, first in enumerate(range(0, runs, self.runs_per_part)):
            numbers = range(first, min(first + self.runs_per_part, runs))
            yield Part(wanted.first_part + number, tuple(self._run(wanted, k) for k in numbers))

    def _run(self, of: Round, number: int) -> Run:
        """Cell by cell, seeds fastest."""
        cell, replication = divmod(number, of.replications)
        replication += of.first_replication
        seed = self.seeds[replication]
        return Run(of.first_run + number, cell, replication, seed, run_identity(self.cells[cell].identity, seed, self.code))

    def experiment(self, cell: int, seed: int | None = None) -> Experiment:
        """The configuration of a cell, as the sweep runs it. Raises InputError for a cell that there is not."""
        if not 0 <= cell < len(self.cells):
            raise InputError(f"{self.sweep.source}: there is no cell {cell}; expected 0 to {len(self.cells) - 1}")
        return with_seed(self.cells[cell].experiment, self.seeds[0] if seed is None else seed)

    @property
    def asked(self) -> tuple[str, ...]:
        """Names of all outcomes that the file mentions: computed whether or not they always are."""
        table = self.sweep.table
        return mentioned(table.outcomes, [expected.outcome for expected in table.expectations], self.until)

    @property
    def symbols(self) -> tuple[str, ...]:
        """Markets of all configurations."""
        return tuple(dict.fromkeys(symbol for cell in self.cells for symbol in cell.experiment.symbols))

    @property
    def cohorts(self) -> tuple[str, ...]:
        """Groups of traders of all configurations."""
        return tuple(dict.fromkeys(name for cell in self.cells for name in cell.experiment.cohorts))

    @property
    def cohorts_beside(self) -> tuple[str, ...]:
        """Groups of traders on the venue beside, of all configurations that have one."""
        return tuple(dict.fromkeys(name for cell in self.cells for name in cell.experiment.cohorts_beside))

    @property
    def tables(self) -> tuple[str, ...]:
        """What is kept of each run: the tables that the file names, and those of the venue beside where there is one."""
        kept = self.sweep.table.tables
        return (*kept, *(f"{BESIDE}{name}" for name in kept)) if self.cohorts_beside else kept

    @functools.cached_property
    def identity(self) -> str:
        """Equal for plans that run the same, in the same order and parts; the code is no part of it."""
        until = self.until
        facts = [
            [cell.identity for cell in self.cells], self.seeds, until and [until.until, until.least], self.runs_per_part,
            self.tables, self.variants, [factor.name for factor in self.factors],
            [list(cell.values.values()) for cell in self.cells],
        ]  # fmt: skip
        return hashlib.blake2b(json.dumps(facts, separators=(",", ":")).encode(), digest_size=16).hexdigest()


def load_plan(path: str | Path, overrides: Sequence[str] = ()) -> Plan:
    """The plan of the sweep that a file describes. Raises InputError with a line for each problem."""
    return plan_of(load_sweep(path, overrides))


def plan_of(sweep: Sweep) -> Plan:
    """The plan of a sweep. Raises InputError with a line for each problem: what factors set does not exist or changes nothing, ..."""
    table = sweep.table
    design = table.design or "grid"
    try:
        if isinstance(table.points, tuple):
            factors, points = listed(table.points)
        else:
            factors = tuple(_whole(sweep, factor) for factor in sweep.factors)
            points = expand(design, factors, table.points or 0, table.design_seed)
    except InputError as error:
        raise InputError(*(f"{sweep.source}: {message}" for message in error.messages)) from error
    problems = [f"{sweep.source}: {line}" for line in (*_wrong_names(factors), *_wrong_expectations(sweep, factors))]
    try:
        cells = resolve_cells(sweep, design, factors, points)
    except InputError as error:
        raise InputError(*problems, *error.messages) from error
    seeds = _seeds(sweep)
    modules = own_modules(cells)
    plan = Plan(sweep, design, factors, cells, seeds, _runs_per_part(cells, _replications(sweep)), code_digest(modules), modules)
    problems += [f"{sweep.source}: {line}" for line in _wrong_outcomes(plan)]
    if problems:
        raise InputError(*problems)
    return plan


def run_identity(cell: str, seed: int, code: str) -> str:
    """32 hexadecimal digits: of resolved configuration, seed and code."""
    return hashlib.blake2b(f"{cell}/{seed}/{code}".encode(), digest_size=16).hexdigest()


def with_seed(experiment: Experiment, seed: int) -> Experiment:
    """The same configuration in another world; nothing is checked again."""
    return dataclasses.replace(experiment, run=dataclasses.replace(experiment.run, seed=seed))


def code_digest(modules: Sequence[Path]) -> str:
    """Hash of the simulator's sources and of the user's own modules."""
    if not modules:
        return simulator_digest()
    digest = hashlib.blake2b(simulator_digest().encode(), digest_size=8)
    for file in modules:
        digest.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()


@functools.cache
def simulator_digest() -> str:
    """Hash of the simulator's sources that this process has imported."""
    return source_digest(PACKAGE)


def own_modules(cells: Sequence[Cell]) -> tuple[Path, ...]:
    """Files of the modules that kinds are imported from by their path."""
    names = sorted({module for cell in cells for module in _modules(cell.experiment)})
    files = [getattr(sys.modules.get(name), "__file__", None) for name in names]
    return tuple(Path(file).resolve() for file in files if file)


def _modules(value: Any) -> Iterator[str]:
    """Modules outside this package that define a part of a configuration."""
    if isinstance(value, Parameters):
        module = type(value).__module__
        if module.partition(".")[0] != __name__.partition(".")[0]:
            yield module
        for field in dataclasses.fields(value):
            yield from _modules(getattr(value, field.name))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _modules(item)


def _whole(sweep: Sweep, factor: Factor) -> Factor:
    """A range over a field that holds whole numbers draws whole numbers."""
    found = value_at(sweep.base.plain(), factor.keys[0])
    return factor.whole() if factor.ranged and isinstance(found, int) and not isinstance(found, bool) else factor


def _replications(sweep: Sweep) -> int:
    """Of the first round."""
    wanted = sweep.table.replications
    return wanted.least if isinstance(wanted, Until) else wanted or len(sweep.table.seeds) or 1


def _seeds(sweep: Sweep) -> tuple[int, ...]:
    table = sweep.table
    if table.seeds:
        return table.seeds
    first = sweep.base.run.seed if table.first_seed is None else table.first_seed
    wanted = table.replications
    return tuple(range(first, first + (wanted.most if isinstance(wanted, Until) else wanted or 1)))


def _runs_per_part(cells: Sequence[Cell], replications: int) -> int:
    largest = max(account_blocks(cell.experiment) for cell in cells)
    runs = len(cells) * replications
    shared = max(math.ceil(runs / MANY_PARTS), min(math.ceil(runs / FEW_PARTS), math.floor(WORTH_A_PART / largest)))
    return max(1, min(shared, MOST_RUNS_PER_PART, math.floor(ACCOUNT_BLOCKS_PER_PART / largest)))


def account_blocks(experiment: Experiment) -> int:
    """Accounts times blocks: the size of a run."""
    markets = len(experiment.symbols)
    here = sum(group.accounts(markets) for group in experiment.groups)
    beside = experiment.beside
    there = sum(group.accounts(markets) for group in (*beside.groups, *beside.across, *beside.across)) if beside else 0
    return experiment.blocks * (here + there)


def _wrong_names(factors: Sequence[Factor]) -> list[str]:
    from abm.lab.outcomes import OUTCOMES, PAIR_OUTCOMES

    names = {*OWN_COLUMNS, *OUTCOMES, *PAIR_OUTCOMES}
    taken = [factor for factor in factors if factor.name in names or factor.name.partition(".")[0] in names - {*OWN_COLUMNS}]
    return [f"{factor.place}the results have a column of that name already; call the factor otherwise" for factor in taken]


def _wrong_expectations(sweep: Sweep, factors: Sequence[Factor]) -> list[str]:
    names = [factor.name for factor in factors]
    lines = []
    for number, expected in enumerate(sweep.table.expectations):
        place = f"sweep.expectations[{number}]"
        if expected.factor and expected.factor not in names:
            guess = nearest(expected.factor, names) or f"expected one of {', '.join(names) or 'none'}"
            lines.append(f"{place}.factor: {value_text(expected.factor)} is not varied; {guess}")
        if expected.variant and expected.variant not in sweep.variants:
            guess = nearest(expected.variant, sweep.variants) or f"expected one of {', '.join(sweep.variants)}"
            lines.append(f"{place}.variant: there is no variant {value_text(expected.variant)}; {guess}")
        if expected.variant and not sweep.table.baseline:
            lines.append(f"{place}.variant: is compared with the baseline, and sweep.baseline is missing")
    return lines


def _wrong_outcomes(plan: Plan) -> list[str]:
    from abm.lab.outcomes import find

    table, until = plan.sweep.table, plan.until
    asked = [(f"sweep.outcomes[{number}]", name) for number, name in enumerate(table.outcomes)]
    asked += [(f"sweep.expectations[{number}].outcome", expected.outcome) for number, expected in enumerate(table.expectations)]
    asked += [("sweep.replications.until", until.outcome)] if until else []
    lines = []
    for place, name in asked:
        try:
            outcome = find(name, plan.symbols, plan.cohorts, plan.cohorts_beside)
        except InputError as error:
            lines += [f"{place}: {message}" for message in error.messages]
            continue
        if not plan.cohorts_beside and any(kept.startswith(BESIDE) for kept in outcome.tables):
            lines.append(f"{place}: outcome {name!r} needs a second venue, and there is no table 'beside'")
            continue
        lines += [f"{place}: outcome {name!r} needs the table {kept!r}, which sweep.tables does not keep"
                  for kept in dict.fromkeys(each.removeprefix(BESIDE) for each in outcome.tables) if kept not in table.tables]  # fmt: skip
    if until and until.paired and not table.baseline:
        lines.append("sweep.replications.until: refers to the baseline, and sweep.baseline is missing")
    if until and until.paired and len(plan.variants) < 2:
        lines.append("sweep.replications.until: there is no variant to compare with the baseline")
    return lines
