"""Small file artifacts of Windows, where fuzzing starts from."""

import struct
from pathlib import Path

from tests.test_defender import LOG, entry, history
from tests.test_lnk import info_link
from tests.test_prefetch import made
from tests.test_setupapi import SETUP, SETUP_XP
from tests.test_tasks import EVIL
from tests.test_wer import WER
from tests.test_wmi import QUERY, instance, page, repository
from tracelake.native.rc4 import Rc4
from tracelake.parsers.defender_quarantine import KEY

DATA = Path(__file__).parent / "data/windows"
HISTORY = "PSReadLine/ConsoleHost_history.txt"


def seeds() -> list[tuple[str, bytes]]:
    """(name, bytes) of artifacts of every kind."""
    real = [(path.name, path.read_bytes()) for path in sorted(DATA.iterdir())
            if path.suffix != ".md"]
    job = (DATA / "wintask.job").read_bytes()
    task = (DATA / "Sqm-Tasks").read_bytes()
    transcript = (DATA / "powershell_transcript.txt").read_bytes()
    automatic = (DATA / "f01b4d95cf55d32a.automaticDestinations-ms").read_bytes()
    content = struct.pack("<IIQI", 1, 0, 90, 0) + bytes(90)
    return [
        *real,
        *[("x.pf", made(version)) for version in (17, 23, 26, 30)],
        ("a.lnk", info_link()), ("b.lnk", info_link(True, "/x")),
        ("a.automaticDestinations-ms", automatic[:4096]),
        ("a.job", job + bytes(8)), ("b.job", job[:-48]),
        ("task", EVIL.encode()), ("task", EVIL.encode("utf-16")), ("task", task[2:]),
        (HISTORY, b"whoami\nGet-ChildItem `\n -Force\n"), (HISTORY, "dir\r\n".encode("utf-16")),
        (HISTORY, b"a`\nb"),
        ("t.txt", transcript.replace(b"\r\n", b"\n")), ("t.txt", transcript * 2),
        ("MPLog-1.log", LOG.encode("utf-16")), ("MPLog-2.log", LOG.encode()),
        ("MPDetection-1.log", LOG[200:900].encode("utf-16")),
        ("q", entry()), ("q", entry(b"x")), ("q", Rc4(KEY).crypt(content)),
        ("h", history()), ("h", history() + bytes(16)), ("h", history()[:-40]),
        ("setupapi.dev.log", SETUP.encode()), ("setupapi.log", SETUP_XP.encode()),
        ("setupapi.dev.log", SETUP.encode("utf-16")),
        ("Report.wer", WER.encode("utf-16")), ("Report.wer", WER.encode()),
        ("Report.wer", WER[:200].encode("utf-16")),
        ("OBJECTS.DATA", repository()), ("OBJECTS.DATA", repository(old=True)),
        ("OBJECTS.DATA", page([instance("__EventFilter", ["x", QUERY], wide=True)])),
        ("OBJECTS.DATA", page([instance("__EventFilter", ["x", QUERY])] * 8)),
    ]  # fmt: skip
