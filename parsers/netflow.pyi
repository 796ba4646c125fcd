from collections.abc import Iterator

import pyarrow as pa

from tracelake.native.account import Account
from tracelake.native.feed import Feed
from tracelake.parsers.artifact import Artifact, Match, Parser

VERSION: str
LAYOUTS: dict[int, tuple[tuple[int, int], ...]]
PARSER: Parser

class Messages:
    """Messages being read.

    Args:
        feed: their bytes.
        account: what became of every record and byte.
    """

    def __init__(self, feed: Feed, account: Account) -> None: ...
    def read(self) -> Iterator[tuple[str, pa.RecordBatch]]:
        """Yields the rows as (table, RecordBatch)."""

    def datagram(self, payload: bytes, offset: int, exporter: bytes) -> bool:
        """Reads the messages of a datagram.

        Args:
            payload: its bytes.
            offset: where they stand in the artifact.
            exporter: the address that they came from, 4 or 16 bytes.

        Returns:
            Whether a batch is full.
        """

    def end(self) -> None:
        """No more datagrams: sets whose template never came are damage."""

    def batches(self, all: bool) -> Iterator[tuple[str, pa.RecordBatch]]:
        """The batches that are full, or all that have rows."""

def match(head: bytes, path: str) -> tuple[Match, str]:
    """How sure it is that an artifact holds messages of NetFlow or IPFIX, and why not.

    Args:
        head: its first bytes, 64 KiB at most.
        path: its path inside its source (not looked at).
    """

def read(artifact: Artifact) -> Iterator[tuple[str, pa.RecordBatch]]:
    """Yields flows (network_activity) and options records (raw_event) as (table, RecordBatch).

    Args:
        artifact: its account is kept.

    Raises:
        EvidenceError: the bytes could not be read on (a broken archive or disk); all rows
            before that were yielded.
    """
