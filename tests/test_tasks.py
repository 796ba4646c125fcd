"""Scheduled tasks, XML and job files: real ones, made ones, hostile ones."""

import struct
from pathlib import Path

from tests.winart_case import notes, read, us
from tracelake.parsers import task_job, task_xml
from tracelake.parsers.artifact import Match
from tracelake.parsers.clock import iso

DATA = Path(__file__).parent / "data/windows"
XML = (DATA / "Sqm-Tasks").read_bytes()
JOB = (DATA / "wintask.job").read_bytes()

EVIL = """<?xml version="1.0" encoding="UTF-16"?>
<Task version="1.2" xmlns="http://schemas.microsoft.com/windows/2004/02/mit/task">
<RegistrationInfo><Date>2024-03-01T10:00:00+02:00</Date><Author>CORP\\eve</Author></RegistrationInfo>
<Triggers><LogonTrigger id="a"><Enabled>true</Enabled></LogonTrigger>
<TimeTrigger><Repetition><Interval>PT5M</Interval></Repetition></TimeTrigger></Triggers>
<Principals><Principal id="Author"><UserId>S-1-5-18</UserId><RunLevel>HighestAvailable</RunLevel>
</Principal></Principals><Settings><Hidden>true</Hidden></Settings>
<Actions Context="Author"><Exec><Command>powershell.exe</Command>
<Arguments>-enc &lt;AA&gt;</Arguments>
<WorkingDirectory>C:\\x</WorkingDirectory></Exec><Exec><Command>calc</Command></Exec>
</Actions></Task>"""


def job(data: bytes, path: str = "x/y.job") -> dict:
    (row,) = read(task_job.PARSER, data, path).rows("job_activity")
    return row


def task(data: bytes, path: str = "C/Windows/System32/Tasks/a/b") -> dict:
    found = read(task_xml.PARSER, data, path)
    assert found.unexplained == 0
    (row,) = found.rows("job_activity")
    return row


def test_a_real_task() -> None:
    assert task_xml.match(XML, "mangled")[0] == Match.CONTENT
    row = task(XML, "evidence/Sqm-Tasks")
    assert row["class_uid"] == 5010
    assert row["job_name"] == "\\Microsoft\\Windows\\PI\\Sqm-Tasks"
    assert row["job_cmd_line"] == "COM {5014B7C8-934E-4262-9816-887FA745A6C4} PiSqmTasks"
    assert row["job_user"] == "S-1-5-18"
    assert (us(row), row["time_ns"], row["time_desc"]) == (1311292800884406, 400, "registered")
    assert row["parse_flags"] == 32, "a date without a zone"
    assert row["job_xml"].startswith("<?xml")
    assert notes(row)["securitydescriptor"].startswith("O:BAG:BAD")


def test_actions_triggers_and_principal() -> None:
    for codec in ("utf-16", "utf-16-le", "utf-8"):
        # Whatever the declaration says, the bytes decide.
        row = task(EVIL.encode(codec))
        assert row["job_name"] == "\\a\\b"
        assert row["job_cmd_line"] == "powershell.exe -enc <AA>; calc"
        assert us(row) == 1709280000000000
        assert not row["parse_flags"]
        said = notes(row)
        assert said["triggers"] == (
            "LogonTrigger id=a Enabled=true\nTimeTrigger Repetition/Interval=PT5M")
        assert said["runlevel"] == "HighestAvailable"
        assert said["settings_Hidden"] == "true"
        assert said["working_directory"] == "C:\\x"
        assert said["author"] == "CORP\\eve"


def test_entities_are_refused() -> None:
    bomb = '<!DOCTYPE Task [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]>'
    text = EVIL.replace('"UTF-16"?>', '"UTF-16"?>' + bomb).replace("calc", "&b;")
    found = read(task_xml.PARSER, text.encode("utf-16"))
    assert not found.tables
    (damage,) = found.damage
    assert damage["why"] == "it declares a document type or an entity"


def test_depth_and_number_of_elements_are_bounded() -> None:
    deep = EVIL.replace("<Settings>", "<Settings>" + "<a>" * 500)
    assert notes(task(deep.encode()))["trouble"] == "more elements than a task has"
    many = EVIL.replace("<Settings>", "<Settings>" + "<a/>" * 30_000)
    row = task(many.encode())
    assert row["parse_flags"] == 1
    assert row["job_user"] == "S-1-5-18", "what stood before is kept"


def test_a_task_cut_anywhere_is_a_row_or_a_damage_row() -> None:
    for at in range(1, len(XML), 5):
        found = read(task_xml.PARSER, XML[:at])
        rows = found.rows("job_activity")
        assert len(rows) + len(found.damage) == 1, at
        assert not rows or rows[0]["parse_flags"] & 1, at


def test_a_real_job() -> None:
    assert task_job.match(JOB, "mangled")[0] == Match.CONTENT
    row = job(JOB, "C/Windows/Tasks/Google.job")
    assert row["job_name"] == "\\Google"
    assert row["job_cmd_line"].endswith("GoogleUpdate.exe /ua /installsource scheduler")
    assert us(row) == us(row, "job_last_run_time") == 1377348120112000
    assert row["parse_flags"] == 32, "local time"
    assert row["job_run_state"] == "ready"
    said = notes(row)
    assert said["author"] == "Brian"
    assert said["triggers"] == "daily start=2013-07-12T15:42 every=60min for=1440min values=1,0,0"


def test_a_job_cut_anywhere() -> None:
    for at in range(1, len(JOB)):
        found = read(task_job.PARSER, JOB[:at])
        assert len(found.rows("job_activity")) + len(found.damage) == 1, at
        assert found.unexplained in (0, at)
    assert notes(job(JOB[:200]))["trouble"] == "the file ends in arguments"
    many = bytearray(JOB)
    struct.pack_into("<H", many, 0x34E, 0xFFFF)
    assert notes(job(bytes(many)))["trouble"] == "claims 65535 triggers"


def test_dates() -> None:
    assert iso("2024-03-01T10:00:00.1234567Z") == (1709287200123456, 700, True)
    assert iso("2024-03-01T10:00:00-08:00") == (1709316000000000, 0, True)
    assert iso("2024-03-01 10:00") == (1709287200000000, 0, False)
    assert iso("2024-13-01T10:00:00") == (None, 0, False)
    assert iso("soon") == (None, 0, False)


def test_every_shared_task_is_read_whole(shared: Path) -> None:
    folder = shared / "triage/museum/ScheduledTasks"
    paths = [path for path in folder.rglob("*") if path.is_file()]
    assert len(paths) == 15
    for path in paths:
        row = task(path.read_bytes(), str(path))
        assert "trouble" not in notes(row), path
        assert row["job_cmd_line"], path
        assert row["job_user"], path
