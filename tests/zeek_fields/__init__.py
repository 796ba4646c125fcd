"""What each of Zeek's logs says, and which columns here say the same: one file per log."""

from tests.zeek_fields import (
    dhcp,
    dns,
    files,
    http,
    kerberos,
    ssh,
    ssl,
    x509,
)
from tests.zeek_fields.log import Log

LOGS: tuple[Log, ...] = (
    dhcp.LOG,
    dns.LOG,
    files.LOG,
    http.LOG,
    kerberos.LOG,
    ssh.LOG,
    ssl.LOG,
    x509.LOG,
)
