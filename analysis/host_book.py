"""Whose a row is, in Python: what `host_said` says (views/identity.py), for lookups row by row."""

import duckdb

from tracelake.analysis.process_rows import Place


class HostBook:
    """The hosts of one snapshot. Keys of hosts are those of the view `host`; an artifact that says
    nothing of its host is one of its own."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        said = connection.execute(
            "SELECT source_id, artifact_no, device_hostname, device_uid, host_key, host, "
            "coalesce(rows, 0) FROM host_said"
        ).fetchall()
        self._rows: dict[str, int] = {}
        self._keys: dict[tuple[str, int, str | None, str | None], str] = {}
        self._shown: dict[str, str | None] = {}
        self._called: dict[str, set[str]] = {}
        places: dict[str, tuple[set[str], set[str], set[tuple[str, int]]]] = {}
        for source, number, name, uid, known, shown, rows in said:
            key = known if known is not None else _own(source, number)
            self._keys[source, number, name, uid] = key
            self._rows[key] = self._rows.get(key, 0) + rows
            if shown is not None:
                self._shown[key] = shown
            names, uids, artifacts = places.setdefault(key, (set(), set(), set()))
            if name is not None:
                names.add(name)
            elif uid is None:
                artifacts.add((source, number))
            if uid is not None:
                uids.add(uid)
            for called in (name, uid, shown, known):
                if called:
                    self._called.setdefault(called.lower(), set()).add(key)
                    self._called.setdefault(called.lower().split(".")[0], set()).add(key)
        self._places = {
            key: Place(tuple(sorted(names)), tuple(sorted(uids)), tuple(sorted(artifacts)))
            for key, (names, uids, artifacts) in places.items()
        }

    def of(self, source_id: str, artifact_no: int, name: str | None, uid: str | None) -> str:
        """The key of a row's host."""
        key = self._keys.get((source_id, artifact_no, name, uid))
        return key if key is not None else (name or uid or _own(source_id, artifact_no)).lower()

    def place(self, host: str) -> Place:
        """Where rows of a host are."""
        return self._places.get(host, Place())

    def shown(self, host: str) -> str | None:
        """The host's name."""
        return self._shown.get(host)

    def rows(self, host: str) -> int:
        """How many rows there are of a host."""
        return self._rows.get(host, 0)

    def called(self, name: str) -> list[str]:
        """Keys of the hosts that a name, or the first part of one, may mean."""
        found = self._called.get(name.lower()) or self._called.get(name.lower().split(".")[0])
        return sorted(found or ())


def _own(source_id: str, artifact_no: int) -> str:
    return f"?{source_id}/{artifact_no}"
