"""Pins the run as it is now: `python -m tests.golden.refresh`, to be called when a change of the results is meant."""

from __future__ import annotations

import json
import sys

from tests.golden.pinned_run import PINNED, outcome

if __name__ == "__main__":
    before = json.loads(PINNED.read_text(encoding="utf-8")) if PINNED.exists() else {"numbers": {}}
    after = outcome()
    for name, value in after["numbers"].items():
        if before["numbers"].get(name) != value:
            sys.stdout.write(f"{name}: {before['numbers'].get(name)} -> {value}\n")
    PINNED.write_text(json.dumps(after, indent=2) + "\n", encoding="utf-8")
