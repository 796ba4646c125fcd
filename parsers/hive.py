"""Registry hives (REGF, versions 1.0 to 1.6): every key and every value, and what they mean.

Specification: "Windows registry file format specification" (M. Suhanov); "Windows NT Registry
File (REGF) format" (libyal, libregf). To be read in this order:

- `hive_log.pyx`: transaction logs, applied to a hive that was left in the middle of a write.
- `hive_cells.pyx`: the hive in memory; `hive_walk.pyx`: its tree; `hive_rows.pyx`,
  `hive_values.pyx`: rows of `registry_activity`.
- `hive_lost.pyx`: deleted keys and values, and cells that no key leads to.
- `hive_roots.py`: which hive it is. `hive_meaning.py`: which keys mean what, and who reads them.

A hive is held in memory, up to `MOST` bytes; of a large one the bytes that nobody looks at are
packed (held.pxd). One that is dirty is read with the logs beside it;
where there are none, or they cannot be applied, it is read as it is, and a damage row says so.
Rows of what a log has written keep their bytes in `raw`: the file itself does not have them.
"""

import struct
from collections.abc import Iterator

import pyarrow as pa

from tracelake.native.errors import Corrupt, EvidenceError, Truncated, Unsupported
from tracelake.parsers.artifact import NO_ROWS_YET, Artifact, Match, Parser, Rank
from tracelake.parsers.held import Held
from tracelake.parsers.hive_cells import Hive
from tracelake.parsers.hive_keys import Key, key_at
from tracelake.parsers.hive_log import Header, Replay, replay
from tracelake.parsers.hive_lost import Lost
from tracelake.parsers.hive_meaning import PATTERNS, TABLES_OF_MEANING, Meaning
from tracelake.parsers.hive_roots import Root, find_root
from tracelake.parsers.hive_rows import HiveRows
from tracelake.parsers.hive_walk import FULL, MEANT, Walk

VERSION = "1"
MOST = 512 << 20
LOG_MOST = 96 << 20  # bytes of its logs together
PIECE = 1 << 20
BASE = 4096
LOG_KINDS = (1, 2, 6)


def match(head: bytes, path: str) -> tuple[Match, str]:
    """How sure it is that an artifact is a hive, and why not."""
    if head[:4] == b"regf" and len(head) >= 32:
        if struct.unpack_from("<I", head, 28)[0] in LOG_KINDS and head[BASE : BASE + 4] != b"hbin":
            return Match.NO, "a transaction log of a registry hive: it is read with its hive"
        return Match.CONTENT, ""
    if head[BASE : BASE + 4] == b"hbin":
        return Match.CONTENT, ""
    return Match.NO, "it does not begin with `regf`"


def read(artifact: Artifact) -> Iterator[tuple[str, pa.RecordBatch]]:
    """Yields the rows of a hive.

    Raises:
        EvidenceError: the hive is longer than `MOST`, or its bytes could not be read to the end
            (what was there is read all the same).
    """
    data, stopped = _all(artifact)
    file_size = len(data)
    if file_size < 512:
        raise stopped or Truncated("base block", 0, f"{file_size} bytes are no registry hive")
    applied = _apply_logs(artifact, data)
    account = artifact.account
    account.bytes_structure += min(file_size, BASE)
    root_cell, bins, inner = _base_block(data)
    hive = Hive(data, file_size, account, applied.merged())
    root_cell, key = _root_key(hive, data, root_cell)
    root = find_root(key, inner, artifact.path)
    alias = _alias(root, key)
    rows = HiveRows(hive, alias)
    current = alias[0].decode().rsplit("\\", 1)[-1].lower() if alias is not None else ""
    meaning = Meaning(artifact, root, current)
    path = root.path.encode()
    if key is None:
        account.broken(36, 4, "registry hive", "no root key can be found")
    else:
        walk = Walk(hive, rows, account, root_cell, path, PATTERNS, PATTERNS.start(root.kind))
        while (state := walk.next()) in (FULL, MEANT):
            if state == FULL:
                yield "registry_activity", rows.finish()
                yield from meaning.full()
            else:
                found = key_at(hive, walk.key, "", walk.key_path)
                if found is not None:
                    meaning.read(PATTERNS.kinds(walk.state), found)
                    yield from meaning.full()
        yield NO_ROWS_YET
    end = BASE + bins if 0 < bins <= len(data) - BASE else len(data)
    lost = Lost(hive, rows, account, root_cell, path, end)
    while lost.next():
        yield "registry_activity", rows.finish()
    for offset, of in lost.cut_off:
        names = of[len(path) + 1 :].decode("utf-8", "replace").split("\\")
        state = PATTERNS.at(PATTERNS.start(root.kind), names)
        found = None
        if state >= 0 and PATTERNS.means(state):
            found = key_at(hive, offset, "", of.decode("utf-8", "replace"))
        if found is not None:
            meaning.read(PATTERNS.kinds(state), found)
            yield from meaning.full()
    if rows.only_logged:
        account.counters["rows of what only a log has"] = rows.only_logged
    if rows.rows.count:
        yield "registry_activity", rows.finish()
    yield from meaning.rest()
    if stopped is not None:
        raise stopped


def _all(artifact: Artifact) -> tuple[Held, EvidenceError | None]:
    """The artifact's bytes, and what stopped the reading of them."""
    data = Held("registry hive", MOST + LOG_MOST)
    try:
        while piece := artifact.feed.read(PIECE):
            data.extend(piece)
            if len(data) > MOST:
                raise Unsupported("registry hive", 0, f"it is longer than {MOST >> 20} MiB")
    except Unsupported:
        raise
    except EvidenceError as error:
        return data, error
    return data, None


def _apply_logs(artifact: Artifact, data: Held) -> Replay:
    """Applies the logs beside the hive where it is dirty, and says what became of it."""
    account = artifact.account
    head = Header(data)
    if not head.dirty:
        return Replay()
    name = artifact.path.replace("\\", "/").rsplit("/", 1)[-1]
    logs = []
    room = LOG_MOST
    for ending in (".LOG1", ".LOG2", ".LOG"):
        log = artifact.beside(name + ending, room)
        if log:
            logs.append((ending[1:], log))
            room -= len(log)
    applied = replay(data, logs, MOST)
    if applied.entries:
        account.records += applied.entries
        account.counters["log entries applied"] = applied.entries
        if any("outside" in note or "ends after" in note for note in applied.notes):
            account.broken(0, 512, "transaction log", "; ".join(applied.notes))
    else:
        if not head.good:
            applied.notes.insert(0, "its checksum is wrong")
        account.broken(0, 512, "base block", "; ".join(applied.notes))
    return applied


def _base_block(data: Held) -> tuple[int, int, str]:
    """(offset of the root cell, bytes of hive bins, file name) of a base block."""
    root, bins = struct.unpack("<II", data[36:44])
    text = data[48:112].decode("utf-16-le", "replace")
    return root, bins, text.split("\0", 1)[0]


def _root_key(hive: Hive, data: Held, cell: int) -> tuple[int, Key | None]:
    """The root key: where the base block says, else the first that says so itself."""
    found = key_at(hive, cell, "", "")
    if found is not None:
        return cell, found
    at = data.find(b"nk\x2c\x00")
    while at >= 0:
        offset = at - 4 - BASE
        if offset >= 32 and offset % 8 == 0:
            found = key_at(hive, offset, "", "")
            if found is not None:
                return offset, found
        at = data.find(b"nk\x2c\x00", at + 4)
    return cell, None


def _alias(root: Root, key: Key | None) -> tuple[bytes, bytes] | None:
    """The control set that Windows ran with, and the name it has there."""
    if root.kind != "SYSTEM" or key is None:
        return None
    try:
        select = key.subkey("Select")
        current = select.number("Current") if select is not None else None
        wanted = f"controlset{current:03}" if current is not None else ""
        for child in key.subkeys():
            if child.name.lower() == wanted:
                old = f"{root.path}\\{child.name}"
                return old.encode("utf-8", "replace"), f"{root.path}\\CurrentControlSet".encode()
    except Corrupt:
        return None
    return None


PARSER = Parser(
    name="hive",
    version=VERSION,
    match=match,
    tables=("registry_activity", *TABLES_OF_MEANING),
    read=read,
    files=(
        "*/config/system", "*/config/software", "*/config/sam", "*/config/security",
        "*/config/default", "*/config/components", "*/config/drivers", "*/config/bbi",
        "*/config/regback/*", "*/ntuser.dat", "*/ntuser.man", "*/usrclass.dat", "*/amcache.hve",
        "*/syscache.hve", "*/boot/bcd", "*/appcompat/programs/*.hve",
        "*/packages/*/settings/settings.dat",
    ),
    rank=Rank.REGISTRY,
)
