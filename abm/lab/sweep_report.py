"""The report of a sweep: one HTML file with everything inside, which opens offline, on a phone and on paper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from abm.lab.expectations import judged
from abm.lab.plan_record import PLAN
from abm.lab.report_pages import Drawn, entries, environment_rows, page, paragraph, paragraphs, pictures, write_page
from abm.lab.report_tables import table
from abm.lab.sensitivity import Sensitivity
from abm.lab.sweep_effect_tables import cells_table, differences_table, effects_table, expectations_table, gains_table
from abm.lab.sweep_exercised import exercise, untested
from abm.lab.sweep_findings import headline
from abm.lab.sweep_methods import design_text, methods_texts, ran_text
from abm.lab.sweep_results import SweepResults, results_of
from abm.lab.sweep_sensitivity import sensitivities, sensitivity_methods, sensitivity_text
from abm.lab.sweep_store import SWEEP, open_sweep
from abm.lab.sweep_tables import (
    all_outcomes_table,
    definitions_table,
    exercise_by_cell_table,
    exercise_table,
    factors_table,
    failures_table,
    variants_table,
)
from abm.lab.wording import names

SECTIONS = {
    "design": "The design",
    "ran": "What ran",
    "tested": "What was put to the test",
    "expectations": "What was expected",
    "response": "Dose and response",
    "sensitivity": "Which factor matters",
    "phase": "Phase diagram",
    "differences": "Differences from the baseline",
    "gains": "Who gains and who pays",
    "examples": "Example runs",
    "methods": "Methods",
    "provenance": "Where this comes from",
}


def is_sweep(folder: str | Path) -> bool:
    """Whether `folder` holds the results of a sweep, rather than those of a single run."""
    return (Path(folder) / PLAN).is_file()


def write_report(folder: str | Path) -> Path:
    """Draws the figures of the sweep in `folder` and writes them and `report.html` there; returns the report's path.

    Each file is replaced whole, and figures that an earlier report had and this one has not are removed.

    Raises InputError when `folder` holds no sweep, or none of its runs has ended.
    """
    from abm.lab.figures.analysis import sensitivity_drawings
    from abm.lab.figures.sweep import drawings

    results = results_of(open_sweep(folder))
    analyses = sensitivities(results)
    extra = [
        drawing
        for number, found in enumerate(analyses, start=1)
        for drawing in sensitivity_drawings(found, f"sensitivity-{number}", f"-{number}")
    ]
    return write_page(results.stored.folder, [*drawings(results), *extra], lambda drawn: report_text(results, drawn, analyses))


def report_text(results: SweepResults, figures: list[Drawn], analyses: Sequence[Sensitivity] = ()) -> str:
    """The whole page. analyses: of sensitivity, which belong to the sweep."""
    plan = results.plan
    contents = _sections(results, figures, analyses)
    return page(plan.title or plan.name, plan.question, headline(results), _finding(plan.finding), contents, SECTIONS)


def _sections(results: SweepResults, figures: list[Drawn], analyses: Sequence[Sensitivity]) -> Mapping[str, str]:
    """Contents by section, in order; those without any are left out."""
    drawn = {section: pictures(figures, section) for section in SECTIONS}
    some = bool(results.runs.height)
    expected = judged(results) if some else []
    texts = {
        "design": paragraphs(results.plan.description) + paragraph(design_text(results)) + factors_table(results) + variants_table(results),
        "ran": paragraph(ran_text(results)) + failures_table(results),
        "tested": _tested(results) if some else "",
        "expectations": expectations_table(results, expected) if expected else "",
        "response": drawn["response"] + (_effects(results) + cells_table(results) if drawn["response"] else ""),
        "sensitivity": "".join(
            pictures(figures, f"sensitivity-{number}") + sensitivity_text(found) for number, found in enumerate(analyses, start=1)
        ),
        "phase": drawn["phase"],
        "differences": _differences(results, drawn) if some else "",
        "gains": drawn["gains"] + (gains_table(results) if drawn["gains"] else ""),
        "examples": drawn["examples"],
        "methods": _methods(results, analyses),
        "provenance": _provenance(results),
    }
    return {section: text for section, text in texts.items() if text}


def _tested(results: SweepResults) -> str:
    idle = list(untested(exercise(results)))
    text = "A rule that never acted has not been shown to be safe, only to be idle."
    if idle:
        text += f" Not tested in any run: {names(idle)}."
    return paragraph(text) + exercise_table(results) + exercise_by_cell_table(results)


def _effects(results: SweepResults) -> str:
    note = "Mean differences with 95 % intervals below them; bold where neither interval contains zero."
    return f'{effects_table(results)}<p class="note">{note}</p>'


def _differences(results: SweepResults, drawn: Mapping[str, str]) -> str:
    tables = differences_table(results)
    return drawn["differences"] + tables + (cells_table(results) if tables and not drawn["response"] else "")


def _methods(results: SweepResults, analyses: Sequence[Sensitivity]) -> str:
    texts = f"{entries([*methods_texts(results), *sensitivity_methods(analyses)])}<h3>Outcomes</h3>{definitions_table(results)}"
    return texts + (all_outcomes_table(results) if results.runs.height else "")


def _provenance(results: SweepResults) -> str:
    plan, described = results.plan, results.stored.provenance
    rows = [
        ("sweep", f"{plan.name}, identity {plan.identity}"),
        *environment_rows(described, plan.code),
        ("started", described["started"]),
        ("kept of each run", f"{', '.join(plan.tables)}; {plan.sweep['sweep']['every_seconds']:g} seconds between looks"),
    ]
    again = (
        f"The file <code>{SWEEP}</code> beside this report holds every setting, defaults included. The same file and code give the same "
        "tables, byte for byte, whatever the number of workers."
    )
    command = f"abm sweep {SWEEP} --out ../{plan.name or 'sweep'}-again"
    written = table((), ((escape(name), escape(text)) for name, text in rows), numbers_from=2)
    return (
        f"{written}<h3>Run it again</h3><p>{again} In this folder:</p><pre>{escape(command)}</pre>"
        "<p>The tables, the comparison and this report, once more from the runs that are there:</p>"
        "<pre>abm outcomes .\nabm compare .\nabm report .</pre>"
    )


def _finding(text: str) -> str:
    """What the file's author has found, told apart from what this report computes."""
    if not text.strip():
        return ""
    return f'<div class="author"><p class="note">Finding as the file states it</p>{paragraphs(text)}</div>'
