"""One column of a table: its type, what it means, and what others call it.

Everything that is known of a column stands in its Arrow field: views, DDL, the table
reference, statistics and bloom filters are made from there and from nowhere else.

Metadata keys of a field:
    doc                one line of meaning
    ocsf.path          path in OCSF 1.8.0 (`process.file.hashes[algorithm_id=3].value`);
                       `[]` = the column's items are the array's, `[0]` = its only element
    ocsf.path.<class>  the path in that class, where a table holds several
    ocsf.as            DuckDB type that OCSF's attribute has, where it is another one
    ecs                name in the Elastic Common Schema (`winlog.*`: Winlogbeat's)
    zeek               name in the Zeek log that the table's rows are seen as
    sigma.*            Sigma name in every category of the table
    sigma.<category>   Sigma name in that category, instead
    bloom              1: worth a bloom filter (addresses, names, hashes, users, ids)
    hex                1: a bit mask, written 0x... for people and for Sigma
    stats              1: worth statistics (the column prunes)
"""

import pyarrow as pa

TEXT = pa.string()
"""Free text, hashes, ids that differ from row to row."""
WORD = pa.dictionary(pa.int32(), pa.string())
"""Text that repeats: hosts, users, paths of programs, protocols, addresses."""
TIME = pa.timestamp("us", tz="UTC")
BOOL = pa.bool_()
TINY = pa.int8()
SMALL = pa.int16()
INT = pa.int32()
BIG = pa.int64()
DOUBLE = pa.float64()
BYTES = pa.binary()
TEXTS = pa.list_(pa.string())
BIGS = pa.list_(pa.int64())
TIMES = pa.list_(TIME)
MAP = pa.map_(WORD, WORD)
"""Name-value pairs, both dictionaries: what events hold repeats, and the map of a batch of them is
written in a third of the time. In Parquet and Delta it is the same type as without."""
COUNTS = pa.map_(pa.string(), pa.int64())
REASONS = pa.map_(pa.string(), pa.string())

PRUNES = (TIME, INT, BIG)


def column(
    name: str,
    kind: pa.DataType,
    doc: str,
    *,
    ocsf: str | dict[int, str] | None = None,
    ocsf_as: str | None = None,
    ecs: str | None = None,
    zeek: str | None = None,
    sigma: str | dict[str, str] | None = None,
    bloom: bool = False,
    stats: bool | None = None,
    mask: bool = False,
    required: bool = False,
) -> pa.Field:
    """Makes a field. Names of others: see the module's docstring.

    Args:
        ocsf: the path, or one per class_uid; the first is `ocsf.path`.
        ocsf_as: type of the attribute in OCSF, where it is not the column's.
        sigma: the name in all categories, or one per category.
        stats: whether statistics are kept; by default for times and integers.
        mask: the number is a bit mask (`hex`; no statistics).
        required: every row has a value (the field is not nullable).
    """
    metadata = {"doc": doc}
    if isinstance(ocsf, str):
        metadata["ocsf.path"] = ocsf
    elif ocsf:
        metadata["ocsf.path"] = next(iter(ocsf.values()))
        metadata |= {f"ocsf.path.{uid}": path for uid, path in ocsf.items()}
    if ocsf_as:
        metadata["ocsf.as"] = ocsf_as
    if ecs:
        metadata["ecs"] = ecs
    if zeek:
        metadata["zeek"] = zeek
    if isinstance(sigma, str):
        metadata["sigma.*"] = sigma
    elif sigma:
        metadata |= {f"sigma.{category}": value for category, value in sigma.items()}
    if bloom:
        metadata["bloom"] = "1"
    if mask:
        metadata["hex"] = "1"
    if (kind in PRUNES and not mask) if stats is None else stats:
        metadata["stats"] = "1"
    return pa.field(name, kind, nullable=not required, metadata=metadata)


def note(field: pa.Field, key: str) -> str | None:
    """What the field's metadata says under `key`, or None."""
    value = (field.metadata or {}).get(key.encode())
    return None if value is None else value.decode()
