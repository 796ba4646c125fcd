"""tracelake: forensic evidence into one normalized body of tables.

    import tracelake
    case = tracelake.open("lake", engagement="demo")
    case.ingest(["evidence/"])
    case.sql("select * from timeline order by time").df()
"""

from tracelake.case import Case
from tracelake.case import open_case as open
from tracelake.version import VERSION as __version__

__all__ = ["Case", "__version__", "open"]
