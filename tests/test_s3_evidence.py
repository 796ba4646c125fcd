"""Evidence that lies on S3 is read as if it lay in a folder, by ranges."""

import hashlib
import io
import random
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import tracelake
from tests.s3_case import EVIDENCE, Proxy, Server, new_bucket, running, use
from tracelake.case import Case
from tracelake.ingest.evidence import EvidenceGone, expect_same
from tracelake.ingest.verify import verify
from tracelake.lake import s3
from tracelake.lake.ranges import FIRST, MOST, Changed, S3File
from tracelake.lake.s3 import S3Path
from tracelake.show import show_row


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running() as one:
        yield one


@pytest.fixture(autouse=True)
def aws(server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    use(monkeypatch, server.environment())
    yield
    s3.forget()


def put(uri: str, data: bytes) -> str:
    S3Path.of(uri).write_bytes(data)
    return uri


def put_folder(server: Server, folder: Path) -> str:
    root = f"s3://{new_bucket(server)}/case 7"
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            put(f"{root}/{path.relative_to(folder)}", path.read_bytes())
    return root


def counts(case: Case) -> list[object]:
    return case.sql(
        "SELECT sha256, size, records, damage, rows FROM source ORDER BY sha256"
    ).fetchall()


def test_a_prefix_is_a_folder(server: Server, tmp_path: Path) -> None:
    uri = put_folder(server, EVIDENCE)
    there = tracelake.open(tmp_path / "there", engagement="case")
    report = there.ingest([uri], workers=2)
    assert report.exit_code == 0, report.failed
    here = tracelake.open(tmp_path / "here", engagement="case")
    here.ingest([EVIDENCE])
    assert counts(there) == counts(here)
    known = {path for (path,) in there.sql("SELECT uri FROM source").fetchall()}
    assert f"{uri}/captures/sll.pcap" in known
    again = there.ingest([uri])
    assert (again.sources, len(again.skipped)) == (0, report.sources)
    assert [line for checked in verify(there.lake) for line in checked.wrong] == []
    notes = [line for checked in verify(there.lake) for line in checked.notes]
    assert not [line for line in notes if "not reachable" in line]


def test_what_s3_calls_the_bytes_is_in_the_books(server: Server, tmp_path: Path) -> None:
    bucket = new_bucket(server)
    server.client().put_bucket_versioning(
        Bucket=bucket, VersioningConfiguration={"Status": "Enabled"}
    )
    data = (EVIDENCE / "captures" / "sll.pcap").read_bytes()
    uri = put(f"s3://{bucket}/sll.pcap", data)
    case = tracelake.open(tmp_path / "lake", engagement="case")
    case.ingest([uri])
    facts = dict(case.sql("SELECT facts FROM source").fetchall()[0][0])
    assert facts["etag"] == hashlib.md5(data).hexdigest()
    head = server.client().head_object(Bucket=bucket, Key="sll.pcap")
    assert facts["version"] == head["VersionId"]


def test_show_reads_from_s3(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = (EVIDENCE / "logs" / "crackmapexec_sysmon.evtx").read_bytes()
    uri = put(f"s3://{new_bucket(server)}/x.evtx", data)
    case = tracelake.open(tmp_path / "lake", engagement="case")
    case.ingest([uri])
    row_id = case.sql("SELECT row_id FROM process_activity LIMIT 1").fetchall()[0][0]
    show_row(case, row_id)
    said = capsys.readouterr().out
    assert uri in said
    assert "2a 2a 00 00" in said
    put(uri, data + b"\0")
    show_row(case, row_id)
    assert "it had" in capsys.readouterr().out
    with pytest.raises(EvidenceGone):
        expect_same(uri, len(data), hashlib.sha256(data).hexdigest())
    assert [line for checked in verify(case.lake) for line in checked.wrong]


def test_ranges_give_the_bytes_of_the_object(server: Server) -> None:
    chance = random.Random(7)
    data = chance.randbytes(3 * MOST + 12_345)
    uri = put(f"s3://{new_bucket(server)}/x", data)
    with S3File(S3Path.of(uri)) as file:
        assert file.readall() == data
        for _ in range(60):
            at = chance.randrange(len(data) + 10)
            size = chance.choice((1, 100, FIRST, 3 * FIRST, MOST + 1))
            assert file.read_at(at, size) == data[at : at + size]
            file.seek(at)
            assert file.read(size) == data[at : at + size]
        assert file.seek(-5, io.SEEK_END) == len(data) - 5
        assert file.read() == data[-5:]
        assert file.read() == b""
    with S3File(S3Path.of(put(uri + "0", b""))) as file:
        assert file.read() == b""


def test_nothing_is_downloaded_whole_for_its_begin(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The directory of an archive stands at its end."""
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        archive.writestr("noise.bin", random.Random(1).randbytes(24 << 20))
        archive.writestr("x.txt", "hello")
    uri = put(f"s3://{new_bucket(server)}/x.zip", held.getvalue())
    with Proxy(server) as proxy:
        use(monkeypatch, server.environment(proxy.endpoint))
        with S3File(S3Path.of(uri)) as file, zipfile.ZipFile(file) as archive:
            assert archive.read("x.txt") == b"hello"
        assert file.fetched < 1 << 20
        assert len(proxy.requests) < 8


def test_an_object_that_is_replaced_meanwhile(server: Server, tmp_path: Path) -> None:
    uri = put(f"s3://{new_bucket(server)}/x", bytes(4 * FIRST))
    with S3File(S3Path.of(uri)) as file:
        assert file.read(10) == bytes(10)
        put(uri, b"\1" * (4 * FIRST))
        if file.version in (None, "null"):
            with pytest.raises(Changed, match="replaced while it was read"):
                file.read_at(3 * FIRST, 10)


def test_reading_that_breaks_off_is_taken_up(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = random.Random(3).randbytes(MOST)
    uri = put(f"s3://{new_bucket(server)}/x", data)

    def short(request, answer: bytes) -> bytes:
        half = request.method == "GET" and request.number % 2
        return answer[: len(answer) // 2] if half else answer

    with Proxy(server, lie=short) as proxy:
        use(monkeypatch, server.environment(proxy.endpoint))
        with S3File(S3Path.of(uri)) as file:
            assert file.read() == data
        assert S3Path.of(uri).read_bytes() == data
        assert len([r for r in proxy.requests if r.number % 2 and r.method == "GET"]) > 1


def test_what_is_not_there(server: Server, tmp_path: Path) -> None:
    case = tracelake.open(tmp_path / "lake", engagement="case")
    bucket = new_bucket(server)
    report = case.ingest([f"s3://{bucket}/missing", "s3://no-such-bucket-anywhere/x"])
    assert report.exit_code == 1
    said = dict(report.failed)
    assert said[f"s3://{bucket}/missing"] == "there is no such object, and none below it"
    assert "no such bucket" in said["s3://no-such-bucket-anywhere/x"]


def test_the_lake_itself_is_no_evidence(server: Server) -> None:
    bucket = new_bucket(server)
    put(f"s3://{bucket}/sll.pcap", (EVIDENCE / "captures" / "sll.pcap").read_bytes())
    case = tracelake.open(f"s3://{bucket}/lake", engagement="case")
    for _ in range(2):
        report = case.ingest([f"s3://{bucket}"])
        assert (report.exit_code, report.failed) == (0, [])
    assert case.sql("SELECT uri FROM source").fetchall() == [(f"s3://{bucket}/sll.pcap",)]


@pytest.mark.parametrize("name", ["ntfs_img.dd", "ext2.vhd"])
def test_images_by_ranges(server: Server, tmp_path: Path, shared: Path, name: str) -> None:
    found = next(path for path in (shared / "images").rglob(name))
    uri = put(f"s3://{new_bucket(server)}/{name}", found.read_bytes())
    there = tracelake.open(tmp_path / "there", engagement="case")
    here = tracelake.open(tmp_path / "here", engagement="case")
    assert there.ingest([uri]).exit_code == here.ingest([found]).exit_code == 0
    assert counts(there) == counts(here)
    assert there.sql("SELECT paths FROM artifact ORDER BY ALL").fetchall() == here.sql(
        "SELECT paths FROM artifact ORDER BY ALL"
    ).fetchall()


def test_a_large_file_by_several_workers(server: Server, tmp_path: Path) -> None:
    text = (EVIDENCE / "edr" / "cmd_bitsadmin_download_psh_script_2020-10-2302365189.json")
    data = text.read_bytes()
    data *= (40 << 20) // len(data)
    uri = put(f"s3://{new_bucket(server)}/big.json", data)
    local = tmp_path / "big.json"
    local.write_bytes(data)
    there = tracelake.open(tmp_path / "there", engagement="case")
    here = tracelake.open(tmp_path / "here", engagement="case")
    assert there.ingest([uri], workers=2).exit_code == here.ingest([local]).exit_code == 0
    assert counts(there) == counts(here)
