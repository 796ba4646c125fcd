r"""What Microsoft Defender found: `Scans\History\Service\DetectionHistory\..\<GUID>`.

Specification: "Windows Defender scan DetectionHistory file format" (libyal, dtformats).

    value = size (4)  type (4)  data  filled up to 8 bytes
    number of the threat, GUID; then sets that begin with the text "Magic.Version:1.2":
    the threat (its name, numbers), then each resource (kind, place, flags, tracking data); behind
    the last one times (last change, detection, remediation), user, process

A resource is a row of `detection_finding`.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from tracelake.parsers.artifact import Artifact, Match, Parser, Rank
from tracelake.parsers.pyrows import TRUNCATED, PyRows
from tracelake.parsers.shell_names import guid_text
from tracelake.parsers.whole import micros, moment, notes, whole

VERSION = "1"

MOST = 16 << 20
VALUES_MOST = 20_000
TRACKING_MOST = 256
MAGIC = "Magic.Version:"
_MAGIC_BYTES = MAGIC.encode("utf-16-le")
_FILETIME, _TEXT, _GUID, _BYTES = 0x0A, 0x15, 0x1E, 0x28
_CATEGORIES = (
    "INVALID ADWARE SPYWARE PASSWORDSTEALER TROJANDOWNLOADER WORM BACKDOOR REMOTEACCESSTROJAN "
    "TROJAN EMAILFLOODER KEYLOGGER DIALER MONITORINGSOFTWARE BROWSERMODIFIER COOKIE BROWSERPLUGIN "
    "AOLEXPLOIT NUKER SECURITYDISABLER JOKEPROGRAM HOSTILEACTIVEXCONTROL SOFTWAREBUNDLER "
    "STEALTHNOTIFIER SETTINGSMODIFIER TOOLBAR REMOTECONTROLSOFTWARE TROJANFTP "
    "POTENTIALUNWANTEDSOFTWARE ICQEXPLOIT TROJANTELNET EXPLOIT FILESHARINGPROGRAM "
    "MALWARE_CREATION_TOOL REMOTE_CONTROL_SOFTWARE TOOL 35 TROJAN_DENIALOFSERVICE TROJAN_DROPPER "
    "TROJAN_MASSMAILER TROJAN_MONITORINGSOFTWARE TROJAN_PROXYSERVER 41 VIRUS KNOWN UNKNOWN SPP "
    "BEHAVIOR VULNERABILITY POLICY EUS RANSOM ASR"
)
_CATEGORY_NAMES = _CATEGORIES.split()


@dataclass(frozen=True, slots=True)
class Value:
    """Attributes:
    at: where it stands; kind: its type; data: its bytes.
    """

    at: int
    kind: int
    data: bytes

    @property
    def text(self) -> str:
        """What it says."""
        if self.kind == _TEXT:
            even = self.data[: len(self.data) & ~1]
            return even.decode("utf-16-le", "surrogatepass").rstrip("\0")
        if self.kind == _GUID and len(self.data) >= 16:
            return guid_text(self.data)
        if len(self.data) in (4, 8) and self.kind != _BYTES:
            return str(int.from_bytes(self.data, "little"))
        return self.data.hex()


def match(head: bytes, path: str) -> tuple[Match, str]:
    """Whether an artifact is a detection, and why not."""
    if head[:8] == b"\x08\0\0\0\x08\0\0\0" and _MAGIC_BYTES in head[:512]:
        return Match.CONTENT, ""
    return Match.NO, "no values of a detection"


def values(data: bytes) -> tuple[list[Value], str]:
    """(values, what could not be read)."""
    found: list[Value] = []
    at = 0
    while at + 8 <= len(data):
        size, kind = struct.unpack_from("<II", data, at)
        if at + 8 + size > len(data):
            return found, f"a value of {size} bytes at {at}, {len(data) - at - 8} are left"
        if len(found) == VALUES_MOST:
            return found, f"more than {VALUES_MOST} values"
        found.append(Value(at, kind, data[at + 8 : at + 8 + size]))
        at += 8 + size + -size % 8
    return found, "" if at >= len(data) else f"{len(data) - at} bytes that are no value"


def sets(found: list[Value]) -> list[list[Value]]:
    """The values in front of the first mark, then those behind each."""
    divided: list[list[Value]] = [[]]
    for value in found:
        if value.kind == _TEXT and value.text.startswith(MAGIC):
            divided.append([])
        else:
            divided[-1].append(value)
    return divided


def tracking(data: bytes) -> dict[str, str]:
    """Threat tracking data: what the engine knew of a file, by name."""
    found: dict[str, str] = {}
    at = 24 if len(data) >= 24 and struct.unpack_from("<I", data)[0] == 1 else 4
    while at + 8 <= len(data) and len(found) < TRACKING_MOST:
        size = struct.unpack_from("<I", data, at)[0]
        if not size or at + 8 + size > len(data):
            break
        name = _string(data[at + 4 : at + 4 + size])
        kind = struct.unpack_from("<I", data, at + 4 + size)[0]
        at += 8 + size
        if kind == 6:
            if at + 4 > len(data):
                break
            length = struct.unpack_from("<I", data, at)[0]
            value, at = _string(data[at + 4 : at + 4 + length]), at + 4 + length
        elif kind in (3, 4, 5):
            length = {3: 4, 4: 8, 5: 1}[kind]
            value, at = str(int.from_bytes(data[at : at + length], "little")), at + length
        elif kind == 7:
            value, at = data[at : at + 5].hex(), at + 5
        else:
            break
        found[name] = value
    return found


def _string(data: bytes) -> str:
    codec = "utf-16-le" if data[1:2] == b"\0" else "utf-8"
    return data.decode(codec, "replace").rstrip("\0")


def read(artifact: Artifact) -> Iterator[tuple[str, pa.RecordBatch]]:
    """Yields a row of `detection_finding` for each resource.

    Args:
        artifact: its account is kept.

    Raises:
        EvidenceError: the bytes could not be read on; what could be is yielded before.
    """
    data, stopped = whole(artifact, MOST, "DetectionHistory")
    rows = PyRows(artifact)
    found, why = values(data)
    divided = sets(found)
    if len(divided) < 2 or not divided[1]:
        if data:
            rows.damaged(0, len(data), "DetectionHistory", why or "there is no threat in it",
                         data[:256])
    else:
        _rows(rows, data, divided, why)
    yield from rows.rest()
    if stopped is not None:
        raise stopped


def _rows(rows: PyRows, data: bytes, divided: list[list[Value]], why: str) -> None:
    first, threat, places = divided[0], divided[1], divided[2:]
    last = places[-1][4:] if places else []
    times = [int.from_bytes(v.data[:8], "little") for v in last if v.kind == _FILETIME]
    texts = [v.text for v in last if v.kind == _TEXT]
    us, ns = moment(times[1]) if len(times) > 1 else moment(times[0]) if times else (None, None)
    common: dict[str, Any] = {
        "time": us, "time_ns": ns, "time_desc": "detected" if us is not None else None,
        "activity_id": 1, "threat_name": threat[0].text, "title": threat[0].text,
        "threat_uid": first[0].text if first else None, "analytic_type": "antivirus",
        "detection_source": "DetectionHistory",
        "finding_uid": next((v.text for v in first if v.kind == _GUID), None),
    }
    numbers = [v.text for v in threat[1:]]
    if len(numbers) > 2 and numbers[2].isdigit() and int(numbers[2]) < len(_CATEGORY_NAMES):
        common["threat_category"] = _CATEGORY_NAMES[int(numbers[2])]
    if texts:
        domain, slash, user = texts[0].partition("\\")
        common |= {"user_domain": domain, "user_name": user} if slash else {"user_name": domain}
    if len(texts) > 1 and texts[1]:
        common |= {"actor_path": texts[1], "actor_name": texts[1].rsplit("\\", 1)[-1]}
    other = notes(
        threat_values=" ".join(numbers), trouble=why,
        changed_us=micros(times[0]) if times else None,
        remediated_us=micros(times[2]) if len(times) > 2 else None,
        values=" | ".join(v.text for v in last),
    )  # fmt: skip
    flags = TRUNCATED if why else 0
    # What stands in front of the first resource is of it, too.
    begins = [place[0].at if place else 0 for place in places[1:]]
    begins = [0, *[at for at in begins if at]]
    ends = [*begins[1:], len(data)]
    for place, at, end in zip(
        [each for n, each in enumerate(places or [[]]) if n == 0 or each], begins, ends, strict=True
    ):
        rows.seen(end - at)
        kind, where = (v.text for v in place[:2]) if len(place) > 1 else ("", "")
        said = other | notes(resource_type=kind)
        row = dict(common)
        for value in place[2:5]:
            if value.kind == _BYTES:
                known = tracking(value.data)
                said |= known or notes(tracking=value.data.hex())
                sha256 = known.get("ThreatTrackingSha256", "").lower()
                row["file_sha256"] = sha256 if len(sha256) == 64 else None
        if "cmdline" in kind.lower():
            row["proc_cmd_line"] = where or None
        else:
            row["file_path"] = where or None
        rows.add("detection_finding", at, end - at, data[at:end], flags=flags, unmapped=said,
                 **row)


PARSER = Parser(
    "defender_history",
    VERSION,
    match,
    ("detection_finding",),
    read,
    files=("*/windows defender/scans/history/service/detectionhistory/*",),
    rank=Rank.USE,
)
