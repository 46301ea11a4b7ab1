"""The two ways a function is compiled, and a compilation cache that cannot go stale.

`kernel`: called from Python, cached on disk.
`inline`: called from kernels only; it is copied into its caller and keeps no reference counts. Array arguments of an
ordinary compiled helper are counted atomically at every call, which makes an order book seven times slower. The two
private options that avoid it are named here and nowhere else; a test runs the same book with and without them.

Numba's own cache looks at the file of the function it compiles, not at the files of the functions that one calls, so an
edit to a helper would silently leave the old machine code in place. The cache folder is therefore named after a hash of
every source file that can end up in a kernel.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

import numba

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

kernel = numba.njit(cache=True, error_model="numpy")
inline = numba.njit(_nrt=False, forceinline=True, error_model="numpy")
