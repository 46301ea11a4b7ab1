"""Downloading klines, against an archive served by the test on this machine."""

from __future__ import annotations

import hashlib
import io
import threading
import zipfile
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from abm.lab.bars import read_bars
from abm.lab.errors import InputError
from abm.lab.fetch import fetch_klines

DAY_MS = 86_400_000
FIRST_MS = 1_667_865_600_000  # 2022-11-08


def kline_zip(symbol, day, price):
    """A day of flat one-minute klines as the archive publishes them; `day` counts from 2022-11-08."""
    opened = FIRST_MS + day * DAY_MS
    lines = [f"{opened + 60_000 * k},{price},{price},{price},{price},1.5,{opened + 60_000 * k + 59_999},1,1,1,1,0" for k in range(1440)]
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{symbol}-1m-2022-11-{8 + day:02}.csv", "\n".join(lines) + "\n")
    return content.getvalue()


def location(symbol="BTCUSDT", day=0, market="spot"):
    return f"/data/{market}/daily/klines/{symbol}/1m/{symbol}-1m-2022-11-{8 + day:02}.zip"


class Archive:
    """What the server holds, and per path in `troubles` what goes wrong with its next answers."""

    def __init__(self):
        self.content: dict[str, bytes] = {}
        self.troubles: dict[str, list[str]] = {}
        self.asked: Counter[str] = Counter()
        self.base_url = ""

    def publish(self, path, content):
        self.content[path] = content
        name = path.rsplit("/", 1)[1]
        self.content[f"{path}.CHECKSUM"] = f"{hashlib.sha256(content).hexdigest()}  {name}\n".encode()


@pytest.fixture
def archive(monkeypatch):
    held = Archive()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            held.asked[self.path] += 1
            waiting = held.troubles.get(self.path, [])
            trouble = waiting.pop(0) if waiting else ""
            body = held.content.get(self.path)
            if trouble.isdigit() or body is None:
                self.send_error(int(trouble or 404))
                return
            if trouble == "hang":
                threading.Event().wait(1.0)
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if trouble == "garbled":
                body = bytes(len(body))
            self.wfile.write(body[: len(body) // 2] if trouble == "broken off" else body)

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    held.base_url = f"http://127.0.0.1:{server.server_port}"
    yield held
    server.shutdown()
    thread.join()
    server.server_close()


def fetch(archive, folder, symbols=("BTCUSDT",), start="2022-11-08", end="2022-11-08", **options):
    options = {"base_url": archive.base_url, "first_pause_seconds": 0.001, **options}
    return fetch_klines(symbols, start, end, folder, **options)


def names(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_days_and_symbols_arrive_whole_and_can_be_read(archive, tmp_path):
    for symbol, price in (("BTCUSDT", 20000.0), ("SOLUSDT", 30.0)):
        for day in range(2):
            archive.publish(location(symbol, day), kline_zip(symbol, day, price + day))
    seen = []
    fetched = fetch(archive, tmp_path, ["BTCUSDT", "SOLUSDT"], "2022-11-08", "2022-11-09", progress=seen.append)
    assert [file.name for file in fetched.files] == [
        f"{symbol}-1m-2022-11-0{day}.zip" for symbol in ("BTCUSDT", "SOLUSDT") for day in (8, 9)
    ]
    assert fetched.files[0].read_bytes() == archive.content[location()]
    assert fetched.downloaded == 4
    assert fetched.downloaded_bytes == sum(file.stat().st_size for file in fetched.files)
    assert [(step.done, step.total, step.file, step.downloaded) for step in seen] == [
        (done, 4, file, True) for done, file in enumerate(fetched.files, start=1)
    ]
    bars = read_bars(tmp_path, ["SOLUSDT", "BTCUSDT"], "2022-11-08", "2022-11-09")
    assert bars.minutes == 2880
    np.testing.assert_array_equal(bars.close[[0, 1439, 1440, 2879]], [[30, 20000], [30, 20000], [31, 20001], [31, 20001]])


def test_good_files_are_skipped_without_asking(archive, tmp_path):
    for day in range(2):
        archive.publish(location(day=day), kline_zip("BTCUSDT", day, 20000.0))
    fetch(archive, tmp_path)
    archive.asked.clear()
    seen = []
    fetched = fetch(archive, tmp_path, end="2022-11-09", progress=seen.append)
    assert (len(fetched.files), fetched.downloaded) == (2, 1)
    assert [step.downloaded for step in seen] == [False, True]
    assert location(day=0) not in archive.asked
    assert location(day=1) in archive.asked


@pytest.mark.parametrize("damage", ["content", "checksum", "no checksum"])
def test_a_file_that_is_no_longer_good_is_fetched_again(archive, tmp_path, damage):
    archive.publish(location(), kline_zip("BTCUSDT", 0, 20000.0))
    (file,) = fetch(archive, tmp_path).files
    checksum = file.with_name(file.name + ".CHECKSUM")
    if damage == "content":
        file.write_bytes(file.read_bytes()[:-1])
    elif damage == "checksum":
        checksum.write_bytes(b"\xff")
    else:
        checksum.unlink()
    assert fetch(archive, tmp_path).downloaded == 1
    assert file.read_bytes() == archive.content[location()]
    assert fetch(archive, tmp_path).downloaded == 0


def test_futures_come_from_their_own_branch_into_their_own_folder(archive, tmp_path):
    archive.publish(location(), kline_zip("BTCUSDT", 0, 20000.0))
    archive.publish(location(market="futures/um"), kline_zip("BTCUSDT", 0, 19990.0))
    fetch(archive, tmp_path)
    fetch(archive, tmp_path, market="um")
    assert read_bars(tmp_path / "spot").close[0, 0] == 20000.0
    assert read_bars(tmp_path / "um").close[0, 0] == 19990.0


@pytest.mark.parametrize("trouble", ["500", "503", "429", "broken off", "garbled"])
@pytest.mark.parametrize("suffix", ["", ".CHECKSUM"], ids=["zip", "checksum"])
def test_passing_trouble_is_outlasted(archive, tmp_path, trouble, suffix):
    archive.publish(location(), kline_zip("BTCUSDT", 0, 20000.0))
    archive.troubles[location() + suffix] = [trouble, trouble]
    (file,) = fetch(archive, tmp_path).files
    assert file.read_bytes() == archive.content[location()]
    assert archive.asked[location() + suffix] == 3
    assert len(names(tmp_path)) == 2


def test_a_server_that_hangs_is_asked_again(archive, tmp_path):
    archive.publish(location(), kline_zip("BTCUSDT", 0, 20000.0))
    archive.troubles[location()] = ["hang"]
    assert fetch(archive, tmp_path, timeout_seconds=0.2).downloaded == 1
    assert archive.asked[location()] == 2


@pytest.mark.parametrize(
    ("trouble", "expected"),
    [
        ("500", "at last the server answered 500 Internal Server Error"),
        ("broken off", "at last the transfer broke off after"),
        ("garbled", "at last its SHA-256 is"),
    ],
)
def test_lasting_trouble_is_told_and_leaves_nothing_behind(archive, tmp_path, trouble, expected):
    archive.publish(location(), kline_zip("BTCUSDT", 0, 20000.0))
    archive.troubles[location()] = [trouble] * 9
    with pytest.raises(InputError) as refused:
        fetch(archive, tmp_path, attempts=3)
    (message,) = refused.value.messages
    assert message.startswith(f"BTCUSDT 2022-11-08: {archive.base_url}{location()} failed 3 times; ")
    assert expected in message
    assert archive.asked[location()] == 3
    assert names(tmp_path) == []


def test_pauses_double(archive, tmp_path, monkeypatch):
    archive.publish(location(), kline_zip("BTCUSDT", 0, 20000.0))
    archive.troubles[location()] = ["500"] * 3
    pauses = []
    monkeypatch.setattr("abm.lab.fetch.time.sleep", pauses.append)
    fetch(archive, tmp_path, first_pause_seconds=2.0)
    assert pauses == [2.0, 4.0, 8.0]


def test_a_checksum_that_never_fits_replaces_no_file(archive, tmp_path):
    archive.publish(location(), kline_zip("BTCUSDT", 0, 20000.0))
    (file,) = fetch(archive, tmp_path).files
    file.write_bytes(b"damaged")
    archive.content[f"{location()}.CHECKSUM"] = b"0" * 64 + b"  BTCUSDT-1m-2022-11-08.zip\n"
    with pytest.raises(InputError, match=r"SHA-256 .* expected 000000000000"):
        fetch(archive, tmp_path)
    assert file.read_bytes() == b"damaged"
    assert len(names(tmp_path)) == 2


def test_the_checksum_of_another_file_is_refused(archive, tmp_path):
    archive.publish(location(), kline_zip("BTCUSDT", 0, 20000.0))
    archive.content[f"{location()}.CHECKSUM"] = archive.content[f"{location()}.CHECKSUM"].replace(b"BTC", b"ETH")
    with pytest.raises(InputError, match=r"expected a SHA-256 of BTCUSDT-1m-2022-11-08.zip"):
        fetch(archive, tmp_path)


def test_what_the_archive_lacks_is_named_at_once_and_finished_days_stay(archive, tmp_path):
    archive.publish(location(), kline_zip("BTCUSDT", 0, 20000.0))
    with pytest.raises(InputError) as refused:
        fetch(archive, tmp_path, end="2022-11-09")
    (message,) = refused.value.messages
    assert message.startswith(f"BTCUSDT 2022-11-09: the archive does not have {archive.base_url}{location(day=1)}")
    assert "check the symbol, the market and the date" in message
    assert archive.asked[f"{location(day=1)}.CHECKSUM"] == 1
    assert names(tmp_path) == ["spot/BTCUSDT-1m-2022-11-08.zip", "spot/BTCUSDT-1m-2022-11-08.zip.CHECKSUM"]


def test_a_refusal_is_not_asked_again(archive, tmp_path):
    archive.publish(location(), kline_zip("BTCUSDT", 0, 20000.0))
    archive.troubles[f"{location()}.CHECKSUM"] = ["403"] * 9
    with pytest.raises(InputError, match="answered 403 Forbidden, expected 200"):
        fetch(archive, tmp_path)
    assert archive.asked[f"{location()}.CHECKSUM"] == 1


def test_nobody_there(archive, tmp_path):
    with pytest.raises(InputError, match="failed 2 times; at last no answer"):
        fetch(archive, tmp_path, base_url="http://127.0.0.1:1", attempts=2)


def test_an_interrupt_leaves_nothing_half_written(archive, tmp_path, monkeypatch):
    archive.publish(location(), kline_zip("BTCUSDT", 0, 20000.0))

    def interrupted(descriptor):
        assert [name for name in names(tmp_path) if name.endswith(".part")], "the temporary file is there by now"
        raise KeyboardInterrupt

    monkeypatch.setattr("abm.lab.fetch.os.fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fetch(archive, tmp_path)
    assert names(tmp_path) == []


def test_a_folder_that_cannot_be_made(archive, tmp_path):
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(InputError, match=r"taken.*cannot make this folder"):
        fetch(archive, tmp_path / "taken")


def test_a_folder_that_cannot_be_written(archive, tmp_path, monkeypatch):
    archive.publish(location(), kline_zip("BTCUSDT", 0, 20000.0))

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("abm.lab.fetch.os.fsync", full)
    with pytest.raises(InputError, match=r"BTCUSDT-1m-2022-11-08.zip: cannot be written \(No space left on device\)"):
        fetch(archive, tmp_path)
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"symbols": ["btcusdt"]}, "symbol 'btcusdt' is not a market's name, expected capitals and digits"),
        ({"symbols": ["../x"]}, "symbol '../x' is not a market's name"),
        ({"symbols": ["BTCUSDT", "BTCUSDT"]}, "symbols names 'BTCUSDT' twice"),
        ({"symbols": []}, "symbols is \\[\\], expected a list"),
        ({"symbols": "BTCUSDT"}, "symbols is 'BTCUSDT', expected a list"),
        ({"market": "spto"}, "market is 'spto', expected spot or um; did you mean 'spot'\\?"),
        ({"interval": "1min"}, "interval is '1min', expected one of 1s, 1m.*did you mean '1m'\\?"),
        ({"base_url": "file:///etc"}, "base_url is 'file:///etc', expected http:// or https://"),
        ({"attempts": 0}, "attempts is 0, expected at least 1"),
        ({"start": "2022-11-09"}, "end is 2022-11-08, expected after start, 2022-11-09"),
        ({"start": None}, "expected two dates such as 2022-11-08"),
    ],
)
def test_wrong_requests_are_refused_before_anything_is_touched(archive, tmp_path, options, expected):
    with pytest.raises(InputError, match=expected):
        fetch(archive, tmp_path / "new", **options)
    assert not (tmp_path / "new").exists()
    assert not archive.asked
