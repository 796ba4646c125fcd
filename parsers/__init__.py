"""Evidence formats. Adding one is a module and a line here."""

from tracelake.parsers import (
    asl,
    bsm,
    ese_db,
    evtx,
    fs_events,
    hive,
    jsonl,
    mft,
    ntfs_boot,
    ntfs_index,
    ntfs_log,
    pcap,
    plist,
    prefetch,
    recycle_bin,
    sqlite_db,
    usn,
)
from tracelake.parsers.artifact import Parser

PARSERS: tuple[Parser, ...] = (
    pcap.PARSER,
    evtx.PARSER,
    asl.PARSER,
    bsm.PARSER,
    ese_db.PARSER,
    fs_events.PARSER,
    hive.PARSER,
    jsonl.PARSER,
    mft.PARSER,
    ntfs_boot.PARSER,
    ntfs_index.PARSER,
    ntfs_log.PARSER,
    plist.PARSER,
    prefetch.PARSER,
    recycle_bin.PARSER,
    sqlite_db.PARSER,
    usn.PARSER,
)
CARVERS: tuple[Parser, ...] = tuple(p.carve for p in PARSERS if p.carve is not None)
BY_NAME: dict[str, Parser] = {parser.name: parser for parser in (*PARSERS, *CARVERS)}
"""Every parser by the name that stands in its rows."""
