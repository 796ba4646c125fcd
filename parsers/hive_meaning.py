"""Which keys of a hive mean what, and who reads them."""

import struct
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa

from tracelake.native.errors import EvidenceError
from tracelake.parsers.artifact import Artifact
from tracelake.parsers.hive_keys import Key
from tracelake.parsers.hive_patterns import Patterns
from tracelake.parsers.hive_roots import Root
from tracelake.parsers.pyrows import PyRows

TABLES_OF_MEANING = ("artifact_query", "inventory")
PATTERNS = Patterns(())


class Meaning:
    """Reads keys with understanding."""

    def __init__(self, artifact: Artifact, root: Root) -> None:
        self._rows = PyRows(artifact)

    def read(self, kinds, key) -> None:
        pass

    def full(self) -> Iterator[tuple[str, pa.RecordBatch]]:
        return self._rows.full()

    def rest(self) -> Iterator[tuple[str, pa.RecordBatch]]:
        return self._rows.rest()
