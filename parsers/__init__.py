"""Evidence formats. Adding one is a module and a line here."""

from tracelake.parsers import (
    defender_history,
    defender_log,
    defender_quarantine,
    evtx,
    hive,
    jsonl,
    jump_list,
    lnk,
    mft,
    ntfs_boot,
    ntfs_index,
    ntfs_log,
    pcap,
    prefetch,
    ps_history,
    ps_transcript,
    recycle_bin,
    task_job,
    task_xml,
    usn,
    wmi_repository,
)
from tracelake.parsers.artifact import Parser

PARSERS: tuple[Parser, ...] = (
    pcap.PARSER,
    evtx.PARSER,
    defender_history.PARSER,
    defender_log.PARSER,
    defender_quarantine.PARSER,
    hive.PARSER,
    jsonl.PARSER,
    jump_list.PARSER,
    lnk.PARSER,
    mft.PARSER,
    ntfs_boot.PARSER,
    ntfs_index.PARSER,
    ntfs_log.PARSER,
    prefetch.PARSER,
    ps_history.PARSER,
    ps_transcript.PARSER,
    recycle_bin.PARSER,
    task_job.PARSER,
    task_xml.PARSER,
    usn.PARSER,
    wmi_repository.PARSER,
)
CARVERS: tuple[Parser, ...] = tuple(p.carve for p in PARSERS if p.carve is not None)
BY_NAME: dict[str, Parser] = {parser.name: parser for parser in (*PARSERS, *CARVERS)}
"""Every parser by the name that stands in its rows."""
