"""What each of Zeek's logs says, and which columns here say the same: one file per log."""

from tests.zeek_fields import (
    conn,
    dhcp,
    dns,
    files,
    http,
    kerberos,
    tunnel,
    weird,
)
from tests.zeek_fields.log import Log

LOGS: tuple[Log, ...] = (
    conn.LOG,
    dhcp.LOG,
    dns.LOG,
    files.LOG,
    http.LOG,
    kerberos.LOG,
    tunnel.LOG,
    weird.LOG,
)
