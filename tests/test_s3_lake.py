"""A lake on S3 is what it is in a folder: the same commands, the same rows."""

import errno
import json
import os
import re
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from deltalake import DeltaTable

import tracelake
from tests.s3_case import EVIDENCE, Proxy, Request, Server, answer, new_bucket, root, running, use
from tracelake.analysis.session import RefusedQuery
from tracelake.ingest.verify import verify
from tracelake.lake import s3
from tracelake.lake.errors import LakeError
from tracelake.lake.lake import Lake
from tracelake.lake.s3 import S3Path, delta_options
from tracelake.lake.upload import PART, Upload
from tracelake.normalize import TABLES

SOME = [
    EVIDENCE / "logs" / "crackmapexec_sysmon.evtx",
    EVIDENCE / "captures" / "sll.pcap",
    EVIDENCE / "edr" / "empire_schtasks_creation_standard_user.zip",
]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running() as one:
        yield one


@pytest.fixture(autouse=True)
def aws(server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    use(monkeypatch, server.environment())
    yield
    s3.forget()


@pytest.fixture(scope="module")
def lake(server: Server) -> str:
    """A lake with some evidence."""
    uri = root(server)
    with pytest.MonkeyPatch.context() as patch:
        use(patch, server.environment())
        report = tracelake.open(uri, engagement="case").ingest(SOME)
        assert report.exit_code == 0
    return uri


def run(*words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run(
        [sys.executable, "-m", "tracelake", *words], env=environment, capture_output=True,
        text=True, timeout=120, check=False,
    )


def contents(uri: str) -> dict[str, list[object]]:
    """Each table's rows that are of evidence, by what they are cited by."""
    found = {}
    with tracelake.open(uri, engagement="case").session as session:
        for name, table in TABLES.items():
            if "src_offset" in table.schema.names:
                rows = session.sql(f"SELECT * FROM {name} ORDER BY ALL").fetchall()
                found[name] = rows
    return found


def test_the_same_rows_as_in_a_folder(lake: str, tmp_path: Path) -> None:
    folder = str(tmp_path / "lake")
    tracelake.open(folder, engagement="case").ingest(SOME)
    here, there = contents(folder), contents(lake)
    assert here == there
    assert sum(map(len, here.values())) > 1000


def test_again_adds_nothing(lake: str) -> None:
    case = tracelake.open(lake, engagement="case")
    before = case.lake.snapshot().versions
    report = case.ingest(SOME)
    assert (report.sources, len(report.skipped)) == (0, len(SOME))
    after = case.lake.snapshot().versions
    assert {name: after[name] for name in before if name != "artifact"} == {
        name: before[name] for name in before if name != "artifact"
    }


def test_every_command(lake: str) -> None:
    common = ("--lake", lake, "--engagement", "case")
    row_id = json.loads(
        run("query", "select row_id from process_activity limit 1", *common, "--format", "json")
        .stdout.splitlines()[0]
    )["row_id"]
    for words, expected in (
        (("tables",), "process_activity"),
        (("sources",), "crackmapexec_sysmon.evtx"),
        (("damage",), "row_id"),
        (("show", row_id), "<Event"),
        (("status",), "last heard of an ingest"),
        (("verify",), " 0 findings"),
        (("compact",), "files with"),
        (("sweep",), "files removed"),
    ):
        done = run(*words, *common)
        assert (done.returncode, done.stderr) == (0, ""), (words, done.stdout)
        assert expected in done.stdout, words
    doctor = run("doctor", "--lake", lake)
    assert doctor.returncode == 0, doctor.stdout
    assert "an object can be put where there is none" in doctor.stdout
    assert run("verify", *common).stdout.endswith(" 0 findings\n")


def test_other_engines_see_the_table(lake: str) -> None:
    place = S3Path.of(lake)
    for name in ("process_activity", "artifact"):
        table = DeltaTable(f"{lake}/case/{name}", storage_options=delta_options(place.bucket))
        rows = table.to_pyarrow_table().num_rows
        case = tracelake.open(lake, engagement="case")
        assert case.sql(f"SELECT count(*) FROM {name}").fetchall() == [(rows,)]


def test_an_engagement_that_is_not_there(server: Server) -> None:
    uri = root(server)
    with pytest.raises(LakeError, match="no engagement 'case'"):
        tracelake.open(uri, engagement="case", create=False)
    S3Path.of(f"{uri}/case/notes.txt").write_text("mine")
    with pytest.raises(LakeError, match="in use and is not a lake"):
        tracelake.open(uri, engagement="case")


@pytest.mark.parametrize("uri", ["s3://b", "s3://Bucket/x", "s3://bucket/a b", "s3://bucket/a/../b",
                                 "s3://bucket//a", "s3://bucket/a%20b", "s3://bucket/a?b=c"])
def test_what_no_lake_can_be_called(uri: str) -> None:
    with pytest.raises(ValueError, match="s3://"):
        Lake.open(uri, "case", create=True)


def test_the_lock_holds(lake: str, server: Server) -> None:
    """Nothing but the files of this engagement is read, whatever the URL looks like."""
    other = lake.replace("/warm", "/warm2")
    Lake.open(lake, "other", create=True)
    tracelake.open(lake, engagement="other").ingest(SOME[1:2])
    bucket = S3Path.of(lake).bucket
    elsewhere = new_bucket(server)
    names = tracelake.open(lake, engagement="other").lake.snapshot().files("network_activity")
    stolen = names[0]
    data = S3Path.of(stolen).read_bytes()
    S3Path.of(f"{other}/x.parquet").write_bytes(data)
    S3Path.of(f"s3://{elsewhere}/x.parquet").write_bytes(data)
    inside = stolen.partition("/other/")[2]
    session = tracelake.open(lake, engagement="case").session
    mine = tracelake.open(lake, engagement="case").lake.snapshot().files("process_activity")[0]
    assert session.sql(f"SELECT count(*) > 0 FROM read_parquet('{mine}')").fetchall() == [(True,)]
    for url in (
        stolen,
        f"{lake}/case/../other/{inside}",
        f"{lake}/case/./../other/{inside}",
        f"{lake}/case//../../warm/other/{inside}",
        f"{lake}/case/%2e%2e/other/{inside}",
        f"{mine}/../../../other/{inside}",
        f"{other}/x.parquet",
        f"s3://{elsewhere}/x.parquet",
        f"s3a://{bucket}/warm/other/{inside}",
        f"S3://{bucket}/warm/other/{inside}",
        f"{server.endpoint}/{bucket}/warm/other/{inside}",
        f"{mine}?s3_endpoint=127.0.0.1:1",
        f"{lake}/case/*/*.parquet",
        f"{lake}/other/**",
        "/etc/passwd",
    ):
        with pytest.raises(Exception, match=r"(?i)permission|disabled|cannot access"):
            session.sql(f"SELECT * FROM read_parquet('{url}')").fetchall()
    # Put together where no look at the text would find it.
    with pytest.raises(Exception, match=r"(?i)permission"):
        session.sql(
            f"SELECT * FROM read_parquet('{lake}/case/' || '.' || './other/{inside}')"
        ).fetchall()
    for statement in (
        "CREATE SECRET mine (TYPE s3, KEY_ID 'a', SECRET 'b')",
        f"COPY (SELECT 1) TO '{lake}/case/x.parquet'",
        "SET enable_external_access = true",
        "ATTACH 'x.db'",
    ):
        with pytest.raises(RefusedQuery):
            session.sql(statement)
    shown = str(session.sql("SELECT * FROM duckdb_settings()").fetchall())
    shown += str(session.sql("SELECT * FROM duckdb_secrets()").fetchall())
    assert server.secret not in shown
    with pytest.raises(Exception, match=r"(?i)unredacted"):
        session.sql("SELECT * FROM duckdb_secrets(redact := false)").fetchall()


def test_two_engagements_share_nothing(lake: str) -> None:
    case = tracelake.open(lake, engagement="alone")
    assert case.sql("SELECT count(*) FROM process_activity").fetchall() == [(0,)]


# Uploads


def test_an_upload_of_many_parts(server: Server) -> None:
    path = S3Path.of(f"{root(server)}/x.parquet")
    upload = Upload()
    data = b""
    for number in range(5):
        more = bytes([number]) * (PART // 2 + number)
        os.write(upload.handle, more)
        data += more
        upload.more(path)
    assert upload.finish(path) == len(data)
    upload.wait()
    assert path.read_bytes() == data
    assert upload.handle == -1


def test_what_is_given_up_is_not_there(server: Server) -> None:
    bucket = new_bucket(server)
    for begun in (100, 2 * PART + 1):
        path = S3Path.of(f"s3://{bucket}/x.parquet")
        upload = Upload()
        os.write(upload.handle, bytes(begun))
        upload.more(path)
        upload.finish(path)
        upload.discard()
    assert list(S3Path.of(f"s3://{bucket}").walk()) == []
    listed = server.client().list_multipart_uploads(Bucket=bucket)
    assert listed.get("Uploads", []) == []


def test_an_etag_that_is_no_md5_is_answered_by_reading_back(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where a KMS key encrypts. And a server that holds other bytes is found out."""
    path = S3Path.of(f"{root(server)}/x.parquet")

    def other_etag(_: Request, data: bytes) -> bytes:
        return re.sub(rb'(?im)^(etag: *"?)[0-9a-f]{8}', rb"\g<1>ffffffff", data)

    with Proxy(server, lie=other_etag) as proxy:
        use(monkeypatch, server.environment(proxy.endpoint))
        _send(path, b"abc" * 1000)
        read = [request for request in proxy.requests if request.method == "GET"]
        assert len(read) == 1

    def corrupt(request: Request, data: bytes) -> bytes:
        data = other_etag(request, data)
        return data.replace(b"abcabc", b"abcabd", 1) if request.method == "GET" else data

    with Proxy(server, lie=corrupt) as proxy:
        use(monkeypatch, server.environment(proxy.endpoint))
        with pytest.raises(OSError, match="other bytes than were sent"):
            _send(path, b"abc" * 1000)


def _send(path: S3Path, data: bytes) -> None:
    upload = Upload()
    os.write(upload.handle, data)
    try:
        upload.finish(path)
        upload.wait()
    finally:
        upload.discard() if upload.handle >= 0 else None


def test_large_files_are_what_they_are_in_a_folder(
    server: Server, tmp_path: Path
) -> None:
    """A file that is hashed while it is parsed: its id comes when its rows are written."""
    line = (EVIDENCE / "edr" / "cmd_bitsadmin_download_psh_script_2020-10-2302365189.json")
    text = line.read_bytes()
    big = tmp_path / "big.json"
    with big.open("wb") as file:
        while file.tell() < 34 << 20:
            file.write(text)
    uri = root(server)
    report = tracelake.open(uri, engagement="case").ingest([big], workers=2)
    assert report.exit_code == 0
    folder = str(tmp_path / "lake")
    tracelake.open(folder, engagement="case").ingest([big], workers=2)

    def rows(where: str) -> list[object]:
        return tracelake.open(where, engagement="case").sql(
            "SELECT source_id, count(*), sum(src_offset), min(row_id) FROM process_activity GROUP "
            "BY ALL"
        ).fetchall()

    assert rows(uri) == rows(folder)
    case = tracelake.open(uri, engagement="case")
    assert [line for checked in verify(case.lake) for line in checked.wrong] == []


def test_a_spool_without_room(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk of the spool is full: the message says which, nothing is left, and with more room
    the same command does it."""
    uri = root(server)
    Lake.open(uri, "case", create=True)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "TMPDIR": str(tmp_path)}
    words = [sys.executable, "-m", "tracelake", "ingest", str(SOME[0]), "--lake", uri,
             "--engagement", "case", "--workers", "1"]

    def little() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))

    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False,
                          preexec_fn=little, timeout=120)
    assert done.returncode == 1
    assert "the spool of what goes to S3; TMPDIR says where" in done.stderr
    assert os.strerror(errno.EFBIG) in done.stderr
    assert list(tmp_path.iterdir()) == []
    lake = Lake.open(uri, "case")
    assert not lake.snapshot().complete_units()
    assert [path for path in S3Path.of(uri).walk() if path.name.endswith(".parquet")] == []
    assert run("ingest", str(SOME[0]), "--lake", uri, "--engagement", "case").returncode == 0
    assert [line for checked in verify(lake) for line in checked.wrong] == []


# What the AWS configuration says


def test_a_profile_says_where_and_how(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "config"
    config.write_text(
        f"[profile case]\nregion = eu-north-1\nendpoint_url = {server.endpoint}\n"
        "s3 =\n    addressing_style = path\n"
    )
    keys = tmp_path / "credentials"
    keys.write_text(
        f"[case]\naws_access_key_id = {server.access}\naws_secret_access_key = {server.secret}\n"
    )
    uri = root(server)
    use(monkeypatch, {"AWS_PROFILE": "case", "AWS_CONFIG_FILE": str(config),
                      "AWS_SHARED_CREDENTIALS_FILE": str(keys)})
    options = delta_options(S3Path.of(uri).bucket)
    assert options["AWS_ENDPOINT_URL"] == server.endpoint
    assert options["AWS_VIRTUAL_HOSTED_STYLE_REQUEST"] == "false"
    assert options["AWS_REGION"] == "eu-north-1"
    case = tracelake.open(uri, engagement="case")
    case.ingest(SOME[1:2])
    assert case.sql("SELECT count(*) > 0 FROM network_activity").fetchall() == [(True,)]


def test_buckets_in_the_hosts_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "config"
    config.write_text("[default]\ns3 =\n    addressing_style = virtual\n")
    use(monkeypatch, {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b",
                      "AWS_REGION": "eu-central-1", "AWS_CONFIG_FILE": os.devnull})
    options = delta_options("bucket")
    assert options["AWS_VIRTUAL_HOSTED_STYLE_REQUEST"] == "true"
    assert "AWS_ENDPOINT_URL" not in options
    use(monkeypatch, {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b",
                      "AWS_SESSION_TOKEN": "t", "AWS_REGION": "eu-central-1",
                      "AWS_ENDPOINT_URL_S3": "https://objects.example.org"})
    assert delta_options("bucket")["AWS_VIRTUAL_HOSTED_STYLE_REQUEST"] == "false"
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    s3.forget()
    options = delta_options("bucket")
    assert options["AWS_ENDPOINT_URL"] == "https://bucket.objects.example.org"
    assert options["AWS_SESSION_TOKEN"] == "t"


def test_a_role_is_assumed_and_its_credentials_renewed(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keys change under a session and a committer that stay open: both go on."""
    if not server.moto:
        pytest.skip("only moto has a token service here")
    config = tmp_path / "config"
    config.write_text(
        f"[profile base]\nregion = us-east-1\nendpoint_url = {server.endpoint}\n"
        f"[profile case]\nregion = us-east-1\nendpoint_url = {server.endpoint}\n"
        "role_arn = arn:aws:iam::123456789012:role/case\nsource_profile = base\n"
        "s3 =\n    addressing_style = path\n"
    )
    keys = tmp_path / "credentials"
    keys.write_text("[base]\naws_access_key_id = a\naws_secret_access_key = b\n")
    uri = root(server)
    use(monkeypatch, {"AWS_PROFILE": "case", "AWS_CONFIG_FILE": str(config),
                      "AWS_SHARED_CREDENTIALS_FILE": str(keys)})
    case = tracelake.open(uri, engagement="case")
    case.ingest(SOME[1:2])
    session = case.session
    assert session.sql("SELECT count(*) > 0 FROM network_activity").fetchall() == [(True,)]
    first = s3.connection().frozen(uri)
    assert first[2], "a role has a session token"
    # As time does.
    keys_of_role = s3.connection().credentials
    keys_of_role._refresh_using.__self__._cache.clear()
    keys_of_role._expiry_time = keys_of_role._time_fetcher()
    assert s3.connection().frozen(uri) != first
    known = session.sql("SELECT secret_string FROM duckdb_secrets()").fetchall()[0][0]
    assert s3.connection().frozen(uri)[0] in known
    assert session.sql("SELECT count(*) > 0 FROM network_activity").fetchall() == [(True,)]
    case.ingest(SOME[:1])
    assert [line for checked in verify(case.lake) for line in checked.wrong] == []


def test_without_credentials(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, {"AWS_ENDPOINT_URL": server.endpoint, "AWS_CONFIG_FILE": os.devnull,
                      "AWS_SHARED_CREDENTIALS_FILE": os.devnull, "AWS_REGION": "us-east-1",
                      "AWS_EC2_METADATA_DISABLED": "true"})
    done = run("tables", "--lake", "s3://nobody/x", "--engagement", "case")
    assert done.returncode == 1
    assert "no AWS credentials were found: set AWS_PROFILE" in done.stderr
    assert done.stderr.count("\n") == 1
    monkeypatch.setenv("AWS_PROFILE", "missing")
    done = run("tables", "--lake", "s3://nobody/x", "--engagement", "case")
    assert "the AWS configuration cannot be used" in done.stderr


@pytest.mark.parametrize(("status", "code", "said"), [
    ("404 Not Found", "NoSuchBucket", "there is no such bucket"),
    ("403 Forbidden", "AccessDenied", "S3 denies it to these credentials"),
    ("403 Forbidden", "InvalidAccessKeyId", "S3 does not know this access key"),
    ("400 Bad Request", "ExpiredToken", "credentials have expired: renew them and run the same"),
    ("503 Slow Down", "SlowDown", "S3 asks to slow down"),
    ("500 Internal Error", "InternalError", "run the same command again"),
])
def test_what_to_do_is_said(
    server: Server, monkeypatch: pytest.MonkeyPatch, status: str, code: str, said: str
) -> None:
    with Proxy(server, lambda _: answer(status, code)) as proxy:
        monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
        use(monkeypatch, {**server.environment(proxy.endpoint), "AWS_MAX_ATTEMPTS": "1"})
        done = run("ingest", str(SOME[1]), "--lake", "s3://nobody/x", "--engagement", "case")
    assert done.returncode == 1
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
