"""tracelake map: what it proposes is a mapping file that can be used; --mapping uses it."""

import gzip
import json
import random
from pathlib import Path

import pytest

import tracelake
from tracelake.cli import COMMANDS
from tracelake.normalize import extra, mapping, shapes
from tracelake.normalize.mapping_file import MappingError
from tracelake.proposal import NotMapped, propose

DOORS = (
    "when,device,kind,client,login,outcome,note\n"
    "2024-05-01 10:00:00,door-1,BADGE_IN,10.0.0.5,ann,granted,\"first, floor\"\n"
    "2024-05-01 10:01:00,door-2,BADGE_DENIED,10.0.0.6,bob,denied,\n"
    "2024-05-01 10:02:00,door-1,BADGE_IN,10.0.0.7,eve,granted,x\n"
)


def written(tmp_path: Path, text: str, name: str = "doors.csv") -> Path:
    path = tmp_path / name
    path.write_text(text, "utf-8")
    return path


def test_map_edit_ingest_query(tmp_path: Path) -> None:
    sample = written(tmp_path, DOORS)
    text = propose(sample, "Doors", 1000)
    assert 'table = "authentication"' in text
    assert 'time = ["when | zone"]' in text
    assert 'device_hostname = "device"' in text
    assert 'event = "kind"' in text
    assert '# ... = "outcome"    # all, 2 values: granted | denied' in text
    # What an analyst does in ten minutes.
    text = text.replace("activity_id = 99 ", "activity_id = 1 ").replace(
        '# ... = "outcome" ', 'status_id = "outcome | map outcome" '
    )
    text += "\n[maps.outcome]\ngranted = 1\ndenied = 2\n"
    file = written(tmp_path, text, "doors.toml")
    case = tracelake.open(tmp_path / "lake", engagement="a")
    case.ingest([sample], mappings=[file])
    rows = case.sql(
        "SELECT user_name, src_ip, status_id, device_hostname, event_code, log_provider, "
        "mapping_version FROM authentication ORDER BY time"
    ).fetchall()
    assert [row[:4] for row in rows] == [
        ("ann", "10.0.0.5", 1, "door-1"), ("bob", "10.0.0.6", 2, "door-2"),
        ("eve", "10.0.0.7", 1, "door-1"),
    ]  # fmt: skip
    assert rows[0][4:6] == ("BADGE_IN", "Doors")
    mark = extra.mark(((str(file), text),))
    assert rows[0][6] == mapping.load().version + mark
    kept = list((tmp_path / "lake" / "a" / "mappings").iterdir())
    assert [path.read_text("utf-8") for path in kept] == [text]
    assert case.sql("SELECT DISTINCT mapping_version FROM artifact").fetchall() == [(rows[0][6],)]


def test_several_workers_have_it_too(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for i in range(6):
        (folder / f"{i}.csv").write_text(DOORS.replace("ann", f"ann{i}"), "utf-8")
    file = written(tmp_path, propose(folder / "0.csv", "Doors", 1000), "doors.toml")
    case = tracelake.open(tmp_path / "lake", engagement="a")
    case.ingest([folder], workers=2, mappings=[file])
    assert case.sql("SELECT count(*) FROM authentication").fetchone() == (18,)


def test_a_source_that_is_in_with_other_rules(tmp_path: Path) -> None:
    sample = written(tmp_path, DOORS)
    file = written(tmp_path, propose(sample, "Doors", 1000), "doors.toml")
    case = tracelake.open(tmp_path / "lake", engagement="a")
    assert case.ingest([sample]).other_mapping == 0
    again = case.ingest([sample], mappings=[file])
    assert (again.other_mapping, len(again.skipped)) == (1, 1)
    assert case.sql("SELECT count(*) FROM raw_event").fetchone() == (3,)
    other = tracelake.open(tmp_path / "lake", engagement="b")
    other.ingest([sample], mappings=[file])
    assert other.ingest([sample], mappings=[file]).other_mapping == 0
    assert other.ingest([sample]).other_mapping == 1
    assert other.sql("SELECT count(*) FROM authentication").fetchone() == (3,)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('provider = "V"\n[[shapes]]\nhas = ["a"]\ntime = "x | bogus"\n',
         "line 4: [shapes] time: no clock 'bogus'"),
        ('provider = "V"\n[[shapes]]\nhas = ["a"]\n["*"]\ntable = "nope"\n', "line 5: [*] table"),
        ('provider = "V"\n[[shapes]]\nhas = ["a"]\n[[shapes]]\nhas = ["b"]\nwhat = 1\n',
         "line 6: [shapes] what"),
        ('provider = "V"\n[[shapes]]\nhas = ["a"]\n[shapes.system]\nnope = "x"\n',
         "line 5: [shapes.system] nope"),
        ("provider = \n", "doors.toml: Invalid value"),
        ('provider = "V"\n["*"]\ntable = "authentication"\n', "are for files with [[shapes]]"),
    ],
)  # fmt: skip
def test_wrong_files_are_told_before_anything_is_read(
    tmp_path: Path, text: str, why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    sample, file = written(tmp_path, DOORS), written(tmp_path, text, "doors.toml")
    with pytest.raises(MappingError) as error:
        extra.read([file])
    assert why in str(error.value)
    case = tracelake.open(tmp_path / "lake", engagement="a")
    with pytest.raises(MappingError):
        case.ingest([sample], mappings=[file])
    assert case.sql("SELECT count(*) FROM source").fetchone() == (0,)
    assert extra.files() == ()


def test_the_command_is_there() -> None:
    assert "map" in COMMANDS


def test_what_cannot_be_mapped_is_said(tmp_path: Path) -> None:
    with pytest.raises(NotMapped, match="no parser takes it"):
        propose(written(tmp_path, "nothing of this\nis a log\n", "x.txt"), "", 10)
    access = '1.2.3.4 - - [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.0" 200 1\n'
    with pytest.raises(NotMapped, match="needs no mapping"):
        propose(written(tmp_path, access, "access.log"), "", 10)


def test_kinds_of_events_go_to_their_tables(tmp_path: Path) -> None:
    lines = [
        {"ts": 1700000000 + i, "vendor": "Acme", "event_type": kind, "host": "h", **more}
        for i in range(10)
        for kind, more in (
            ("proc", {"image": "C:\\a", "cmdline": f"a {i}", "pid": i, "parent_image": "C:\\b"}),
            ("dns", {"query": "example.com", "query_type": "A", "answers": ["1.2.3.4"]}),
        )
    ]
    sample = tmp_path / "acme.json.gz"
    sample.write_bytes(gzip.compress("".join(json.dumps(line) + "\n" for line in lines).encode()))
    text = propose(sample, "Acme EDR", 1000)
    assert 'has = ["vendor=Acme", ' in text
    assert 'time = ["ts | epoch s"]' in text
    file = written(tmp_path, text, "acme.toml")
    case = tracelake.open(tmp_path / "lake", engagement="a")
    case.ingest([sample], mappings=[file])
    counts = [case.sql(f"SELECT count(*) FROM {t}").fetchone() for t in ("process_activity",
                                                                         "dns_activity")]
    assert counts == [(10,), (10,)]
    assert case.sql("SELECT min(epoch(time)) FROM dns_activity").fetchone() == (1700000000.0,)


def test_every_proposal_can_be_used(tmp_path: Path, shared: Path) -> None:
    files = [
        path for folder in ("edr", "oracles/sekoia-edr", "oracles/zeek-logs/pcap/malcolm")
        for path in sorted((shared / folder).rglob("*"))
        if path.is_file() and path.stat().st_size < 100_000
    ]  # fmt: skip
    proposed = 0
    for path in random.Random(6).sample(files, 40):
        try:
            text = propose(path, "", 200)
        except NotMapped:
            continue
        extra.read([written(tmp_path, text, "x.toml")])
        proposed += 1
    assert proposed > 30
    assert not extra.is_bare()
    assert len(shapes.load()) > 10
