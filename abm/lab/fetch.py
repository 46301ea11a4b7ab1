"""Public one-minute klines, downloaded day by day from an archive in the common layout and verified by checksum.

A day of one symbol is ``{base}/data/spot/daily/klines/{SYMBOL}/1m/{SYMBOL}-1m-YYYY-MM-DD.zip`` (``futures/um`` in place
of ``spot`` for USD-margined futures), with the SHA-256 beside it under the same name and ``.CHECKSUM``.
Source: README of ``binance/binance-public-data``.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import os
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from abm.lab.bars import Moment, time_range
from abm.lab.errors import InputError, nearest

PUBLIC_ARCHIVE = "https://data.binance.vision"
MARKETS = {"spot": "spot", "um": "futures/um"}
INTERVALS = ("1s", "1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d")

_CHUNK = 1 << 16
_WORTH_RETRYING = frozenset({408, 425, 429, 500, 502, 503, 504})


@dataclass(frozen=True)
class Progress:
    """One file has been dealt with: number `done` of `total`."""

    done: int
    total: int
    file: Path
    downloaded: bool
    """False when a good copy was there already."""


@dataclass(frozen=True)
class Fetched:
    """The files of a request, in the order of symbols and days."""

    files: tuple[Path, ...]
    downloaded: int
    """Files that came over the network now; the others were good already."""
    downloaded_bytes: int


def fetch_klines(
    symbols: Sequence[str],
    start: Moment,
    end: Moment,
    folder: str | Path,
    *,
    base_url: str = PUBLIC_ARCHIVE,
    interval: str = "1m",
    market: str = "spot",
    attempts: int = 4,
    first_pause_seconds: float = 1.0,
    timeout_seconds: float = 30.0,
    progress: Callable[[Progress], None] | None = None,
) -> Fetched:
    """Download the days from `start` to `end` (both included) of `symbols` into ``folder/{market}``.

    Each zip is written under a temporary name, compared with its published SHA-256 and only then given its name; its
    checksum stays beside it, so that a later call recognises a good file without the network. Server errors, timeouts,
    broken transfers and wrong checksums are tried again, `attempts` times in all, with pauses that double.
    `market` is ``spot`` or ``um``, USD-margined futures.

    Raises InputError when the archive does not have a day (404), keeps failing, or the folder cannot be written. Files
    finished before that stay and are skipped next time.
    """
    _require_valid(symbols, base_url, interval, market)
    if attempts < 1:
        raise InputError(f"attempts is {attempts}, expected at least 1")
    days = _days(start, end)
    target = Path(folder).expanduser() / market
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{target}: cannot make this folder ({error.strerror})") from error
    wanted = [(symbol, day) for symbol in symbols for day in days]
    files: list[Path] = []
    downloaded = downloaded_bytes = 0
    for done, (symbol, day) in enumerate(wanted, start=1):
        name = f"{symbol}-{interval}-{day}.zip"
        file = target / name
        good = _is_good(file)
        if not good:
            url = f"{base_url.rstrip('/')}/data/{MARKETS[market]}/daily/klines/{symbol}/{interval}/{name}"
            downloaded_bytes += _download(url, file, f"{symbol} {day}", attempts, first_pause_seconds, timeout_seconds)
            downloaded += 1
        files.append(file)
        if progress is not None:
            progress(Progress(done, len(wanted), file, not good))
    return Fetched(tuple(files), downloaded, downloaded_bytes)


class _PassingTroubleError(Exception):
    """A transfer that failed in a way that may not happen again."""


def _download(url: str, file: Path, what: str, attempts: int, first_pause_seconds: float, timeout_seconds: float) -> int:
    """Put the verified content of `url` at `file` and return its size in bytes."""
    failure = ""
    for attempt in range(attempts):
        if attempt:
            time.sleep(first_pause_seconds * 2 ** (attempt - 1))
        try:
            published = _published_checksum(url, file.name, what, timeout_seconds)
            with _written_whole(file) as temporary:
                size, checksum = _transfer(url, what, temporary, timeout_seconds)
                if checksum != published:
                    raise _PassingTroubleError(f"its SHA-256 is {checksum[:12]}…, expected {published[:12]}…")
            with _written_whole(_checksum_file(file)) as temporary:
                temporary.write_text(f"{published}  {file.name}\n")
            return size
        except _PassingTroubleError as error:
            failure = str(error)
        except OSError as error:
            raise InputError(f"{file}: cannot be written ({error.strerror or error})") from error
    raise InputError(f"{what}: {url} failed {attempts} times; at last {failure}")


def _published_checksum(url: str, name: str, what: str, timeout_seconds: float) -> str:
    with _opened(f"{url}.CHECKSUM", what, timeout_seconds) as response:
        line = b"".join(_chunks(response)).decode("ascii", "replace").strip()
    match = re.fullmatch(r"([0-9a-fA-F]{64})(?:\s+\*?(\S+))?", line)
    if match is None or match[2] not in (None, name):
        raise _PassingTroubleError(f"its checksum file says {line[:80]!r}, expected a SHA-256 of {name}")
    return match[1].lower()


def _transfer(url: str, what: str, temporary: Path, timeout_seconds: float) -> tuple[int, str]:
    """Size in bytes and SHA-256 of what was written to `temporary`."""
    digest, size = hashlib.sha256(), 0
    with _opened(url, what, timeout_seconds) as response, temporary.open("wb") as out:
        for chunk in _chunks(response):
            digest.update(chunk)
            out.write(chunk)
            size += len(chunk)
        out.flush()
        os.fsync(out.fileno())
    return size, digest.hexdigest()


@contextlib.contextmanager
def _opened(url: str, what: str, timeout_seconds: float) -> Iterator[http.client.HTTPResponse]:
    request = urllib.request.Request(url, headers={"User-Agent": "abm"})  # archives turn the library's own name away
    try:
        response = urllib.request.urlopen(request, timeout=timeout_seconds)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code in _WORTH_RETRYING:
            raise _PassingTroubleError(f"the server answered {error.code} {error.reason}") from error
        if error.code == 404:
            advice = "check the symbol, the market and the date (a day appears once it is over)"
            raise InputError(f"{what}: the archive does not have {url}; {advice}") from error
        raise InputError(f"{what}: {url} answered {error.code} {error.reason}, expected 200") from error
    except (OSError, http.client.HTTPException) as error:
        raise _PassingTroubleError(f"no answer ({getattr(error, 'reason', None) or error})") from error
    with response:
        yield response


def _chunks(response: http.client.HTTPResponse) -> Iterator[bytes]:
    """The body in pieces; one that stops before its announced length is unfinished, which ``read(n)`` does not say."""
    received = 0
    announced = response.headers.get("Content-Length")
    try:
        while chunk := response.read(_CHUNK):
            received += len(chunk)
            yield chunk
    except (OSError, http.client.HTTPException) as error:
        raise _PassingTroubleError(f"the transfer broke off ({error})") from error
    if announced is not None and announced.isdigit() and received != int(announced):
        raise _PassingTroubleError(f"the transfer broke off after {received} of {announced} bytes")


@contextlib.contextmanager
def _written_whole(file: Path) -> Iterator[Path]:
    """A temporary path beside `file` that takes its place when the block ends well and vanishes when it does not."""
    temporary = file.with_name(f".{file.name}.{os.getpid()}.part")
    try:
        yield temporary
        os.replace(temporary, file)
    finally:
        temporary.unlink(missing_ok=True)


def _is_good(file: Path) -> bool:
    try:
        published = _checksum_file(file).read_text().split()[:1]
        with file.open("rb") as content:
            return published == [hashlib.file_digest(content, "sha256").hexdigest()]
    except (OSError, UnicodeDecodeError):
        return False


def _checksum_file(file: Path) -> Path:
    return file.with_name(file.name + ".CHECKSUM")


def _days(start: Moment, end: Moment) -> list[date]:
    since, until = time_range(start, end)
    if since is None or until is None:
        raise InputError(f"start is {start!r} and end is {end!r}, expected two dates such as 2022-11-08")
    first, last = since.date(), (until - timedelta(minutes=1)).date()
    return [first + timedelta(days=day) for day in range((last - first).days + 1)]


def _require_valid(symbols: Sequence[str], base_url: str, interval: str, market: str) -> None:
    complaints = []
    if isinstance(symbols, str) or not symbols:
        complaints.append(f"symbols is {symbols!r}, expected a list such as ['BTCUSDT', 'ETHUSDT']")
    else:
        complaints += [
            f"symbol {symbol!r} is not a market's name, expected capitals and digits such as BTCUSDT"
            for symbol in symbols
            if not re.fullmatch(r"[A-Z0-9_]+", str(symbol))
        ]
        complaints += [f"symbols names {symbol!r} twice" for symbol in dict.fromkeys(symbols) if symbols.count(symbol) > 1]
    if market not in MARKETS:
        complaints.append(f"market is {market!r}, expected {' or '.join(MARKETS)}{_guess(market, MARKETS)}")
    if interval not in INTERVALS:
        guess = _guess(interval, INTERVALS)
        complaints.append(f"interval is {interval!r}, expected one of {', '.join(INTERVALS)}{guess}")
    if not re.match(r"https?://[^/]", base_url):
        complaints.append(f"base_url is {base_url!r}, expected http:// or https:// and a host")
    if complaints:
        raise InputError(*complaints)


def _guess(name: str, candidates: Iterable[str]) -> str:
    guess = nearest(name, candidates)
    return guess and f"; {guess}"
