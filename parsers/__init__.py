"""Evidence formats. Adding one is a module and a line here."""

from tracelake.parsers import (
    auditd,
    evtx,
    hive,
    journald,
    jsonl,
    mft,
    ntfs_boot,
    ntfs_index,
    ntfs_log,
    pcap,
    prefetch,
    recycle_bin,
    syslog,
    usn,
    utmp,
    w3c,
    weblog,
)
from tracelake.parsers.artifact import Parser

PARSERS: tuple[Parser, ...] = (
    pcap.PARSER,
    auditd.PARSER,
    evtx.PARSER,
    hive.PARSER,
    journald.PARSER,
    jsonl.PARSER,
    mft.PARSER,
    ntfs_boot.PARSER,
    ntfs_index.PARSER,
    ntfs_log.PARSER,
    prefetch.PARSER,
    recycle_bin.PARSER,
    usn.PARSER,
    utmp.PARSER,
    syslog.PARSER,
    w3c.PARSER,
    weblog.PARSER,
)
CARVERS: tuple[Parser, ...] = tuple(p.carve for p in PARSERS if p.carve is not None)
BY_NAME: dict[str, Parser] = {parser.name: parser for parser in (*PARSERS, *CARVERS)}
"""Every parser by the name that stands in its rows."""
