"""The report of a sweep: one HTML file with everything inside, which opens offline, on a phone and on paper."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template

from abm.lab.expectations import judged
from abm.lab.plan_record import PLAN
from abm.lab.report_tables import table
from abm.lab.store import FIGURES, REPORT
from abm.lab.sweep_effect_tables import cells_table, differences_table, effects_table, expectations_table, gains_table
from abm.lab.sweep_exercised import exercise, untested
from abm.lab.sweep_findings import headline
from abm.lab.sweep_methods import design_text, methods_texts, ran_text
from abm.lab.sweep_results import SweepResults, results_of
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
    "phase": "Phase diagram",
    "differences": "Differences from the baseline",
    "gains": "Who gains and who pays",
    "examples": "Example runs",
    "methods": "Methods",
    "provenance": "Where this comes from",
}


@dataclass(frozen=True)
class Drawn:
    """A figure that has been written: its title and caption, and its files."""

    name: str
    section: str
    title: str
    caption: str
    vector: Path
    pixels: Path


def is_sweep(folder: str | Path) -> bool:
    """Whether `folder` holds the results of a sweep, rather than those of a single run."""
    return (Path(folder) / PLAN).is_file()


def write_report(folder: str | Path) -> Path:
    """Draws the figures of the sweep in `folder` and writes them and `report.html` there; returns the report's path.

    Each file is replaced whole, and figures that an earlier report had and this one has not are removed.

    Raises InputError when `folder` holds no sweep, or none of its runs has ended.
    """
    results = results_of(open_sweep(folder))
    target = results.stored.folder
    with tempfile.TemporaryDirectory(prefix=".report.", dir=target) as partial:
        drawn = draw(results, Path(partial))
        (Path(partial) / REPORT).write_text(report_text(results, drawn), encoding="utf-8")
        (target / FIGURES).mkdir(exist_ok=True)
        written = {path.name for each in drawn for path in (each.vector, each.pixels)}
        for path in sorted((target / FIGURES).iterdir()):
            if path.suffix in (".svg", ".png") and path.name not in written:
                path.unlink()
        for each in drawn:
            for path in (each.vector, each.pixels):
                os.replace(path, target / FIGURES / path.name)
        os.replace(Path(partial) / REPORT, target / REPORT)
    return target / REPORT


def draw(results: SweepResults, folder: Path) -> list[Drawn]:
    """Writes every figure that the sweep calls for as SVG and PNG into `folder`."""
    from abm.lab.figures.style import arrange, save
    from abm.lab.figures.sweep import drawings

    found = []
    for drawing in drawings(results):
        figure = drawing.draw()
        arrange(figure)
        vector, pixels = (folder / f"{drawing.name}.{suffix}" for suffix in ("svg", "png"))
        save(figure, vector)
        save(figure, pixels)
        found.append(Drawn(drawing.name, drawing.section, " ".join(figure.get_suptitle().split()), drawing.caption, vector, pixels))
    return found


def report_text(results: SweepResults, figures: list[Drawn]) -> str:
    """The whole page."""
    plan = results.plan
    contents = _sections(results, figures)
    page = Template(files("abm.lab").joinpath("sweep_report.html").read_text(encoding="utf-8"))
    return page.substitute(
        style=files("abm.lab").joinpath("report.css").read_text(encoding="utf-8"),
        title=escape(plan.title or plan.name),
        question=_paragraph(plan.question, "question"),
        headline=escape(headline(results)),
        finding=_finding(plan.finding),
        contents="".join(f'<a href="#{key}">{escape(SECTIONS[key])}</a>' for key in contents),
        sections="".join(f'\n<h2 id="{key}">{escape(SECTIONS[key])}</h2>\n{text}\n' for key, text in contents.items()),
    )


def _sections(results: SweepResults, figures: list[Drawn]) -> Mapping[str, str]:
    """Contents by section, in order; those without any are left out."""
    from abm.lab.report import figure_element

    pictures = {
        section: "".join(
            f'<p class="narrow">{escape(each.title)}</p>'
            + figure_element(each.name, each.title, each.caption if number == 0 else "", each.vector, each.pixels)
            for number, each in enumerate([each for each in figures if each.section == section])
        )
        for section in SECTIONS
    }
    some = bool(results.runs.height)
    expected = judged(results) if some else []
    texts = {
        "design": _paragraphs(results.plan.description)
        + _paragraph(design_text(results))
        + factors_table(results)
        + variants_table(results),
        "ran": _paragraph(ran_text(results)) + failures_table(results),
        "tested": _tested(results) if some else "",
        "expectations": expectations_table(results, expected) if expected else "",
        "response": pictures["response"] + (_effects(results) + cells_table(results) if pictures["response"] else ""),
        "phase": pictures["phase"],
        "differences": _differences(results, pictures) if some else "",
        "gains": pictures["gains"] + (gains_table(results) if pictures["gains"] else ""),
        "examples": pictures["examples"],
        "methods": _methods(results),
        "provenance": _provenance(results),
    }
    return {section: text for section, text in texts.items() if text}


def _tested(results: SweepResults) -> str:
    idle = list(untested(exercise(results)))
    text = "A rule that never acted has not been shown to be safe, only to be idle."
    if idle:
        text += f" Not tested in any run: {names(idle)}."
    return _paragraph(text) + exercise_table(results) + exercise_by_cell_table(results)


def _effects(results: SweepResults) -> str:
    note = "Mean differences with 95 % intervals below them; bold where neither interval contains zero."
    return f'{effects_table(results)}<p class="note">{note}</p>'


def _differences(results: SweepResults, pictures: Mapping[str, str]) -> str:
    tables = differences_table(results)
    return pictures["differences"] + tables + (cells_table(results) if tables and not pictures["response"] else "")


def _methods(results: SweepResults) -> str:
    entries = "".join(f"<p><b>{escape(what)}.</b> {escape(how)}</p>" for what, how in methods_texts(results))
    texts = f"{entries}<h3>Outcomes</h3>{definitions_table(results)}"
    return texts + (all_outcomes_table(results) if results.runs.height else "")


def _provenance(results: SweepResults) -> str:
    plan, described = results.plan, results.stored.provenance
    code, machine = described["code"], described["platform"]
    commit = f", commit {code['commit'][:12]}{' with changes' if code['changed'] else ''}" if "commit" in code else ""
    versions = ", ".join(f"{name} {version}" for name, version in described["versions"].items() if version)
    rows = [
        ("sweep", f"{plan.name}, identity {plan.identity}"),
        ("code", f"sources {plan.code}{commit}"),
        ("versions", versions),
        ("machine", f"{machine['system']} {machine['machine']}, {machine['python']}, {machine['processors']} processors"),
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
    return f'<div class="author"><p class="note">Finding as the file states it</p>{_paragraphs(text)}</div>'


def _paragraphs(text: str) -> str:
    """A longer text, divided at its empty lines."""
    return "".join(_paragraph(part) for part in re.split(r"\n\s*\n", text))


def _paragraph(text: str, style: str = "") -> str:
    if not text.strip():
        return ""
    words = re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(" ".join(text.split())))
    return f"<p{f' class={style}' if style else ''}>{words}</p>"
