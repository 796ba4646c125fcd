"""What each of Zeek's logs says, and which columns here say the same: one file per log."""

from tests.zeek_fields import dhcp, dns, kerberos, ntp, radius, snmp, syslog
from tests.zeek_fields.log import Log

LOGS: tuple[Log, ...] = (
    dhcp.LOG,
    dns.LOG,
    kerberos.LOG,
    ntp.LOG,
    radius.LOG,
    snmp.LOG,
    syslog.LOG,
)
