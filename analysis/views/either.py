"""`network_of(ip)`: the connections of an address, whichever end it is.

`src_ip = X OR dst_ip = X` reads every row group: DuckDB asks bloom filters and statistics for one
column and one value. A union of two queries is asked twice, and each answers from the row groups
that hold the address.
"""

from tracelake.analysis.views import quote

TABLES = {"network_of": "network_activity"}
"""Macro, and the table that it is over."""


def macro(name: str) -> str:
    """SQL that makes the macro."""
    table = quote.name(TABLES[name])
    return (
        f"CREATE OR REPLACE MACRO {name}(ip) AS TABLE "
        f"SELECT * FROM {table} WHERE src_ip = ip UNION ALL "
        # What is there already by its source does not come twice.
        f"SELECT * FROM {table} WHERE dst_ip = ip AND src_ip IS DISTINCT FROM ip"
    )
