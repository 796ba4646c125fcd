"""Error reports of Windows."""

from tests.winart_case import notes, read, us
from tracelake.parsers import wer
from tracelake.parsers.artifact import Match

WER = "\r\n".join([
    "Version=1", "EventType=APPCRASH", "EventTime=132223104000000005", "ReportType=2",
    "ReportIdentifier=0a0b", "TargetAppId=W:0006" + "0" * 40 + "!0000" + "AB" * 20 + "!evil.exe",
    "Sig[0].Name=Application Name", "Sig[0].Value=evil.exe", "Sig[1].Name=Application Version",
    "Sig[1].Value=1.2.3.4", "Sig[6].Name=Exception Code", "Sig[6].Value=c0000005",
    "LoadedModule[0]=C:\\t\\evil.exe", "LoadedModule[1]=C:\\Windows\\ntdll.dll",
    "FriendlyEventName=Stopped working", "AppName=Evil", "AppPath=C:\\t\\evil.exe", ""])


def test_a_report() -> None:
    for codec in ("utf-16", "utf-16-le", "utf-8"):
        data = WER.encode(codec)
        assert wer.match(data, "mangled")[0] == Match.CONTENT
        found = read(wer.PARSER, data)
        row = found.one
        assert (row["subject_path"], row["subject_name"]) == ("C:\\t\\evil.exe", "evil.exe")
        assert (row["subject_sha1"], row["subject_version"]) == ("ab" * 20, "1.2.3.4")
        assert (us(row), row["time_ns"], row["time_desc"]) == (1577836800000000, 500, "reported")
        assert row["referenced"] == ["C:\\t\\evil.exe", "C:\\Windows\\ntdll.dll"]
        assert row["detail"] == "Stopped working"
        assert row["is_executed"]
        assert notes(row)["signature Exception Code"] == "c0000005"
        assert found.unexplained == 0
    assert wer.match(b"Version=1\nx=y\n", "x.wer")[0] == Match.NO


def test_cut_anywhere() -> None:
    data = WER.encode("utf-16")
    for at in range(1, len(data)):
        found = read(wer.PARSER, data[:at])
        assert len(found.rows()) + len(found.damage) == 1, at
        assert bool(found.rows()) == (b"E\0v\0e\0n\0t\0T\0y\0p\0e\0=\0" in data[:at]), at
