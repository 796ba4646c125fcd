"""Small databases and property lists, where fuzzing starts from."""

import lzma
import plistlib
import tempfile
from pathlib import Path

from tests.database_case import history
from tests.test_fs_events import page

DATA = Path(__file__).parent / "data/databases"
JOB = {"Label": "com.evil", "ProgramArguments": ["/tmp/x", "-y"], "RunAtLoad": True}


def seeds() -> list[tuple[str, bytes]]:
    """(name, bytes) of databases of every kind."""
    system_log, audit = (
        lzma.decompress((DATA / name).read_bytes())
        for name in ("applesystemlog.asl.xz", "openbsm.bsm.xz")
    )
    usage = lzma.decompress((DATA / "srudb.dat.xz").read_bytes())
    events = [
        page(magic, (b"Users/a/x.sh", 7, 0x800011), (b"tmp/y", 8, 0x800008)) * 2
        for magic in (b"1SLD", b"2SLD", b"3SLD")
    ]
    visits = []
    for count in (3, 20, 60):
        with tempfile.TemporaryDirectory() as folder:
            visits.append(history(Path(folder), count, page_size=512).read_bytes())
    forms = (plistlib.FMT_BINARY, plistlib.FMT_XML)
    return [
        *[("History", data) for data in visits],
        *[("a.plist", plistlib.dumps(value, fmt=form)) for form in forms
          for value in (JOB, {**JOB, "WatchPaths": ["/a"]}, {"name": {"deep": [1, b"x"] * 9}},
                        {"text": "word " * 400})],
        ("system.asl", system_log), ("system.asl", system_log[:-40]),
        ("system.asl", system_log[:700]),
        ("audit", audit), ("audit", audit[:900]), ("audit", audit[:-7]),
        *[("0000000000001", data) for data in events],
        ("SRUDB.dat", usage), ("SRUDB.dat", usage[:-65536]), ("SRUDB.dat", usage + bytes(4096)),
    ]  # fmt: skip
