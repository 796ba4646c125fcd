"""The recycle bin: single files of both versions, and the lists before them."""

import pytest

from tests.ntfs_build import DELETED_PATH as PATH
from tests.ntfs_build import deleted, info2, listed, read
from tracelake.parsers import recycle_bin
from tracelake.parsers.artifact import Match

SID = "S-1-5-21-1229272821-1547161642-725345543-1003"
FOLDER = f"C/$Recycle.Bin/{SID}/"

@pytest.mark.parametrize("version", [1, 2])
def test_one_deleted_file(version: int) -> None:
    data = deleted(version)
    found = read("recycle_bin", data, FOLDER + "$IABC123.docx")
    (row,) = found.rows
    assert row["subject_path"] == PATH
    assert row["subject_name"] == "report.docx"
    assert (row["subject_size"], row["user_uid"], row["artifact"]) == (1234, SID, "recycle_bin")
    assert row["deleted_time"].isoformat() == "2020-01-02T03:04:05.123456+00:00"
    assert (row["time"], row["time_ns"], row["time_desc"]) == (row["deleted_time"], 700, "deleted")
    assert row["class_uid"] == 5007
    assert row["unmapped"] == {"version": str(version), "kept_as": "$RABC123.docx"}
    assert found.account.bytes_records == len(data)


def test_a_path_that_is_cut_off_is_kept_and_flagged() -> None:
    found = read("recycle_bin", deleted(2)[:60], "x")
    (row,) = found.rows
    assert row["subject_path"] == PATH[:16]
    assert row["parse_flags"] == 1
    assert row.get("user_uid") is None


def test_what_is_no_deleted_file_is_damage() -> None:
    assert read("recycle_bin", deleted(3)).damage[0]["why"] == "version 3 is not known"
    assert read("recycle_bin", deleted(2)[:20]).damage[0]["why"] == "the file ends after 20 bytes"
    assert read("recycle_bin", deleted(2)[:26]).damage[0]["why"] == "the file ends in its header"


def test_a_list_of_deleted_files() -> None:
    data = info2(
        listed("C:\\a.txt", 1), listed("C:\\пример.txt", 2, gone=True), bytes(800),
        listed("C:\\b.txt", 3)[:700],
    )  # fmt: skip
    found = read("recycle_bin", data, f"C/RECYCLER/{SID}/INFO2")
    assert [
        (r["subject_path"], r["src_offset"], r["unmapped"]["status"], r.get("parse_flags"))
        for r in found.rows
    ] == [
        ("C:\\a.txt", 20, "in the bin", None),
        ("C:\\пример.txt", 820, "restored or deleted for good", None),
    ]  # fmt: skip
    assert found.rows[0]["user_uid"] == SID
    assert [(d["src_offset"], d["why"]) for d in found.damage] == [
        (2420, "the file ends inside of it")
    ]
    assert found.account.bytes_slack == 800


def test_a_list_without_unicode() -> None:
    data = info2(
        listed("C:\\ä.txt", 1, 280), listed("C:\\b.txt", 2, 280, gone=True), length=280
    )
    found = read("recycle_bin", data, "INFO2")
    assert [(r["subject_path"], r.get("parse_flags")) for r in found.rows] == [
        ("C:\\ä.txt", 16), ("C:\\b.txt", None),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("head", "path", "sure"),
    [
        (deleted(1), "x", Match.CONTENT),
        (deleted(2, "\\\\server\\share\\a"), "x", Match.CONTENT),
        (deleted(2, "x"), FOLDER + "$IA", Match.NAME),
        (deleted(2, "x"), "x", Match.NO),
        (deleted(2, ticks=0), "x", Match.NO),
        (info2(), "RECYCLER/INFO2", Match.CONTENT),
        (info2(length=99), "RECYCLER/INFO2", Match.NO),
        (info2(listed("C:\\a", 1)), "HOST_C_RECYCLER_INFO2.bin", Match.CONTENT),
        (info2(listed("C:\\a", 1, gone=True)), "x", Match.CONTENT),
        (info2(), "x", Match.NO),
        (b"", "$IA", Match.NO),
    ],
)
def test_what_is_taken(head: bytes, path: str, sure: Match) -> None:
    assert recycle_bin.match(head, path)[0] == sure
