"""What a Linux host says of itself: os-release, hostname, machine-id, timezone, hosts, resolv.conf,
fstab, sources of packages.

Each fact is a row of `inventory` (class 5001).
"""

import re
from collections.abc import Iterator
from typing import Any

from tracelake.parsers.artifact import Artifact, Rank
from tracelake.parsers.pyrows import PyRows
from tracelake.parsers.textfile import TextLine
from tracelake.parsers.textkinds import Kind, is_comment, parser_of, passed, refused

VERSION = "1"

DEVICE = 5001
QUERY = 1
SETTING = re.compile(r"\s*(\w+)\s*=\s*(.*?)\s*$")
RELEASE = re.compile(r"(.+?)(?: Linux)?(?: Server)? release (\S+)(?: \((.*)\))?")


def _add(
    rows: PyRows, lines: list[TextLine], fact: str, **values: Any
) -> None:
    length = lines[-1].offset + lines[-1].length - lines[0].offset
    rows.seen(length)
    rows.add(
        "inventory", lines[0].offset, length, b"\n".join(line.raw for line in lines),
        class_uid=DEVICE, activity_id=QUERY, fact=fact, **values,
    )  # fmt: skip


def read_os_release(
    lines: Iterator[TextLine], rows: PyRows, artifact: Artifact
) -> Iterator[None]:
    """NAME="Ubuntu" and so on: one row."""
    held = list(lines)
    said = {}
    for line in held:
        found = SETTING.match(line.text)
        if found:
            said[found.group(1)] = found.group(2).strip("\"'")
    if held:
        name = said.get("NAME") or said.get("DISTRIB_ID") or said.get("ID")
        _add(
            rows, held, "os", os_name=name,
            os_version=said.get("VERSION_ID") or said.get("DISTRIB_RELEASE"),
            os_build=said.get("BUILD_ID"), os_edition=said.get("VARIANT"),
            detail=said.get("PRETTY_NAME") or said.get("DISTRIB_DESCRIPTION"), unmapped=said,
        )  # fmt: skip
    yield


def read_release(
    lines: Iterator[TextLine], rows: PyRows, artifact: Artifact
) -> Iterator[None]:
    """redhat-release and the like: "CentOS Linux release 7.9.2009 (Core)"; Debian's version."""
    for line in lines:
        found = RELEASE.match(line.text)
        text = line.text.strip()
        if is_comment(line):
            passed(artifact, line)
        elif found:
            _add(
                rows, [line], "os", os_name=found.group(1), os_version=found.group(2),
                detail=line.text,
            )  # fmt: skip
        elif "debian_version" in artifact.path.lower():
            _add(rows, [line], "os", os_name="Debian", os_version=text, detail=text)
        else:
            refused(artifact, rows, line, "no name and release of a system")
        yield


def _one(fact: str, column: str) -> Any:
    """A reader of files with one value."""

    def read(lines: Iterator[TextLine], rows: PyRows, artifact: Artifact) -> Iterator[None]:
        for line in lines:
            if is_comment(line):
                passed(artifact, line)
            else:
                _add(rows, [line], fact, **{column: line.text.strip()})
            yield

    return read


def read_hosts(lines: Iterator[TextLine], rows: PyRows, artifact: Artifact) -> Iterator[None]:
    """Address and names."""
    for line in lines:
        words = line.text.split("#", 1)[0].split()
        if is_comment(line):
            passed(artifact, line)
        elif len(words) < 2:
            refused(artifact, rows, line, "no address and name")
        else:
            _add(rows, [line], "hosts", addresses=[words[0]], detail=" ".join(words[1:]))
        yield


def read_resolv(lines: Iterator[TextLine], rows: PyRows, artifact: Artifact) -> Iterator[None]:
    """nameserver, search, domain, options."""
    for line in lines:
        words = line.text.split()
        if is_comment(line) or line.raw.lstrip()[:1] == b";":
            passed(artifact, line)
        elif words[0] == "nameserver" and len(words) > 1:
            _add(rows, [line], "name_server", name_servers=words[1:])
        elif words[0] in ("search", "domain") and len(words) > 1:
            _add(rows, [line], "domain", device_domain=words[1], detail=line.text.strip())
        else:
            _add(rows, [line], "resolver", detail=line.text.strip())
        yield


def read_fstab(lines: Iterator[TextLine], rows: PyRows, artifact: Artifact) -> Iterator[None]:
    """Device, folder, file system, options."""
    for line in lines:
        words = line.text.split()
        if is_comment(line):
            passed(artifact, line)
        elif len(words) < 3:
            refused(artifact, rows, line, f"{len(words)} fields, not 4 to 6")
        else:
            _add(
                rows, [line], "mount", detail=f"{words[0]} on {words[1]}",
                unmapped={
                    "device": words[0], "folder": words[1], "file_system": words[2],
                    "options": words[3] if len(words) > 3 else "",
                },
            )  # fmt: skip
        yield


def read_sources(lines: Iterator[TextLine], rows: PyRows, artifact: Artifact) -> Iterator[None]:
    """Where packages come from."""
    for line in lines:
        if is_comment(line):
            passed(artifact, line)
        else:
            _add(rows, [line], "package_source", detail=line.text.strip())
        yield


KINDS = (
    Kind("os-release", re.compile(r"(?:os|lsb)-release$"), re.compile(rb"^\w+=", re.M), False,
         read_os_release),
    Kind("release", re.compile(r"/[^/]*(?:redhat|centos|oracle|fedora|system|rocky|almalinux|suse)"
                               r"[^/]*-release[^/]*$|/debian_version$"),
         None, False, read_release),
    Kind("hostname", re.compile(r"/etc/hostname$|/hostname$"),
         re.compile(rb"\A\s*[\w.-]{1,253}\s*\Z"), False, _one("computer_name", "device_hostname")),
    Kind("machine-id", re.compile(r"/machine-id$"), re.compile(rb"\A[0-9a-f]{32}\s*\Z"), False,
         _one("machine_uid", "device_uid")),
    Kind("timezone", re.compile(r"/etc/timezone$|/timezone$"),
         re.compile(rb"\A\s*[\w+-]+(?:/[\w+-]+)*\s*\Z"), False, _one("time_zone", "time_zone")),
    Kind("hosts", re.compile(r"/etc/hosts$|/hosts$"),
         re.compile(rb"^\s*[0-9a-fA-F:.%]+\s+\S", re.M), False, read_hosts),
    Kind("resolv.conf", re.compile(r"/resolv\.conf$"),
         re.compile(rb"^\s*(?:nameserver|search|domain|options)\s", re.M), False, read_resolv),
    Kind("fstab", re.compile(r"/(?:fs|m)tab$|/proc/mounts$"),
         re.compile(rb"^\s*\S+\s+\S+\s+\w+", re.M), False, read_fstab),
    Kind("sources.list", re.compile(r"/sources\.list$|/sources\.list\.d/[^/]+$"
                                    r"|/yum\.repos\.d/[^/]+$"), None, False, read_sources),
    Kind("sources by content", re.compile(r"\.(?:list|sources)$"),
         re.compile(rb"^(?:deb(?:-src)? |Types: deb)", re.M), False, read_sources),
)  # fmt: skip

PARSER = parser_of(
    "linux_host", VERSION, "a file in which a Linux host names itself", KINDS, ("inventory",),
    ("*etc/*-release", "*etc/debian_version", "*lib/os-release", "*etc/hostname",
     "*etc/machine-id", "*etc/timezone", "*etc/hosts", "*etc/resolv.conf", "*etc/fstab",
     "*etc/mtab", "*etc/apt/sources.list*", "*yum.repos.d/*"),
    Rank.EXECUTION,
)  # fmt: skip
