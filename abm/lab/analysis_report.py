"""The report of a sensitivity analysis, a threshold or a worst case: one HTML file with everything inside, like that of a sweep."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from html import escape
from pathlib import Path
from typing import Any

from abm.lab.analysis_files import ANALYSES
from abm.lab.analysis_methods import methods_of
from abm.lab.analysis_record import command_text, records_of
from abm.lab.analysis_tables import indices_section, tried_table, winner_table, worlds_table, worst_points_table
from abm.lab.analysis_words import design_of, event_words, sensitivity_finding, threshold_finding, value_text, worst_finding
from abm.lab.errors import InputError
from abm.lab.outcome_columns import unit_of
from abm.lab.outcomes import find
from abm.lab.report_pages import Drawn, entries, environment_rows, page, paragraph, paragraphs, pictures, write_page
from abm.lab.report_tables import table
from abm.lab.search import FoundThreshold
from abm.lab.search_store import StoredWorst, read_threshold, read_worst
from abm.lab.sensitivity import Sensitivity
from abm.lab.sensitivity_store import read_sensitivity
from abm.lab.sweep_words import factor_words, outcome_words, sentence
from abm.lab.wording import percent, plural

Found = Sensitivity | FoundThreshold | StoredWorst
SECTIONS = {
    "design": "What was done",
    "sensitivity": "Which factor matters",
    "threshold": "Where it begins",
    "worst": "The worst case",
    "left-out": "What failed or was undefined",
    "methods": "Methods",
    "provenance": "Where this comes from",
}
READ: dict[str, Callable[[Path], Found]] = {"sensitivity": read_sensitivity, "threshold": read_threshold, "worst": read_worst}
TITLES = {"sensitivity": "Which factors matter", "threshold": "Where it begins", "worst": "The worst case"}


def is_analysis(folder: str | Path) -> bool:
    """Whether `folder` holds the results of `abm sensitivity`, `abm threshold` or `abm worst`."""
    return any((Path(folder) / name).is_file() for name in ANALYSES.values())


def analyses_of(folder: Path) -> dict[str, Found]:
    """All that a folder holds, by kind. Raises InputError when it holds none, or files of another version."""
    found = {kind: READ[kind](folder) for kind, name in ANALYSES.items() if (folder / name).is_file()}
    if not found:
        raise InputError(f"{folder}: holds no analysis, expected {', '.join(ANALYSES.values())}")
    return found


def write_report(folder: str | Path) -> Path:
    """Draws the figures of the analyses in `folder` and writes them and `report.html` there; returns the report's path.

    Each file is replaced whole. Raises InputError as `analyses_of` does.
    """
    from abm.lab.figures.analysis import search_drawings, sensitivity_drawings

    target = Path(folder)
    found = analyses_of(target)
    drawings = [
        drawing
        for each in found.values()
        for drawing in (sensitivity_drawings(each) if isinstance(each, Sensitivity) else search_drawings(each))
    ]
    records = records_of(target)
    return write_page(target, drawings, lambda drawn: report_text(found, records, drawn))


def report_text(found: Mapping[str, Found], records: Mapping[str, Mapping[str, Any]], figures: list[Drawn]) -> str:
    """The whole page."""
    about = next(iter(records.values()), {})
    name = next(iter(found.values())).sweep
    title = f"{TITLES[next(iter(found))] if len(found) == 1 else 'Analyses'}: {about.get('title') or name}"
    texts = {
        "design": paragraphs(about.get("description", "")) + "".join(paragraph(_design(each)) for each in found.values()),
        **{kind: pictures(figures, kind) + _tables(each) for kind, each in found.items()},
        "left-out": "".join(paragraph(_left_out(each)) for each in found.values()),
        "methods": entries(methods_of(found)) + _outcomes(found),
        "provenance": _provenance(records),
    }
    sections = {key: texts[key] for key in SECTIONS if texts.get(key)}
    return page(title, about.get("question", ""), " ".join(map(finding_of, found.values())), "", sections, SECTIONS)


def finding_of(found: Found) -> str:
    """What an analysis has found, in a sentence with its interval."""
    if isinstance(found, Sensitivity):
        return sensitivity_finding(found)
    if isinstance(found, FoundThreshold):
        return threshold_finding(found, _words_along(found), unit_of(found.event.outcome))
    return worst_finding(found)


def _words_along(found: FoundThreshold) -> str:
    return factor_words({"name": found.factor.name, "unit": found.unit})


def _design(found: Found) -> str:
    variant = f", variant {found.variant}" if found.variant else ""
    if isinstance(found, Sensitivity):
        over = f"over the ranges of {plural(len(found.factors), 'factor')}{variant}"
        return f"{sentence(design_of(found))}: {outcome_words(found.outcome)} {over}."
    worlds, runs = plural(found.replications, "world"), plural(found.runs, "run")
    if isinstance(found, FoundThreshold):
        factor, event = found.factor, event_words(found.event, unit_of(found.event.outcome))
        ends = f"{value_text(factor.low, '')} to {value_text(factor.high, found.unit)}"
        halves = "ratios are halved" if factor.log else "differences are halved"
        return (
            f"Bisection along `{factor.name}` from {ends} ({halves}) for the value at which {event} becomes as likely as "
            f"{percent(found.threshold.target)}; everything else as the file has it{variant}. "
            f"{plural(len(found.threshold.evaluations), 'value')}, each in the same {worlds}: {runs}."
        )
    kind, number = ("highest" if found.sign > 0 else "lowest"), plural(len(found.records), "factor")
    return (
        f"A search for the {kind} mean of {outcome_words(found.outcome)} over the ranges of {number}{variant}: "
        f"{plural(found.tried.height, 'point')} in {worlds} each, and the winner and the file itself in "
        f"{plural(len(found.fresh_seeds), 'fresh world')}: {runs}. A search picks what chance has helped, so only the fresh worlds "
        "say how bad it is."
    )


def _tables(found: Found) -> str:
    if isinstance(found, Sensitivity):
        return indices_section(found)
    if isinstance(found, FoundThreshold):
        note = "" if found.threshold.consistent else "The share goes up and down along the range, so there is more than one threshold."
        return paragraph(note) + tried_table(found, _words_along(found))
    return (
        f"{winner_table(found)}{worlds_table(found)}<p>The file <code>worst.toml</code> beside this report is the worst case as an "
        f"experiment; <code>abm run worst.toml</code> shows how it comes about.</p><h3>The worst points</h3>{worst_points_table(found)}"
    )


def _left_out(found: Found) -> str:
    if isinstance(found, Sensitivity):
        return ""  # stands below its table, where it is said of what
    if isinstance(found, FoundThreshold):
        if not (found.failed or found.undefined):
            return f"All {plural(found.runs, 'run')} of the search for the threshold ended well, with the outcome in each."
        told = f"{plural(found.undefined, 'run')} without the outcome and {plural(found.failed, 'failed run')}"
        return f"{told} of {plural(found.runs, 'run')} count as runs in which it did not happen."
    undefined = found.tried[found.outcome].null_count()
    if not (found.failed or undefined):
        return f"All {plural(found.runs, 'run')} of the search for the worst case ended well, with the outcome at every point."
    return (
        f"{plural(found.failed, 'run')} failed, and at {plural(undefined, 'point')} of the search the outcome was undefined in every world."
    )


def _outcomes(found: Mapping[str, Found]) -> str:
    """Unit and meaning of every outcome that was looked at."""
    names = dict.fromkeys(each.event.outcome if isinstance(each, FoundThreshold) else each.outcome for each in found.values())
    rows = []
    for name in names:
        outcome = find(name)
        rows.append([f"{escape(outcome_words(name))}<br><code>{escape(name)}</code>", escape(outcome.unit), escape(outcome.meaning)])
    return f"<h3>Outcomes</h3>{table(('outcome', 'unit', 'definition'), rows, numbers_from=9)}"


def _provenance(records: Mapping[str, Mapping[str, Any]]) -> str:
    if not records:
        return paragraph("Nothing was recorded of where these results come from: they were not made by a command.")
    texts = []
    for kind, record in records.items():
        seeds = record["seeds"]
        rows = [
            ("analysis", f"{kind} of {record['name']}{', variant ' + record['variant'] if record.get('variant') else ''}"),
            ("configuration", f"identity {record['base']}"),
            ("seeds", f"{seeds[0]} to {seeds[-1]}, {plural(len(seeds), 'world')}" if len(seeds) > 1 else str(seeds[0])),
            *environment_rows(record["environment"], record["code"]),
            ("written", record["written"]),
        ]
        texts.append(table((), ((escape(name), escape(text)) for name, text in rows), numbers_from=2))
    again = (
        "The files that were searched lie beside this report, with every setting, defaults included. The same file and code give the same "
        "results, byte for byte, whatever the number of workers. In this folder:"
    )
    commands = "\n".join(map(command_text, records.values()))
    return (
        f"{''.join(texts)}<h3>Run it again</h3>{paragraph(again)}<pre>{escape(commands)}</pre>"
        f"<p>Figures and this report, once more from the files that are there:</p><pre>{escape(shlex.join(['abm', 'report', '.']))}</pre>"
    )
