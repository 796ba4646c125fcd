"""The application protocols that are known."""

from tracelake.parsers.protocols.dce_rpc import DceRpc
from tracelake.parsers.protocols.dhcp import Dhcp
from tracelake.parsers.protocols.dnp3 import Dnp3
from tracelake.parsers.protocols.dns_tcp import DnsTcp
from tracelake.parsers.protocols.ftp import Ftp, FtpData
from tracelake.parsers.protocols.http import Http
from tracelake.parsers.protocols.http2 import Http2
from tracelake.parsers.protocols.kerberos import Kerberos
from tracelake.parsers.protocols.ldap import Ldap
from tracelake.parsers.protocols.mailbox import Imap, Pop3
from tracelake.parsers.protocols.modbus import Modbus
from tracelake.parsers.protocols.mysql import Mysql
from tracelake.parsers.protocols.ntp import NetworkTime
from tracelake.parsers.protocols.quic import Quic
from tracelake.parsers.protocols.radius import Radius
from tracelake.parsers.protocols.rdp import Rdp, RdpUdp
from tracelake.parsers.protocols.rfb import Rfb
from tracelake.parsers.protocols.smb import Smb
from tracelake.parsers.protocols.smtp import Smtp
from tracelake.parsers.protocols.snmp import Snmp
from tracelake.parsers.protocols.socks import Socks
from tracelake.parsers.protocols.ssh import SshProtocol
from tracelake.parsers.protocols.starttls import Starttls
from tracelake.parsers.protocols.syslog_wire import Syslog
from tracelake.parsers.protocols.tls import Tls

# Who is asked, in this order, whose the first bytes of a flow are; one whose `ports` hold the
# flow's is asked before the others.
PROTOCOLS: tuple[type, ...] = (
    DnsTcp,
    Kerberos,
    Http,
    Http2,
    Dhcp,
    Ldap,
    Smtp,
    Ftp,
    FtpData,
    Pop3,
    Imap,
    Tls,
    SshProtocol,
    Quic,
    Smb,
    DceRpc,
    Rdp,
    RdpUdp,
    Snmp,
    NetworkTime,
    Radius,
    Syslog,
    Starttls,
    Dnp3,
    Modbus,
    Mysql,
    Socks,
    Rfb,
)
