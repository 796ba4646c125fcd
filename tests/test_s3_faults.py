"""Exactly once on S3: requests that are cut, refused or answered for nothing, processes that are
killed between two of them, two that write the same. Afterwards no row is lost and none is there
twice, at every moment the tables can be read, and the same command again does the rest."""

import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from deltalake import DeltaTable

import tracelake
from tests.lake_case import HERE, SCHEMAS, environment, source_id, unit_name, write
from tests.s3_case import EVIDENCE, Proxy, Request, Server, answer, root, running, use
from tracelake.lake import s3
from tracelake.lake.lake import Lake
from tracelake.lake.s3 import S3Path, delta_options
from tracelake.lake.store import parquet
from tracelake.lake.verify import verify

EVERY = int(os.environ.get("TRACELAKE_EVERY", "5"))
"""Of the requests of a run, each how many-th is the one where something happens."""

UNITS = 2


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running() as one:
        yield one


@pytest.fixture(autouse=True)
def aws(server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    use(monkeypatch, server.environment())
    yield
    s3.forget()


def once(monkeypatch: pytest.MonkeyPatch, server: Server, endpoint: str | None = None) -> None:
    """No request is tried again: each fault is final."""
    use(monkeypatch, {**server.environment(endpoint), "AWS_MAX_ATTEMPTS": "1"})


def check(uri: str, expected: set[str] | None = None, rows: int = 3) -> None:
    """What is complete is whole, in every table, once; and it can be read."""
    lake = Lake.open(uri, "case", schemas=SCHEMAS)
    now = lake.snapshot()
    complete = now.complete_units()
    if expected is not None:
        assert complete == expected
    for table in ("event_log_activity", "process_activity"):
        found: Counter[str] = Counter()
        for path in now.files(table):
            found.update(parquet(path).read(columns=["source_id"]).column(0).to_pylist())
        sources = {unit.partition("-")[0] + "0" * 16 for unit in complete}
        assert found == dict.fromkeys(sources, rows)
    ids = [row["source_id"] for rows in now.sources().values() for row in rows]
    assert len(ids) == len(set(ids))
    assert [line for checked in verify(lake) for line in checked.wrong] == []
    options = delta_options(S3Path.of(uri).bucket)
    for table in now.tables:
        assert DeltaTable(f"{uri}/case/{table}", storage_options=options).version() >= 0


def commit(uri: str) -> None:
    """A whole run: opens, looks, writes and commits."""
    lake = Lake.open(uri, "case", create=True, schemas=SCHEMAS)
    done = lake.snapshot().complete_units()
    numbers = [n for n in range(UNITS) if unit_name(n) not in done]
    if numbers:
        lake.commit([write(lake, n) for n in numbers])


def _said_by(do: Callable[[str], None], uri: str) -> str:
    """What is wrong, by its error; empty when it is done."""
    try:
        do(uri)
    except OSError as error:
        return str(error.strerror)
    return ""


ALL = {unit_name(n) for n in range(UNITS)}


def requests_of_a_run(server: Server, monkeypatch: pytest.MonkeyPatch) -> int:
    with Proxy(server) as proxy:
        once(monkeypatch, server, proxy.endpoint)
        commit(root(server))
        return len(proxy.requests)


@pytest.mark.parametrize("how", ["cut", "cut answer"])
def test_the_network_is_cut_at_each_request(
    server: Server, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """For good, before a request is passed on, and after it, before the answer."""
    count = requests_of_a_run(server, monkeypatch)
    assert count > 20
    ended = 0
    steps = range(len(how) % EVERY, count, EVERY)
    for at in steps:
        once(monkeypatch, server)
        uri = root(server)

        def fault(request: Request, at: int = at) -> str | None:
            return how if request.number == at else "cut" if request.number > at else None

        with Proxy(server, fault) as proxy:
            once(monkeypatch, server, proxy.endpoint)
            said = _said_by(commit, uri)
        ended += bool(said)
        assert not said or "run the same command again" in said, at
        once(monkeypatch, server)
        if S3Path.of(f"{uri}/case/tracelake.json").is_file():
            check(uri)
        commit(uri)
        check(uri, ALL)
    assert ended >= len(steps) - 3


@pytest.mark.parametrize("how", ["cut", "cut answer", "503", "500"])
def test_each_third_request_fails_once(
    server: Server, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """Requests are sent again: a run goes through, whatever was done twice."""
    fault = {"503": answer("503 Slow Down", "SlowDown"),
             "500": answer("500 Internal Error", "InternalError")}.get(how, how)
    uri = root(server)
    with Proxy(server, lambda request: fault if request.number % 3 == 1 else None) as proxy:
        use(monkeypatch, server.environment(proxy.endpoint))
        commit(uri)
        assert len(proxy.requests) > 30
    use(monkeypatch, server.environment())
    check(uri, ALL)
    assert len(Lake.open(uri, "case", schemas=SCHEMAS).snapshot().files("artifact")) == 1


def test_killed_at_each_step(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """`kill -9` at the moment of a request, passed on or not."""
    count = requests_of_a_run(server, monkeypatch)
    kills = 0
    for at in range(0, count, EVERY):
        once(monkeypatch, server)
        uri = root(server)
        running_: list[subprocess.Popen[str]] = []

        def fault(request: Request, at: int = at, all_: list[subprocess.Popen[str]] = running_
                  ) -> str | None:
            if request.number == at:
                all_[0].send_signal(signal.SIGKILL)
                return "cut answer" if at % 2 else "cut"
            return None

        with Proxy(server, fault) as proxy:
            process = subprocess.Popen(
                [sys.executable, HERE, uri, "0", str(UNITS), str(UNITS)],
                env={**environment(), **server.environment(proxy.endpoint)},
                cwd=Path(HERE).parent.parent, stdout=subprocess.PIPE, text=True,
            )
            running_.append(process)
            said = process.communicate(timeout=120)[0].split()
        if process.returncode == -signal.SIGKILL:
            kills += 1
        else:
            assert process.returncode == 0
        if S3Path.of(f"{uri}/case/tracelake.json").is_file():
            check(uri, ALL if len(said) > 1 else None)
        commit(uri)
        check(uri, ALL)
    assert kills >= count // EVERY - 2


def test_processes_commit_at_once(server: Server) -> None:
    """Three begin on an empty lake; half of what each has, another has too."""
    uri = root(server)
    running_ = [
        subprocess.Popen(
            [sys.executable, HERE, uri, str(first), str(last), "4"], env=environment(),
            cwd=Path(HERE).parent.parent, stdout=subprocess.PIPE, text=True,
        )
        for first, last in ((0, 12), (6, 18), (0, 18))
    ]
    said = [process.communicate(timeout=300)[0].split() for process in running_]
    assert [process.returncode for process in running_] == [0, 0, 0]
    assert {unit_name(n) for n in range(18)} == {unit for words in said for unit in words[1:]}
    check(uri, {unit_name(n) for n in range(18)})


def test_two_ingests_of_one_source(server: Server, tmp_path: Path) -> None:
    """Everything twice at the same time, packs too."""
    uri = root(server)
    paths = [str(EVIDENCE / "logs"), str(EVIDENCE / "captures")]
    words = [sys.executable, "-m", "tracelake", "ingest", *paths, "--lake", uri, "--engagement",
             "case", "--workers", "1"]
    running_ = [
        subprocess.Popen(words, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                         text=True)
        for _ in range(2)
    ]
    for process in running_:
        _, complaint = process.communicate(timeout=300)
        assert (process.returncode, complaint) == (0, "")
    folder = str(tmp_path / "lake")
    tracelake.open(folder, engagement="case").ingest(paths)
    sums = "SELECT source_id, count(*), sum(src_offset) FROM {} GROUP BY ALL ORDER BY 1"
    for table in ("process_activity", "raw_event", "network_activity", "damage"):
        question = sums.format(table)
        found = [
            tracelake.open(where, engagement="case").sql(question).fetchall()
            for where in (uri, folder)
        ]
        assert found[0] == found[1], table
    done = subprocess.run([sys.executable, "-m", "tracelake", "verify", "--lake", uri,
                           "--engagement", "case"], env=environment(), capture_output=True,
                          text=True, check=False, timeout=300)
    assert " 0 findings" in done.stdout, done.stdout


@pytest.mark.parametrize(("status", "code", "said"), [
    ("400 Bad Request", "ExpiredToken", "the AWS credentials have expired: renew them"),
    ("503 Slow Down", "SlowDown", "S3 asks to slow down"),
])
def test_an_ingest_that_is_stopped_by_s3(
    server: Server, monkeypatch: pytest.MonkeyPatch, status: str, code: str, said: str
) -> None:
    """In the middle of it: the report says what to do, what was committed stays, and the same
    again does the rest."""
    uri = root(server)
    evidence = [EVIDENCE / "logs" / "crackmapexec_sysmon.evtx", EVIDENCE / "captures" / "sll.pcap"]
    use(monkeypatch, server.environment())
    with Proxy(server) as proxy:
        once(monkeypatch, server, proxy.endpoint)
        tracelake.open(root(server), engagement="case").ingest(evidence)
        count = len(proxy.requests)
    for at in (count // 3, 2 * count // 3):
        once(monkeypatch, server)
        uri = root(server)
        with Proxy(
            server, lambda r, at=at: answer(status, code) if r.number >= at else None
        ) as proxy:
            once(monkeypatch, server, proxy.endpoint)
            report = tracelake.open(uri, engagement="case").ingest(evidence)
        assert report.exit_code == 1
        assert any(said in why for _, why in report.failed), report.failed
        once(monkeypatch, server)
        case = tracelake.open(uri, engagement="case")
        assert case.ingest(evidence).exit_code == 0
        assert case.sql("SELECT count(*) FROM source").fetchall() == [(2,)]
        assert [line for checked in verify(case.lake) for line in checked.wrong] == []


def test_a_writer_beside_readers(server: Server) -> None:
    """Tables can be read at every moment of many commits."""
    uri = root(server)
    lake = Lake.open(uri, "case", create=True, schemas=SCHEMAS)
    over = threading.Event()
    troubles: list[BaseException] = []
    looks = 0

    def look() -> None:
        nonlocal looks
        while not over.is_set():
            try:
                check(uri)
                looks += 1
            except BaseException as error:  # noqa: BLE001 - handed to the test
                troubles.append(error)
                return

    reader = threading.Thread(target=look)
    reader.start()
    try:
        for number in range(8):
            lake.commit([write(lake, number)])
    finally:
        over.set()
        reader.join()
    assert troubles == []
    assert looks > 0
    check(uri, {unit_name(number) for number in range(8)})
    assert source_id(0) in Lake.open(uri, "case", schemas=SCHEMAS).snapshot().sources()
