"""Version 0 of a table's Delta log: what the table is, and its first files.

`deltalake` takes 3 to 4 ms of CPU time to make a table, whatever is in it, and the first ingest
into a lake makes twenty. The form is public (Delta protocol, "Actions"), so this version is
written directly, as `deltalake` writes it (tests compare the two); every later one is its own, as
only later ones can conflict with anything but another version 0.
"""

import time
import uuid
from collections.abc import Mapping, Sequence
from urllib.parse import quote

import orjson
import pyarrow as pa

from tracelake.lake.disk import Place, put_if_absent, sync_folder
from tracelake.lake.schema import schema_json
from tracelake.lake.state import commit_path
from tracelake.lake.unit import DataFile
from tracelake.version import VERSION

# Without deletion vectors, column mapping and times of no zone nothing newer is needed.
_PROTOCOL = {"minReaderVersion": 1, "minWriterVersion": 2}


def begin(
    table: Place,
    schema: pa.Schema,
    configuration: Mapping[str, str],
    files: Sequence[DataFile],
    units: Sequence[str],
) -> bool:
    """Makes a table with its first files, on disk when this returns.

    Args:
        table: its folder, which is there.
        schema: of its rows, as batches have them.
        configuration: the table's properties.
        files: in the folder and on disk.
        units: each becomes a transaction id.

    Returns:
        False where another process has made the table meanwhile; nothing of this is in it.

    Raises:
        OSError: the log could not be written.
    """
    now = time.time_ns() // 1_000_000
    actions: list[dict[str, object]] = [
        {
            "commitInfo": {
                "timestamp": now,
                "operation": "CREATE TABLE",
                "operationParameters": {"mode": "ErrorIfExists", "location": table.as_uri()},
                "engineInfo": f"tracelake:{VERSION}",
            }
        },
        {"protocol": _PROTOCOL},
        {
            "metaData": {
                "id": str(uuid.uuid4()),
                "name": None,
                "description": None,
                "format": {"provider": "parquet", "options": {}},
                "schemaString": schema_json(schema),
                "partitionColumns": [],
                "createdTime": now,
                "configuration": configuration,
            }
        },
    ]
    actions.extend(
        {
            "add": {
                "path": quote(file.name),
                "partitionValues": {},
                "size": file.size,
                "modificationTime": file.modified,
                "dataChange": True,
                "stats": file.stats,
            }
        }
        for file in files
    )
    actions.extend({"txn": {"appId": unit, "version": 1}} for unit in units)
    path = commit_path(table, 0)
    path.parent.mkdir(exist_ok=True)
    # The files and the log's folder are on disk; their names must be too, before the log is.
    sync_folder(table)
    if not put_if_absent(path, b"".join(orjson.dumps(action) + b"\n" for action in actions)):
        return False
    sync_folder(path.parent)
    return True
