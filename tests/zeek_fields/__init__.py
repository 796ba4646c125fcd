"""What each of Zeek's logs says, and which columns here say the same: one file per log."""

from tests.zeek_fields import (
    dhcp,
    dnp3,
    dns,
    irc,
    kerberos,
    modbus,
    mqtt_connect,
    mqtt_publish,
    mqtt_subscribe,
    mysql,
    ntp,
    radius,
    rfb,
    sip,
    snmp,
    socks,
    syslog,
)
from tests.zeek_fields.log import Log

LOGS: tuple[Log, ...] = (
    dhcp.LOG,
    dnp3.LOG,
    dns.LOG,
    irc.LOG,
    kerberos.LOG,
    modbus.LOG,
    mqtt_connect.LOG,
    mqtt_publish.LOG,
    mqtt_subscribe.LOG,
    mysql.LOG,
    ntp.LOG,
    radius.LOG,
    rfb.LOG,
    sip.LOG,
    snmp.LOG,
    socks.LOG,
    syslog.LOG,
)
