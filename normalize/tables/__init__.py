"""Every table of the lake, in the order of the table reference."""

from tracelake.normalize.tables import (
    artifacts,
    books,
    changes,
    cloud,
    endpoint,
    findings,
    identity,
    inventory,
    network,
)

ALL = (
    *endpoint.TABLES,
    *identity.TABLES,
    *changes.TABLES,
    *network.TABLES,
    *cloud.TABLES,
    *artifacts.TABLES,
    *inventory.TABLES,
    *findings.TABLES,
    *books.TABLES,
)
