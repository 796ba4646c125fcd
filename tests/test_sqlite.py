"""SQLite databases: what is read, with which log, and what a hostile one can do."""

import random
import sqlite3
import struct
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.database_case import HISTORY, WEBKIT_2021, Read, history, visited
from tests.fuzz.examine import read
from tracelake.parsers import sqlite_db
from tracelake.parsers.artifact import Match
from tracelake.parsers.sqlite_file import STEPS_AT_ONCE, Database
from tracelake.parsers.sqlite_log import JOURNAL
from tracelake.parsers.sqlite_tree import Cells, varint

CHROME = "C/Users/anna/AppData/Local/Google/Chrome/User Data/Profile 1/History"


def parse(data: bytes, path: str = CHROME, **beside: bytes) -> Read:
    names = {"wal": "History-wal", "journal": "History-journal"}
    return Read(sqlite_db.PARSER, data, path, {names[k]: v for k, v in beside.items()})


def test_a_visit_says_who_went_where_and_when(tmp_path: Path) -> None:
    data = history(tmp_path).read_bytes()
    assert sqlite_db.match(data[:65536], "any name")[0] is Match.CONTENT
    done = parse(data)
    assert done.counts == {"browser_activity": 3}
    second = done.rows["browser_activity"][1]
    moment = datetime(2021, 1, 1, 0, 0, 0, 2, UTC)
    assert second["time"] == moment
    assert second["end_time"] == moment.replace(microsecond=1002)
    assert (second["url_hostname"], second["title"]) == ("h2.example", "page 2")
    assert second["referrer"].startswith("https://h1.example/")
    assert (second["browser"], second["profile"], second["user_name"]) == (
        "chrome", "Profile 1", "anna",
    )  # fmt: skip
    assert (second["record_type"], second["transition"]) == ("visit", "link")
    assert second["unmapped"]["transition"] == "805306368"
    assert (second["src_record_id"], second["log_name"], second["sub"]) == (2, "visits", 0)
    cell = data[second["src_offset"] :][: second["src_length"]]
    # Bytes of payload, rowid; the visit's time stands inside.
    assert cell[1] == 2
    assert (WEBKIT_2021 + 2).to_bytes(8, "big") in cell
    assert len(cell) == cell[0] + 2
    assert "raw" not in second
    account = done.account
    assert account.closes
    assert account.records == account.in_rows == 3
    assert account.bytes_records + account.bytes_structure + account.bytes_slack == len(data)


def with_wal(folder: Path) -> tuple[bytes, bytes]:
    """A database, and a log with two visits that were committed and are not in the file."""
    path = history(folder)
    at = sqlite3.connect(path)
    at.execute("PRAGMA journal_mode=WAL")
    at.execute("PRAGMA wal_autocheckpoint=0")
    at.execute("INSERT INTO urls VALUES (4,'http://wal.example/','',1,0,0,0)")
    at.execute("INSERT INTO visits VALUES (4,4,?,0,1,0,0)", (WEBKIT_2021,))
    at.commit()
    at.execute("UPDATE urls SET title='later' WHERE id=1")
    at.commit()
    both = path.read_bytes(), Path(f"{path}-wal").read_bytes()
    at.close()
    return both


def test_a_write_ahead_log_is_applied(tmp_path: Path) -> None:
    data, wal = with_wal(tmp_path)
    without = parse(data)
    assert without.counts == {"browser_activity": 3}
    done = parse(data, wal=wal)
    rows = done.rows["browser_activity"]
    assert len(rows) == 4
    assert not done.damage
    assert rows[0]["title"] == "later"
    assert rows[3]["url"] == "http://wal.example/"
    assert rows[3]["unmapped"]["from"] == "write-ahead log"
    assert WEBKIT_2021.to_bytes(8, "big") in rows[3]["raw"]


def test_a_log_counts_up_to_its_last_whole_commit(tmp_path: Path) -> None:
    data, wal = with_wal(tmp_path)
    frame = 24 + 4096
    assert (len(wal) - 32) % frame == 0
    frames = (len(wal) - 32) // frame
    commits = [n for n in range(frames) if struct.unpack_from(">I", wal, 32 + n * frame + 4)[0]]
    assert len(commits) == 2
    # The second commit is cut off, then damaged, then of an earlier round.
    end = 32 + commits[1] * frame
    flipped = bytearray(wal)
    flipped[end + 24 + 100] ^= 1
    salted = bytearray(wal)
    salted[end + 8] ^= 1
    for log, damage in ((wal[: end + 30], 0), (bytes(flipped), 1), (bytes(salted), 0)):
        done = parse(data, wal=log)
        rows = done.rows["browser_activity"]
        assert (len(rows), rows[0]["title"]) == (4, "page 1")
        assert len(done.damage) == damage
    for log in (b"", wal[:31], bytes(len(wal)), b"\xff" * len(wal), wal[:32]):
        assert parse(data, wal=log).counts == {"browser_activity": 3}


def test_a_hot_journal_takes_back_what_was_not_finished(tmp_path: Path) -> None:
    path = history(tmp_path, 200)
    before = path.read_bytes()
    at = sqlite3.connect(path, isolation_level=None)
    at.execute("PRAGMA cache_size=5")
    at.execute("PRAGMA cache_spill=5")
    at.execute("BEGIN")
    at.execute("DELETE FROM visits WHERE id > 20")
    visited(at, range(300, 900))
    after, journal = path.read_bytes(), Path(f"{path}-journal").read_bytes()
    at.execute("ROLLBACK")
    at.close()
    assert after != before, "nothing was spilled: the test would show nothing"
    assert journal.startswith(JOURNAL)
    done = parse(after, journal=journal)
    plain = parse(before)
    assert done.counts == {"browser_activity": 200} == plain.counts
    assert [r["record_hash"] for r in done.rows["browser_activity"]] == [
        r["record_hash"] for r in plain.rows["browser_activity"]
    ]
    assert parse(after, journal=bytes(28) + journal[28:]).counts != plain.counts
    # A transaction over several databases that was finished has no journal for all of them.
    name = b"/x/many-mj1"
    several = journal + bytes(4) + name + struct.pack(">II", len(name), sum(name)) + JOURNAL
    assert parse(after, journal=several).counts != plain.counts
    both = Read(sqlite_db.PARSER, after, CHROME, {"History-journal": several, "many-mj1": b"x"})
    assert both.counts == plain.counts
    for cut in range(0, len(journal), 509):
        assert parse(after, journal=journal[:cut]).account.closes


def test_what_is_beyond_damage_is_read_from_the_other_end(tmp_path: Path) -> None:
    data = bytearray(history(tmp_path, 400, page_size=1024).read_bytes())
    with sqlite3.connect(":memory:") as at:
        at.deserialize(bytes(data))
        root = at.execute("SELECT rootpage FROM sqlite_master WHERE name='visits'").fetchone()[0]
    start = (root - 1) * 1024
    assert data[start] == 5, "the root is no interior page: the test would show nothing"
    cells = struct.unpack_from(">H", data, start + 3)[0]
    middle = struct.unpack_from(">H", data, start + 12 + cells // 2 * 2)[0]
    leaf = struct.unpack_from(">I", data, start + middle)[0]
    lost = struct.unpack_from(">H", data, (leaf - 1) * 1024 + 3)[0]
    data[(leaf - 1) * 1024] = 0x77
    done = parse(bytes(data))
    visits = [row for row in done.rows["browser_activity"] if row["record_type"] == "visit"]
    assert len(visits) == 400 - lost
    # The one whose origin is lost is there, without what the lost page would have said.
    assert sum(row["url"] is None for row in visits) == 1
    # Which pages were not visited cannot be asked for there either.
    assert [what for what, _ in done.damage] == ["table visits", "table urls"]
    assert done.account.closes


def test_a_schema_runs_nothing_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "db"
    at = sqlite3.connect(path)
    at.executescript(
        """
        CREATE TABLE a(x);
        CREATE VIEW urls AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n)
            SELECT i AS id, 'u' AS url, 't' AS title, i AS visit_count, i AS typed_count,
            i AS last_visit_time, i AS hidden FROM n;
        CREATE TABLE visits(id INTEGER PRIMARY KEY, url INTEGER, visit_time INTEGER,
            from_visit INTEGER, transition INTEGER,
            bomb TEXT GENERATED ALWAYS AS (hex(zeroblob(100000000))) VIRTUAL);
        INSERT INTO visits VALUES (1,1,1,1,1);
        CREATE TABLE downloads(id INTEGER PRIMARY KEY, source, target, startTime, endTime, state);
        """
    )
    at.commit()
    at.close()
    data = path.read_bytes()
    database = Database(bytearray(data))
    assert "urls" not in database.tables
    assert "bomb" not in database.tables["visits"]
    for sql in (
        "SELECT * FROM urls", "SELECT load_extension('x')",
        "SELECT hex(zeroblob(10))", "ATTACH 'x' AS y", "INSERT INTO a VALUES (1)",
        "CREATE TEMP TABLE t(x)",
    ):  # fmt: skip
        with pytest.raises(Exception, match=r"prohibited|authorized|denied"):
            list(database.rows(sql))
    database.close()


def test_a_walk_that_takes_too_long_ends(tmp_path: Path) -> None:
    data = history(tmp_path, 50).read_bytes()
    database = Database(bytearray(data))
    started = time.monotonic()
    with pytest.raises(Exception, match="more steps than its size allows"):
        for _ in database.rows(
            "SELECT 1 FROM urls a, urls b, urls c, urls d, urls e "
            "WHERE a.id + b.id + c.id + d.id + e.id < 0"
        ):
            pass
    assert time.monotonic() - started < 20
    assert database._steps < 0 < STEPS_AT_ONCE
    database.close()


def test_a_page_that_stands_twice_in_a_tree_does_not_multiply_rows(tmp_path: Path) -> None:
    data = bytearray(history(tmp_path, 400, page_size=1024).read_bytes())
    with sqlite3.connect(":memory:") as at:
        at.deserialize(bytes(data))
        root = at.execute("SELECT rootpage FROM sqlite_master WHERE name='visits'").fetchone()[0]
    start = (root - 1) * 1024
    cells = struct.unpack_from(">H", data, start + 3)[0]
    places = struct.unpack_from(f">{cells}H", data, start + 12)
    first = data[start + places[0] : start + places[0] + 4]
    for place in places[1:]:
        data[start + place : start + place + 4] = first
    done = parse(bytes(data))
    visits = [
        row["src_record_id"]
        for row in done.rows["browser_activity"]
        if row["record_type"] == "visit"
    ]
    assert 0 < len(visits) == len(set(visits)) < 400
    assert any("stands behind" in why for _, why in done.damage)
    assert done.account.closes


@pytest.mark.parametrize("size", [512, 4096, 65536])
def test_where_cells_stand(tmp_path: Path, size: int) -> None:
    path = tmp_path / "db"
    at = sqlite3.connect(path)
    at.execute(f"PRAGMA page_size={size}")
    at.execute("CREATE TABLE a(x)")
    at.execute("CREATE TABLE b(k TEXT PRIMARY KEY, v) WITHOUT ROWID")
    dice = random.Random(2)
    numbers = sorted({dice.randrange(-(2**63), 2**63) >> dice.randrange(63) for _ in range(3000)})
    at.executemany("INSERT INTO a(rowid, x) VALUES (?, ?)",
                   [(n, bytes(dice.randrange(3 * 512))) for n in numbers])  # fmt: skip
    keys = sorted(f"{dice.random():.17f}" for _ in range(2000))
    at.executemany("INSERT INTO b VALUES (?, ?)", [(k, "v" * dice.randrange(900)) for k in keys])
    at.commit()
    roots = dict(at.execute("SELECT name, rootpage FROM sqlite_master"))
    at.close()
    image = bytearray(path.read_bytes())
    cells = Cells(image, roots["a"], {})
    for number in numbers:
        place = cells.place(number)
        assert place is not None
        payload, behind = varint(image, place[0])
        assert varint(image, behind)[0] == number
        assert place[1] <= payload + 18
    assert cells.place(numbers[0] - 1 if numbers[0] > -(2**63) else 2**63 - 2) is None
    ordered = Cells(image, roots["b"], {})
    for number, key in enumerate(keys):
        place = ordered.place(number)
        assert place is not None
        assert key.encode() in image[place[0] : sum(place)]
    # Pointers to the last bytes of the file.
    last = len(image) - size
    image[last : last + 12] = b"\x0d\0\0\0\x01\0\0\0" + struct.pack(">HH", size - 1, size - 2)
    image[-2:] = b"\xff\xff"
    assert Cells(image, len(image) // size, {}).place(0) is None


def test_text_that_is_not_utf8_is_repaired_and_flagged(tmp_path: Path) -> None:
    path = history(tmp_path)
    at = sqlite3.connect(path)
    at.execute("UPDATE urls SET title = CAST(x'ff41' AS TEXT) WHERE id = 2")
    at.execute("UPDATE visits SET visit_time = 'soon', transition = 1.5 WHERE id = 3")
    at.execute("UPDATE urls SET visit_count = x'00ff' WHERE id = 3")
    at.commit()
    at.close()
    rows = parse(path.read_bytes()).rows["browser_activity"]
    assert [row["parse_flags"] for row in rows] == [None, 128, None]
    assert rows[1]["title"] == "�A"
    assert rows[2]["visit_count"] is None
    assert (rows[2]["time"].microsecond, rows[2]["time_desc"]) == (3, "last visited")
    assert rows[2]["unmapped"]["visit_time"] == "soon"
    assert rows[2]["unmapped"]["visit_count"] == "00ff"


def test_other_databases_are_left_with_the_names_of_their_tables(tmp_path: Path) -> None:
    path = tmp_path / "db"
    at = sqlite3.connect(path)
    at.executescript("CREATE TABLE invoices(a); CREATE TABLE visits(b);")
    at.close()
    sure, why = sqlite_db.match(path.read_bytes(), CHROME)
    assert sure is Match.NEAR
    assert why == "an SQLite database of no program that is known; tables: invoices, visits"
    assert sqlite_db.match(b"SQLite format 4\0" + bytes(100), CHROME)[0] is Match.NO


def test_cut_and_flipped_anywhere_the_account_closes(tmp_path: Path) -> None:
    data = history(tmp_path, 60, page_size=512).read_bytes()
    whole = read(sqlite_db.PARSER, data, "cut", 4096, 1 << 16, completed=False)
    for at in [*range(0, 128), *range(128, len(data) + 1, 97)]:
        part = read(sqlite_db.PARSER, data[:at], "cut", 4096, 1 << 16, completed=False)
        # Pages whose visits are lost are rows of their own.
        assert part.in_rows <= 2 * whole.in_rows
        sqlite_db.match(data[:at], "cut")
    dice = random.Random(5)
    for _ in range(300):
        flipped = bytearray(data)
        for _ in range(dice.randrange(1, 6)):
            flipped[dice.randrange(16, len(flipped))] ^= 1 << dice.randrange(8)
        read(sqlite_db.PARSER, bytes(flipped), "flip", 4096, 1 << 16, completed=False)


def test_a_download_is_named_by_what_was_loaded_not_by_the_tab(tmp_path: Path) -> None:
    """Columns of Chromium since 2022 (History, version 60 and later)."""
    path = tmp_path / "History"
    at = sqlite3.connect(path)
    at.executescript(
        HISTORY.replace("from_visit INTEGER", "from_visit INTEGER, external_referrer_url TEXT")
    )
    at.execute("INSERT INTO urls VALUES (1,'https://a.example/','',1,0,0,0)")
    at.execute(
        "INSERT INTO visits (id, url, visit_time, from_visit, external_referrer_url, transition)"
        " VALUES (1,1,?,0,'https://mail.example/',1)", (WEBKIT_2021,),
    )
    at.executescript(
        "CREATE TABLE downloads_url_chains(id INTEGER, chain_index INTEGER, url TEXT,"
        " PRIMARY KEY (id, chain_index));"
        "CREATE TABLE downloads(id INTEGER PRIMARY KEY, guid TEXT, current_path TEXT,"
        " target_path TEXT, start_time INTEGER, received_bytes INTEGER, total_bytes INTEGER,"
        " state INTEGER, danger_type INTEGER, interrupt_reason INTEGER, hash BLOB,"
        " end_time INTEGER, opened INTEGER, last_access_time INTEGER, transient INTEGER,"
        " referrer TEXT, site_url TEXT, embedder_download_data TEXT, tab_url TEXT,"
        " tab_referrer_url TEXT, mime_type TEXT);"
    )
    for number, chain in enumerate((["https://r.example/", "https://cdn.example/x.exe"], []), 1):
        at.execute(
            "INSERT INTO downloads (id, target_path, start_time, received_bytes, total_bytes,"
            " state, tab_url) VALUES (?,'t',?,5,6,1,'https://page.example/')",
            (number, WEBKIT_2021),
        )
        at.executemany(
            "INSERT INTO downloads_url_chains VALUES (?,?,?)",
            [(number, n, url) for n, url in enumerate(chain)],
        )
    at.commit()
    at.close()
    visit, loaded, unknown = parse(path.read_bytes()).rows["browser_activity"]
    assert visit["referrer"] == "https://mail.example/"
    assert (loaded["url"], loaded["url_hostname"]) == ("https://cdn.example/x.exe", "cdn.example")
    assert loaded["unmapped"]["tab_url"] == "https://page.example/"
    assert (unknown["url"], unknown["url_hostname"]) == ("https://page.example/", "page.example")


def test_schemas_of_other_versions(tmp_path: Path) -> None:
    """Columns that a version lacks are left out, those that it has more go to `unmapped`."""
    path = tmp_path / "History"
    at = sqlite3.connect(path)
    at.executescript(HISTORY.replace(", visit_duration INTEGER", ", opener_visit INTEGER"))
    at.execute("INSERT INTO urls VALUES (1,'http://a.example:bad]/','',1,0,0,0)")
    at.execute("INSERT INTO visits VALUES (1,1,1609459200,0,1,0,77)")
    at.executescript(
        "CREATE TABLE downloads_url_chains(id INTEGER, chain_index INTEGER, url TEXT,"
        " PRIMARY KEY (id, chain_index));"
        "CREATE TABLE downloads(id INTEGER PRIMARY KEY, current_path TEXT, target_path TEXT,"
        " start_time INTEGER, received_bytes INTEGER, total_bytes INTEGER, state INTEGER,"
        " end_time INTEGER, referrer TEXT, mime_type TEXT);"
    )
    at.execute(
        "INSERT INTO downloads VALUES (1,'c','t',?,5,6,4,?,'r','m')", (WEBKIT_2021, WEBKIT_2021 + 7)
    )
    at.executemany("INSERT INTO downloads_url_chains VALUES (1,?,?)", [(1, "last"), (0, "first")])
    at.commit()
    at.close()
    visit, download = parse(path.read_bytes()).rows["browser_activity"]
    assert visit["time"] == datetime(2021, 1, 1, tzinfo=UTC)
    assert visit["unmapped"]["opener_visit"] == "77"
    assert download["url"] == "last"
    assert download["unmapped"]["downloads_url_chains"] == "first\nlast"
    assert (download["file_path"], download["bytes"]) == ("t", 6)
    assert download["unmapped"]["state_name"] == "interrupted"


EXPECTED = {
    "android/app_usage": {"artifact_query": 11663},
    "android/babel.db": {"raw_event": 14},
    "android/tango_profile.db": {"raw_event": 57},
    "android/webview.db": {"browser_activity": 10},
    "chrome/History": {"browser_activity": 74},
    "chrome/History-59_added-fake-column": {"browser_activity": 2},
    "firefox/downloads.sqlite": {"browser_activity": 1},
    "macos/application_usage.sqlite": {"artifact_query": 5},
    "macos/knowledgec-10.13.db": {"artifact_query": 21},
    "macos/TCC-test.db": {"artifact_query": 21},
    "sqlite/skype_main.db": {"raw_event": 28},
    "sqlite/zeitgeist_activity.sqlite": {"artifact_query": 44},
}


@pytest.mark.parametrize("name", EXPECTED)
def test_samples(name: str, shared: Path) -> None:
    done = Read(sqlite_db.PARSER, (shared / "triage/plaso" / name).read_bytes(), name)
    assert done.counts == EXPECTED[name]
    assert not done.damage
    assert done.stopped is None
    assert done.account.closes
    timed = [row for rows in done.rows.values() for row in rows if row["time"]]
    assert all(1990 < row["time"].year < 2405 for row in timed)


def test_windows_timeline(shared: Path) -> None:
    path = "triage/museum/WindowsTimeline/Win10/APTSimulatorVM/ActivitiesCache.db"
    done = Read(sqlite_db.PARSER, (shared / path).read_bytes(), path)
    assert done.counts == {"artifact_query": 151}
    rows = done.rows["artifact_query"]
    assert sum(row["artifact"] == "windows_timeline" for row in rows) == 40
    used = [row for row in rows if row["unmapped"].get("ActivityTypeName") == "in use"]
    assert used
    assert all(row["time"] and row["subject_path"] for row in used)
