"""tracelake: forensic evidence into one normalized body of tables.

    import tracelake
    case = tracelake.open("lake", engagement="demo")
    case.ingest(["evidence/"])
    case.sql("select * from timeline order by time").df()
"""

from typing import TYPE_CHECKING

from tracelake.version import VERSION as __version__

if TYPE_CHECKING:
    from tracelake.case import Case
    from tracelake.case import open_case as open

__all__ = ["Case", "__version__", "open"]


def __getattr__(name: str) -> object:
    # A case imports pyarrow and deltalake, which not everything in this package needs.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from tracelake.case import Case, open_case

    return Case if name == "Case" else open_case
