"""Which keys of a hive mean what, and who reads them (the keys themselves: hive_table.py)."""

import struct
from collections.abc import Callable, Iterator
from functools import partial

import pyarrow as pa

from tracelake.native.errors import EvidenceError
from tracelake.parsers import (
    hive_accounts,
    hive_amcache,
    hive_devices,
    hive_execution,
    hive_recent,
    hive_services,
    hive_shimcache,
    hive_system,
    hive_tasks,
)
from tracelake.parsers.artifact import Artifact
from tracelake.parsers.hive_context import Context
from tracelake.parsers.hive_keys import Key
from tracelake.parsers.hive_patterns import Patterns
from tracelake.parsers.hive_roots import Root
from tracelake.parsers.hive_table import autostarts, decoded, settings

Decoder = Callable[[Key, Context], None]

_MODULES = (
    hive_accounts, hive_amcache, hive_devices, hive_execution, hive_recent, hive_services,
    hive_shimcache, hive_system, hive_tasks,
)
TABLES_OF_MEANING = ("artifact_query", "inventory", "job_activity")


def _decoders() -> tuple[dict[str, Decoder], list[tuple[str, str]]]:
    """Every decoder by its name, and (pattern, name) of what it reads.

    Raises LookupError where the table names a decoder that is not there.
    """
    known: dict[str, Decoder] = {}
    patterns = []
    for name, pattern in decoded():
        found = [getattr(module, name) for module in _MODULES if hasattr(module, name)]
        if len(found) != 1:
            raise LookupError(f"{len(found)} decoders are called {name}")
        known[name] = found[0]
        patterns.append((pattern, name))
    for lines, decoder in (
        (autostarts(), hive_services.autostart), (settings(), hive_services.setting),
    ):
        for what, names, pattern in lines:
            name = f"{decoder.__name__} {what} {','.join(names)}"
            known[name] = partial(decoder, what, names)
            patterns.append((pattern, name))
    return known, patterns


DECODERS, _PATTERNS = _decoders()
PATTERNS = Patterns(_PATTERNS)


class Meaning:
    """Reads the keys that the patterns name.

    Args:
        artifact: its account is kept.
        root: which hive it is.
        current: lower-case name of the control set that Windows ran with.
    """

    def __init__(self, artifact: Artifact, root: Root, current: str) -> None:
        self._out = Context(artifact, root, current)

    def read(self, kinds: tuple[str, ...], key: Key) -> None:
        """Reads a key as each of what it is. What cannot be read is a damage row; the key and
        its values are rows of `registry_activity` all the same."""
        for kind in kinds:
            try:
                DECODERS[kind](key, self._out)
            except EvidenceError as error:
                self._out.account.broken(key.offset, key.length, error.what, error.why)
            except struct.error:
                self._out.account.broken(
                    key.offset, key.length, kind, "its data end within one of their parts"
                )

    def full(self) -> Iterator[tuple[str, pa.RecordBatch]]:
        """The batches that are full."""
        return self._out.rows.full()

    def rest(self) -> Iterator[tuple[str, pa.RecordBatch]]:
        """What is left."""
        return self._out.rows.rest()
