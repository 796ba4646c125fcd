"""PowerShell's history and transcripts."""

from pathlib import Path

from tests.winart_case import Found, notes, read, us
from tracelake.parsers import ps_history, ps_transcript
from tracelake.parsers.artifact import Match
from tracelake.parsers.text_lines import LINE_MOST

TRANSCRIPT = (Path(__file__).parent / "data/windows/powershell_transcript.txt").read_bytes()
HISTORY = "C/Users/ada/AppData/Roaming/PSReadLine/ConsoleHost_history.txt"


def rows(found: Found) -> list[dict]:
    return found.rows("script_activity")


def test_a_history() -> None:
    data = "whoami\r\nGet-ChildItem `\r\n  -Force\r\n\r\nécho x\n".encode()
    assert ps_history.match(data, HISTORY)[0] == Match.CONTENT
    assert ps_history.match(data, "notes.txt")[0] == Match.NO
    found = read(ps_history.PARSER, data, HISTORY)
    assert [row["script_content"] for row in rows(found)] == [
        "whoami", "Get-ChildItem \n  -Force", "écho x"]
    assert [row["src_offset"] for row in rows(found)] == [0, 8, 37]
    first = rows(found)[0]
    assert first["time"] is None
    assert (first["user_name"], first["host_name"]) == ("ada", "ConsoleHost")
    assert first["script_type"] == "PowerShell"
    assert found.unexplained == 0
    for codec in ("utf-16", "utf-16-le", "utf-16-be"):
        again = rows(read(ps_history.PARSER, data.decode().encode(codec), HISTORY))
        assert [row["script_content"] for row in again] == [
            row["script_content"] for row in rows(found)], codec


def test_a_history_that_ends_in_a_command() -> None:
    (row,) = rows(read(ps_history.PARSER, b"if (1) {`\n  x`", HISTORY))
    assert row["script_content"] == "if (1) {\n  x"
    assert row["parse_flags"] == 1
    (row,) = rows(read(ps_history.PARSER, b"caf\xe9", HISTORY))
    assert (row["script_content"], row["parse_flags"]) == ("café", 16)


def test_a_line_without_end_is_divided() -> None:
    found = read(ps_history.PARSER, b"x" * (2 * LINE_MOST + 7), HISTORY)
    assert [len(row["script_content"]) for row in rows(found)] == [LINE_MOST, LINE_MOST, 7]
    assert [row["parse_flags"] for row in rows(found)] == [1, 1, None]


def test_a_real_transcript() -> None:
    assert ps_transcript.match(TRANSCRIPT, "x")[0] == Match.CONTENT
    found = read(ps_transcript.PARSER, TRANSCRIPT, "x.txt")
    start, command, end = rows(found)
    assert (us(start), start["time_desc"], start["parse_flags"]) == (
        1658371069000000, "session_start", 32)
    assert start["device_hostname"] == "MSEDGEWIN10"
    assert (start["user_domain"], start["user_name"]) == ("MSEDGEWIN10", "IEUser")
    assert start["host_application"].endswith("powershell.exe")
    assert (start["engine_version"], start["actor_pid"]) == ("5.1.17763.1852", 6456)
    assert notes(start)["CLRVersion"] == "4.0.30319.42000"
    assert command["script_content"] == "whoami"
    assert command["time"] is None
    assert notes(command)["output"] == "msedgewin10\\ieuser"
    assert command["user_name"] == "IEUser"
    assert us(end) == 1658371079000000
    assert found.unexplained == 0


def test_invocation_headers_and_other_languages() -> None:
    stars = "*" * 22
    text = "\r\n".join([
        stars, "Start der Windows PowerShell-Aufzeichnung", "Startzeit: 20240102030405",
        "Benutzername: DOM\\ada", "RunAs-Benutzer: DOM\\adm",
        "Computer: PC1 (Microsoft Windows NT 10.0.19045.0)", "Prozess-ID: 12", stars,
        stars, "Command start time: 20240102030406", stars,
        "PS C:\\Users\\ada> dir | % {", ">>", ">> }", "out > file",
        stars, "Command start time: 20240102030407", stars,
        "[srv]: PS C:\\>exit", ""])
    found = read(ps_transcript.PARSER, text.encode("utf-16"))
    start, one, two = rows(found)
    assert start["user_name"] == "adm"
    assert start["device_hostname"] == "PC1"
    assert us(start) == 1704164645000000
    assert us(one) == 1704164646000000
    assert one["script_content"] == "dir | % {\n\n}"
    assert notes(one)["output"] == "out > file"
    assert us(two) == 1704164647000000
    assert two["script_content"] == "exit"
    assert notes(two)["prompt"] == "[srv]: PS C:\\>"
    assert found.unexplained == 0


def test_a_transcript_cut_anywhere_loses_nothing() -> None:
    for at in range(len(TRANSCRIPT)):
        assert read(ps_transcript.PARSER, TRANSCRIPT[:at]).unexplained == 0, at
