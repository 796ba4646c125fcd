"""The books: what was taken in, where each record and byte of it went, and what was broken."""

import pyarrow as pa

from tracelake.normalize.column import (
    BIG,
    BOOL,
    BYTES,
    COUNTS,
    INT,
    REASONS,
    TEXT,
    TEXTS,
    TIME,
    WORD,
    column,
)
from tracelake.normalize.table import table

DEVICE_KEYS = (
    "device_hostname", "device_uid", "device_ip", "device_mac", "device_domain", "os_name",
    "log_provider",
)
"""Columns of rows that tell one host from another; the provider only where it gives an id."""
DEVICES = pa.list_(pa.struct([
    *((name, pa.string()) for name in DEVICE_KEYS),
    ("first_time", TIME), ("last_time", TIME), ("row_count", BIG),
]))

ENGAGEMENT = column("engagement_id", WORD, "the case that the evidence belongs to",
                    ocsf="metadata.tenant_uid", required=True)
SOURCE_ID = column("source_id", WORD,
                   "the evidence: first 32 hex digits of its SHA-256 (`source.id_kind`)",
                   required=True, stats=True)
ARTIFACT_NO = column("artifact_no", INT, "file inside the source, from 0", required=True)

SOURCE = table(
    "source", "source", [],
    "One piece of evidence. Written last: with it, everything of that source is there.",
    ENGAGEMENT,
    SOURCE_ID,
    column("id_kind", WORD, "what source_id is taken over: sha256 or sampled"),
    column("sha256", TEXT, "SHA-256 of the object as it was acquired", bloom=True),
    column("uri", TEXT, "where it was read from"),
    column("size", BIG, "bytes"),
    column("unit", TEXT, "what was committed together", bloom=True),
    column("parser_version", WORD, "version of the parser, where the source is one file"),
    column("acquired", TIME, "modification time of the object"),
    column("ingested", TIME, "when it was read"),
    column("records", BIG, "records seen in all its artifacts"),
    column("rows", COUNTS, "rows per table"),
    column("duplicates", BIG, "records left out because a byte-identical one is there"),
    column("damage", BIG, "records that could not be read"),
    column("not_opened", COUNTS, "files in it that were not opened, by the reason why"),
    column("facts", REASONS, "of an image: its kind, hashes stored in it, its volumes, ..."),
)

ARTIFACT = table(
    "artifact", "artifact", [],
    "One file seen in a source, also when no parser took it. With its row its unit is complete.",
    ENGAGEMENT,
    SOURCE_ID,
    ARTIFACT_NO,
    column("unit", TEXT, "what was committed together", bloom=True),
    column("paths", TEXTS, "where it stands in the source; several where the bytes are the same"),
    column("size", BIG, "bytes"),
    column("sha256", TEXT, "SHA-256, where it was computed", bloom=True),
    column("parser", WORD, "parser that took it; null: none"),
    column("parser_version", WORD, "its version"),
    column("mapping_version", WORD, "version of the rules that named the columns"),
    column("ingested", TIME, "when it was read"),
    column("refused", REASONS, "why each parser that did not take it did not"),
    column("records", BIG, "records seen = in_rows + duplicates + damage + sum of counters"),
    column("in_rows", BIG, "records that are in rows"),
    column("rows", COUNTS, "rows per table"),
    column("duplicates", BIG, "records left out because a byte-identical one is there"),
    column("damage", BIG, "records that could not be read"),
    column("repairs", BIG, "texts that were not well-formed and were repaired"),
    column("bytes_records", BIG, "bytes of records"),
    column("bytes_structure", BIG, "bytes of headers, padding and the like"),
    column("bytes_slack", BIG, "bytes without meaning to the format"),
    column("bytes_unexplained", BIG, "bytes that are none of these"),
    column("counters", COUNTS, "records that are counted and kept nowhere, by kind"),
    column("devices", DEVICES, "hosts that its rows name: by what, when, in how many rows; null: "
           "not gathered (of small event logs, `evtx_file` says it)"),
)

DAMAGE = table(
    "damage", "damage", [],
    "One record that was seen and could not be read.",
    ENGAGEMENT,
    SOURCE_ID,
    ARTIFACT_NO,
    column("src_offset", BIG, "where it begins in its artifact, bytes"),
    column("src_length", BIG, "its length, bytes", stats=False),
    column("parser", WORD, "who tried to read it"),
    column("what", WORD, "the structure that was being read"),
    column("why", WORD, "the reason"),
    column("raw", BYTES, "its bytes, where they cannot be read again from the evidence"),
)

EVTX_FILE = table(
    "evtx_file", "evtxfile", [],
    "One Windows event log file: what its header says and what was found.",
    ENGAGEMENT,
    SOURCE_ID,
    ARTIFACT_NO,
    column("device_hostname", WORD, "host of its records", bloom=True),
    column("log_name", WORD, "channel of its records"),
    column("first_record_id", BIG, "lowest number in the headers of its records"),
    column("last_record_id", BIG, "highest number in the headers of its records"),
    column("next_record_id", BIG, "number of the next record, by the header of the file"),
    column("records_parsed", BIG, "records read"),
    column("chunks", BIG, "chunks found"),
    column("chunks_header", BIG, "chunks, by the header"),
    column("chunks_bad", BIG, "chunks with a wrong checksum or signature"),
    column("is_dirty", BOOL, "the log was not closed (header flag)"),
    column("is_full", BOOL, "the log was full (header flag)"),
    column("header_ok", BOOL, "the header's checksum is right"),
    column("first_time", TIME, "earliest record"),
    column("last_time", TIME, "latest record"),
)

TABLES = (SOURCE, ARTIFACT, DAMAGE, EVTX_FILE)
