"""Who may use a Linux host: passwd, shadow, group, gshadow, sudoers, authorized_keys, known_hosts.

Specifications: passwd(5), shadow(5), group(5), sudoers(5), sshd(8) (AUTHORIZED_KEYS FILE FORMAT).
Each entry is a row of `inventory`, `fact` saying which kind. Password hashes are not kept: what a
case needs of them is the algorithm, and when they were set. Days of shadow are UTC days.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Iterator
from typing import Any

from tracelake.parsers.artifact import Artifact, Rank
from tracelake.parsers.pyrows import PyRows
from tracelake.parsers.textfile import TextLine
from tracelake.parsers.textkinds import Kind, each_line, is_comment, normal, parser_of, passed

VERSION = "1"

USER = 5003
QUERY = 1
DAY_US = 86_400_000_000
LAST_DAY = 2_932_896  # 9999-12-31
ALGORITHMS = {
    "1": "md5", "2a": "bcrypt", "2b": "bcrypt", "2x": "bcrypt", "2y": "bcrypt", "5": "sha256",
    "6": "sha512", "y": "yescrypt", "gy": "gost-yescrypt", "7": "scrypt", "md5": "sun-md5",
}  # fmt: skip
KEY = re.compile(
    r"(?:^|\s)((?:sk-)?(?:ssh|ecdsa)-[\w@.-]+)\s+([A-Za-z0-9+/=]{16,})(?:\s+(.*))?$"
)
OWNER = re.compile(r"/(?:home|users)/([^/]+)/|/(root)/")


def _add(
    rows: PyRows, line: TextLine, fact: str, unmapped: dict[str, str] | None = None, **values: Any
) -> None:
    rows.seen(line.length)
    kept = {name: value for name, value in (unmapped or {}).items() if value}
    rows.add(
        "inventory", line.offset, line.length, line.raw, class_uid=USER, activity_id=QUERY,
        fact=fact, unmapped=kept or None, **values,
    )  # fmt: skip


def read_passwd(
    lines: Iterator[TextLine], rows: PyRows, artifact: Artifact
) -> Iterator[None]:
    """name:password:uid:gid:comment:home:shell"""

    def add(line: TextLine) -> str | None:
        parts = line.text.split(":")
        if len(parts) < 7:
            return f"{len(parts)} fields, not 7"
        _add(
            rows, line, "user", {"gid": parts[3], "password": _password(parts[1])},
            user_name=parts[0] or None, user_uid=parts[2] or None,
            user_full_name=parts[4].split(",")[0] or None, user_comment=parts[4] or None,
            user_home=parts[5] or None, user_shell=":".join(parts[6:]) or None,
        )  # fmt: skip
        return None

    yield from each_line(lines, rows, artifact, add)


def _password(field: str) -> str:
    """What a password's field says, without the hash."""
    if field in ("x", ""):
        return "" if field else "empty: none is asked for"
    lock = "locked, " if field.startswith("!") else ""
    rest = field.lstrip("!")
    if rest in ("", "*", "x") or rest.startswith("*"):
        return "locked" if lock or rest else "none"
    match = re.match(r"\$([^$]+)\$", rest)
    name = ALGORITHMS.get(match.group(1), match.group(1)) if match else "des"
    return lock + name


def _day(field: str) -> int | None:
    return int(field) * DAY_US if field.isdigit() and 0 < int(field) <= LAST_DAY else None


def read_shadow(
    lines: Iterator[TextLine], rows: PyRows, artifact: Artifact
) -> Iterator[None]:
    """name:password:changed:least:most:warn:inactive:expires:"""

    def add(line: TextLine) -> str | None:
        parts = line.text.split(":")
        if len(parts) < 8:
            return f"{len(parts)} fields, not 9"
        _add(
            rows, line, "password",
            {
                "password": _password(parts[1]), "least_days": parts[3],
                "most_days": parts[4], "warn_days": parts[5], "inactive_days": parts[6],
            },
            user_name=parts[0] or None, password_set_time=_day(parts[2]),
            account_expires_time=_day(parts[7]),
            is_disabled=parts[1].startswith(("!", "*")),
        )  # fmt: skip
        return None

    yield from each_line(lines, rows, artifact, add)


def read_group(
    lines: Iterator[TextLine], rows: PyRows, artifact: Artifact
) -> Iterator[None]:
    """name:password:gid:members, or in gshadow name:password:administrators:members"""

    def add(line: TextLine) -> str | None:
        parts = line.text.split(":")
        if len(parts) < 4:
            return f"{len(parts)} fields, not 4"
        _add(
            rows, line, "group",
            {
                "members": parts[3], "password": _password(parts[1]),
                "gid" if parts[2].isdigit() else "administrators": parts[2],
            },
            user_groups=[parts[0]],
        )  # fmt: skip
        return None

    yield from each_line(lines, rows, artifact, add)


def read_sudoers(
    lines: Iterator[TextLine], rows: PyRows, artifact: Artifact
) -> Iterator[None]:
    """Rules, aliases and defaults; a backslash at its end goes on with the next line."""
    held: list[TextLine] = []
    for line in lines:
        if not held and is_comment(line) and not line.raw.lstrip().startswith(
            (b"#include", b"#includedir")
        ):
            passed(artifact, line)
        elif line.raw.endswith(b"\\") and len(held) < 1000:
            held.append(line)
        else:
            held.append(line)
            text = " ".join(part.text.rstrip("\\").strip() for part in held)
            first = text.split(None, 1)[0] if text.split() else ""
            whole = _joined(held)
            special = first.startswith(("Defaults", "#", "@")) or first.endswith("_Alias")
            _add(
                rows, whole, "sudo", detail=text,
                user_name=None if special or first.startswith("%") else first or None,
                user_groups=[first[1:]] if first.startswith("%") else None,
            )  # fmt: skip
            held = []
        yield
    if held:
        _add(rows, _joined(held), "sudo", detail=" ".join(part.text for part in held))


def _joined(lines: list[TextLine]) -> TextLine:
    end = lines[-1].offset + lines[-1].length
    return TextLine(
        b"\n".join(line.raw for line in lines), "", lines[0].offset, end - lines[0].offset
    )


def _key(line: TextLine) -> tuple[str, str, dict[str, str]] | None:
    """(what stands before it, its fingerprint, its type and comment) of a public key."""
    found = KEY.search(line.text)
    if found is None:
        return None
    try:
        blob = base64.b64decode(found.group(2), validate=True)
    except (binascii.Error, ValueError):
        # Nobody gets in with it, and it was meant for somebody.
        broken = {"key_type": found.group(1), "broken_key": found.group(2)}
        return line.text[: found.start()].strip(), "", broken
    digest = base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")
    said = {"key_type": found.group(1), "comment": found.group(3) or ""}
    return line.text[: found.start()].strip(), f"SHA256:{digest}", said


def read_authorized(
    lines: Iterator[TextLine], rows: PyRows, artifact: Artifact
) -> Iterator[None]:
    """Options, type, key, comment."""
    owner = OWNER.search(normal(artifact.path))
    user = next((g for g in owner.groups() if g), None) if owner else None

    def add(line: TextLine) -> str | None:
        key = _key(line)
        if key is None:
            return "no public key"
        options, fingerprint, said = key
        said["options"] = options
        _add(rows, line, "authorized_key", said, user_name=user, detail=fingerprint or None)
        return None

    yield from each_line(lines, rows, artifact, add)


def read_known(
    lines: Iterator[TextLine], rows: PyRows, artifact: Artifact
) -> Iterator[None]:
    """Names (or their hashes), type, key."""
    owner = OWNER.search(normal(artifact.path))
    user = next((g for g in owner.groups() if g), None) if owner else None

    def add(line: TextLine) -> str | None:
        key = _key(line)
        if key is None:
            return "no public key"
        names, fingerprint, said = key
        hosts = names.split()[-1].split(",") if names and names[0] != "|" else None
        said["names"] = names
        _add(
            rows, line, "known_host", said, user_name=user, detail=fingerprint or None,
            addresses=hosts,
        )  # fmt: skip
        return None

    yield from each_line(lines, rows, artifact, add)


KINDS = (
    Kind("passwd", re.compile(r"/passwd[-.~]?(?:bak|old|txt)?$"),
         re.compile(rb"^[\w.+-]+\$?:[^:\n]*:\d*:\d*:[^:\n]*:[^:\n]*:", re.M), False, read_passwd),
    Kind("passwd by content", None,
         re.compile(rb"\Aroot:[^:\n]*:0:0:[^:\n]*:/[^:\n]*:/[^:\n]*$", re.M), True, read_passwd),
    Kind("shadow", re.compile(r"/shadow[-.~]?(?:bak|old|txt)?$"),
         re.compile(rb"^[\w.+-]+\$?:[^:\n]*:\d*:\d*:\d*:\d*:", re.M), False, read_shadow),
    Kind("shadow by content", None,
         re.compile(rb"\Aroot:[^:\n]*:\d+:\d*:\d*:\d*:\d*:\d*:\s*$", re.M), True, read_shadow),
    Kind("group", re.compile(r"/g(?:roup|shadow)[-.~]?(?:bak|old|txt)?$"),
         re.compile(rb"^[\w.+-]+:[^:\n]*:[^:\n]*:", re.M), False, read_group),
    Kind("sudoers", re.compile(r"/sudoers$|/sudoers\.d/[^/]+$"),
         re.compile(rb"=|#|@include"), False, read_sudoers),
    Kind("known_hosts", re.compile(r"known_hosts2?(?:\.old)?$"), None, False, read_known),
    Kind("authorized_keys", re.compile(r"authorized_keys2?$"), None, False, read_authorized),
    Kind("public key", re.compile(r"/[^/]+\.pub$"),
         re.compile(rb"\A(?:ssh|ecdsa|sk-ssh|sk-ecdsa)-\S+ AAAA"), False, read_authorized),
)  # fmt: skip

PARSER = parser_of(
    "linux_accounts", VERSION, "a list of accounts, groups, rights or keys of a Linux host", KINDS,
    ("inventory",),
    ("*etc/passwd*", "*etc/shadow*", "*etc/group*", "*etc/gshadow*", "*etc/sudoers*",
     "*etc/sudoers.d/*", "*.ssh/*authorized_keys*", "*.ssh/known_hosts*",
     "*etc/ssh/ssh_known_hosts*", "*.ssh/*.pub"),
    Rank.EXECUTION,
)  # fmt: skip
