"""Where a run comes from: settings, versions, code, machine class and time. The only file of a run that holds a clock reading."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from abm.kernels.compiled import PACKAGE, source_digest
from abm.lab.config import Experiment, digest, resolved
from abm.lab.methods import described

DISTRIBUTION = "perp-abm"  # what this package is called in a package index
PACKAGES = ("numpy", "numba", "mesa", "polars", "networkx")
MADE_BY = "abm"


def provenance(experiment: Experiment, started: datetime, seconds: float) -> dict[str, Any]:
    """Everything needed to know what was run. started: UTC. seconds: wall-clock time of the simulation.

    `identity` is the hash of the settings, seed included; `code` the hash of the simulator's sources, with the git commit where
    there is one. No host, user or path is recorded.
    """
    return {
        "made_by": MADE_BY,
        "identity": digest(experiment),
        "seed": experiment.run.seed,
        **environment(),
        "started": started.astimezone(UTC).isoformat(timespec="seconds"),
        "simulation_seconds": round(seconds, 3),
        "blocks_per_second": round(experiment.blocks / seconds, 1) if seconds > 0 else None,
        "experiment": resolved(experiment),
        "methods": described(experiment),
    }


def environment(packages: Sequence[str] = PACKAGES) -> dict[str, Any]:
    """Code, versions of `packages`, and class of the machine."""
    return {
        "code": {"sources": source_digest(PACKAGE), **_commit(PACKAGE)},
        "versions": {
            "python": platform.python_version(),
            "abm": _version(DISTRIBUTION),
            **{name: _version(name) for name in packages},
        },
        "platform": {
            "system": platform.system(),
            "machine": platform.machine(),
            "python": platform.python_implementation(),
            "processors": os.cpu_count(),
        },
    }


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:  # run from a source tree
        return None


def _commit(package: Path) -> dict[str, Any]:
    """Commit of the checkout that the package lies in, and whether its files differ from it; empty when there is none."""

    def git(*arguments: str) -> str:
        result = subprocess.run(["git", "-C", str(package), *arguments], capture_output=True, text=True, timeout=10, check=True)
        return result.stdout.strip()

    try:
        git("ls-files", "--error-unmatch", "__init__.py")  # another project's checkout may surround an installed package
        return {"commit": git("rev-parse", "HEAD"), "changed": bool(git("status", "--porcelain", "--", "."))}
    except (OSError, subprocess.SubprocessError):
        return {}
