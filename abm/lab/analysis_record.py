"""Where the results of a sensitivity analysis or a search come from, and how to make them again.

provenance.json     for each analysis in the folder: what was asked, code, versions, machine class, time
KIND_file.toml      the file that was searched, one variant with all defaults: `abm KIND` takes it
rerun.sh            every analysis of the folder once more, into another folder
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from abm.lab.analysis_files import ANALYSES, read_json, write_json
from abm.lab.config import FACTORS, SWEEP, VARIANTS
from abm.lab.evaluation import Subject, batch_plan
from abm.lab.factors import Factor
from abm.lab.part_files import write_whole
from abm.lab.provenance import environment
from abm.lab.store import PROVENANCE
from abm.lab.sweep_store import PACKAGES, RERUN, StoredSweep, copy_own_modules
from abm.lab.toml_text import dump_toml


def file_of(kind: str) -> str:
    """What the searched file is called in the folder of results."""
    return f"{kind}_file.toml"


def record_search(
    folder: Path, kind: str, subject: Subject, factors: Sequence[Factor], outcome: str, seeds: Sequence[int], options: Sequence[str]
) -> None:
    """Writes where the results of `abm KIND` in `folder` come from. options: of the command, those whose defaults do not do.

    Raises InputError when it cannot be written.
    """
    base = subject.sweep.base
    table = {key: value for key, value in subject.contents.items() if value != ""}
    table[SWEEP] = {**subject.contents[SWEEP], "seeds": list(seeds), "outcomes": [outcome]}
    if factors:
        table[FACTORS] = {factor.name: factor.plain() for factor in factors}
    if subject.variant:
        table[VARIANTS] = {subject.variant: {}}
        table[SWEEP]["baseline"] = subject.variant
    plan = batch_plan(subject, [{}], seeds[:1], outcome)
    write_whole(folder / file_of(kind), dump_toml(table).encode())
    copy_own_modules(plan, folder)
    texts = {"name": subject.sweep.name, "title": base.title, "question": base.question, "description": base.description}
    about = {**texts, "variant": subject.variant, "seeds": list(seeds), "base": plan.cells[0].identity, "code": plan.code}
    _record(folder, kind, about, ["abm", kind, file_of(kind), *options])


def record_given_data(folder: Path, stored: StoredSweep, options: Sequence[str]) -> None:
    """The same, of indices that were computed from the results of a sweep."""
    plan = stored.plan
    texts = {"name": plan.name, "title": plan.title, "question": plan.question, "description": plan.description}
    source = os.path.relpath(stored.folder.resolve(), folder.resolve())
    about = {**texts, "seeds": plan.seeds, "base": plan.identity, "code": plan.code}
    _record(folder, "sensitivity", about, ["abm", "sensitivity", source, *options])


def _record(folder: Path, kind: str, about: Mapping[str, Any], command: Sequence[str]) -> None:
    described = {
        **about, "command": list(command), "environment": environment(PACKAGES),
        "written": datetime.now(UTC).isoformat(timespec="seconds"),
    }  # fmt: skip
    records = {**records_of(folder), kind: described}
    records = {name: record for name, record in records.items() if name == kind or (folder / ANALYSES[name]).is_file()}
    write_json(folder / PROVENANCE, {"analyses": records})
    write_whole(folder / RERUN, _script(records).encode())
    (folder / RERUN).chmod(0o755)


def records_of(folder: Path) -> dict[str, dict[str, Any]]:
    """What was recorded of each analysis in a folder, by kind; empty where nothing was."""
    if not (folder / PROVENANCE).is_file():
        return {}
    found = read_json(folder / PROVENANCE).get("analyses", {})
    return {kind: dict(found[kind]) for kind in ANALYSES if kind in found}


def command_text(record: Mapping[str, Any]) -> str:
    """The command that makes an analysis again, for a shell in its folder."""
    return f"{shlex.join(record['command'])} --out {shlex.quote('../' + str(record['name'] or 'analysis') + '-again')}"


def _script(records: Mapping[str, Mapping[str, Any]]) -> str:
    """Paths are those of this folder, wherever the script is called from; --out is where the caller says."""
    name = next(iter(records.values()))["name"] or "analysis"
    codes = ", ".join(dict.fromkeys(str(record["code"]) for record in records.values()))
    lines = [f'{shlex.join(record["command"])} --out "$out" "$@"' for record in records.values()]
    return (
        "#!/bin/sh\n"
        f"# Makes these results once more, with the code {codes}: sh rerun.sh [FOLDER] [options of the command]\n"
        "set -e\n"
        f"out=${{1:-{shlex.quote(name + '-again')}}}\n"
        "case $out in /*) ;; *) out=$PWD/$out ;; esac\n"
        "[ $# -eq 0 ] || shift\n"
        'cd "$(dirname "$0")"\n' + "\n".join(lines) + "\n"
    )
