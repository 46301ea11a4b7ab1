"""The ways a function is compiled, and a compilation cache that cannot go stale.

`kernel`: called from Python, cached on disk. `shared_kernel`: called from kernels too.
`inline`: called from kernels only; it is copied into its caller and keeps no reference counts. Array arguments of an
ordinary compiled helper are counted atomically at every call, which makes an order book seven times slower. The two
private options that avoid it are named here and nowhere else; a test runs the same book with and without them.

Numba's own cache looks at the file of the function it compiles, not at the files of the functions that one calls, so an
edit to a helper would silently leave the old machine code in place. The cache folder is therefore named after a hash of
every source file that can end up in a kernel.
"""

from __future__ import annotations

import functools
import hashlib
import os
import tempfile
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
import numpy as np

CHECKED_CALLS = bool(os.environ.get("ABM_CHECKED_CALLS"))  # tests: the types of every call are looked at, and must stay what they were
PACKAGE = Path(__file__).resolve().parent.parent


def source_digest(package: Path) -> str:
    """Hash of all simulator sources below `package` (the lab and the conformance checks are left out), and of Numba's version."""
    digest = hashlib.blake2b(numba.__version__.encode(), digest_size=8)
    for path in sorted(package.rglob("*.py")):
        relative = path.relative_to(package)
        if relative.parts[0] not in ("lab", "testing"):
            digest.update(relative.as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def cache_folder(package: Path) -> Path:
    """A writable folder for compiled code of exactly these sources; a temporary one where the user's cache is read-only."""
    chosen = os.environ.get("NUMBA_CACHE_DIR") or os.environ.get("XDG_CACHE_HOME")
    root = Path(chosen) if chosen else Path.home() / ".cache"
    folder = root / "abm-kernels" / source_digest(package)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError:
        return Path(tempfile.mkdtemp(prefix="abm-kernels-"))


numba.config.CACHE_DIR = str(cache_folder(PACKAGE))

inline = numba.njit(_nrt=False, forceinline=True, error_model="numpy")

shared_kernel = numba.njit(cache=True, error_model="numpy")


def kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """A compiled function that is called from Python.

    Numba looks at the type of every argument of every call, which takes longer than most kernels themselves. But a kernel that is called
    again for the same venue (the table that is its first argument) is called with the same types: scalars come from
    parameters, which hold the type that they declare, and tables from `abm.state`. So the types are looked at when a kernel meets a
    venue for the first time, and after that its machine code is called directly.
    """
    compiled = shared_kernel(function)
    if numba.config.DISABLE_JIT:
        return function
    met: Callable[[], Any] = object  # the table of the last call, as long as it lives: at first, none
    met_too: Callable[[], Any] = object  # of another venue that is run by turns with it
    code: Callable[..., Any] = compiled

    @functools.wraps(function)
    def call(*arguments: Any) -> Any:
        nonlocal met, met_too, code
        if met() is arguments[0] or met_too() is arguments[0]:
            return code(*arguments)
        result = compiled(*arguments)
        if isinstance(arguments[0], np.ndarray):
            found = machine_code(compiled, arguments)
            met_too = met if found is code else object
            met, code = weakref.ref(arguments[0]), found
        return result

    @functools.wraps(function)
    def checked_call(*arguments: Any) -> Any:
        nonlocal met, code
        result = compiled(*arguments)
        if met() is arguments[0]:
            if code is not machine_code(compiled, arguments):
                raise TypeError(f"{function.__name__}: called with other types than before for the same venue")
        elif isinstance(arguments[0], np.ndarray):
            met, code = weakref.ref(arguments[0]), machine_code(compiled, arguments)
        return result

    chosen = checked_call if CHECKED_CALLS else call
    chosen.compiled = compiled  # type: ignore[attr-defined]
    return chosen


def from_kernels(of_python: Callable[..., Any]) -> Callable[..., Any]:
    """A `kernel` as other kernels can call it: what is large is compiled once, whoever calls it."""
    compiled: Callable[..., Any] = getattr(of_python, "compiled", of_python)
    return compiled


def machine_code(compiled: Any, arguments: tuple[Any, ...]) -> Callable[..., Any]:
    """What Numba would call for arguments of these types, which it has been called with before."""
    overloads = compiled.overloads
    types = next(iter(overloads)) if len(overloads) == 1 else tuple(compiled.typeof_pyval(each) for each in arguments)
    code: Callable[..., Any] = overloads[types].entry_point
    return code
