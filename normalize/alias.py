"""A view of a table under the names of another world (Sigma, Zeek)."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Alias:
    """Which rows of which table, and what is computed beside the renamed columns.

    Attributes:
        table: whose rows.
        where: which of them, as a SQL condition; "" for all.
        computed: name -> SQL expression over the table's columns, for names that are not
            one column (they take the place of a column of that name).
    """

    table: str
    where: str = ""
    computed: dict[str, str] = field(default_factory=dict)
