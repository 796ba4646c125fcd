"""The application protocols that are known."""

from tracelake.parsers.protocols.dhcp import Dhcp
from tracelake.parsers.protocols.dns_tcp import DnsTcp
from tracelake.parsers.protocols.http import Http
from tracelake.parsers.protocols.kerberos import Kerberos
from tracelake.parsers.protocols.ldap import Ldap
from tracelake.parsers.protocols.quic import Quic
from tracelake.parsers.protocols.smtp import Smtp
from tracelake.parsers.protocols.ssh import SshProtocol
from tracelake.parsers.protocols.starttls import Starttls
from tracelake.parsers.protocols.tls import Tls

# Who is asked, in this order, whose the first bytes of a flow are; one whose `ports` hold the
# flow's is asked before the others.
PROTOCOLS: tuple[type, ...] = (
    DnsTcp,
    Kerberos,
    Http,
    Dhcp,
    Ldap,
    Smtp,
    Tls,
    SshProtocol,
    Quic,
    Starttls,
)
