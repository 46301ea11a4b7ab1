"""The sensitivity analyses that belong to a sweep: of its own points where they were drawn, and what `abm sensitivity` has left."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import suppress

from abm.lab.analysis_files import SENSITIVITY
from abm.lab.analysis_methods import methods_of
from abm.lab.analysis_tables import indices_section
from abm.lab.errors import InputError
from abm.lab.report_pages import paragraph
from abm.lab.sensitivity import Sensitivity, given_data_sensitivity
from abm.lab.sensitivity_store import read_sensitivity
from abm.lab.sweep_results import SweepResults
from abm.lab.sweep_words import outcome_words

FOLDER = "sensitivity"  # below that of the sweep
LEAST_POINTS = 20  # drawn; of fewer, every index is anything


def sensitivities(results: SweepResults) -> list[Sensitivity]:
    """Indices of the main outcome from drawn points, and those that lie in FOLDER/sensitivity if they are others."""
    found: list[Sensitivity] = []
    if results.drawn and results.runs["point"].n_unique() >= LEAST_POINTS and not results.idle(results.main):
        with suppress(InputError):  # the outcome never varies, or is hardly ever defined: other sections say so
            found.append(given_data_sensitivity(results.stored, results.main, results.baseline))
    folder = results.stored.folder / FOLDER
    if (folder / SENSITIVITY).is_file():
        with suppress(InputError):  # of another version; the sweep has its report all the same
            other = read_sensitivity(folder)
            if not any((each.method, each.outcome, each.variant) == (other.method, other.outcome, other.variant) for each in found):
                found.append(other)
    return [each for each in found if any(math.isfinite(index.indices[each.main].estimate) for index in each.factors)]


def sensitivity_methods(found: Sequence[Sensitivity]) -> list[tuple[str, str]]:
    """How indices and curves are made: (what, how), each said once."""
    return list(dict.fromkeys(entry for each in found for entry in methods_of({"sensitivity": each})[1:]))


def sensitivity_text(found: Sensitivity) -> str:
    """The table of an analysis in the report of a sweep."""
    variant = f", variant {found.variant}" if found.variant else ""
    return paragraph(f"Indices of {outcome_words(found.outcome)}{variant}:") + indices_section(found)
