"""From `import abm` to the first block, in a fresh process with compiled code in the cache: the experiment is read, the model is made."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from measuring import Figure, show

ROOT = Path(__file__).resolve().parent.parent
START = """
import time
start = time.perf_counter()
import abm
import abm.model
imported = time.perf_counter()
from abm.lab.config import load
model = load("experiments/flash_crash.toml").model()
made = time.perf_counter()
model.step()
print(imported - start, made - imported, time.perf_counter() - made)
"""


def start_once() -> tuple[float, ...]:
    """Seconds to import, to make the model, and for the first block."""
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    run = subprocess.run(
        [sys.executable, "-c", START], cwd=ROOT, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=True
    )
    return tuple(float(seconds) for seconds in run.stdout.split())


def measure(repeats: int = 5) -> list[Figure]:
    start_once()  # fills the cache of compiled code where it is cold
    imported, made, stepped = min((start_once() for _ in range(repeats)), key=sum)
    note = f"import {imported:.2f}, model {made:.2f}, block {stepped:.2f}"
    return [Figure("import to first block", imported + made + stepped, "s", 3.0, note=note)]


if __name__ == "__main__":
    show(measure())
