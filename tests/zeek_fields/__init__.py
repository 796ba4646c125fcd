"""What each of Zeek's logs says, and which columns here say the same: one file per log."""

from tests.zeek_fields import (
    conn,
    dhcp,
    dns,
    files,
    ftp,
    http,
    kerberos,
    smtp,
    ssh,
    ssl,
    tunnel,
    weird,
    x509,
)
from tests.zeek_fields.log import Log

LOGS: tuple[Log, ...] = (
    conn.LOG,
    dhcp.LOG,
    dns.LOG,
    files.LOG,
    ftp.LOG,
    http.LOG,
    kerberos.LOG,
    smtp.LOG,
    ssh.LOG,
    ssl.LOG,
    tunnel.LOG,
    weird.LOG,
    x509.LOG,
)
