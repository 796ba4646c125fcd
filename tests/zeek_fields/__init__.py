"""What each of Zeek's logs says, and which columns here say the same: one file per log."""

from tests.zeek_fields import (
    dce_rpc,
    dhcp,
    dns,
    files,
    ftp,
    http,
    kerberos,
    ntlm,
    rdp,
    smb_files,
    smb_mapping,
    smtp,
    ssl,
    x509,
)
from tests.zeek_fields.log import Log

LOGS: tuple[Log, ...] = (
    dce_rpc.LOG,
    dhcp.LOG,
    dns.LOG,
    files.LOG,
    ftp.LOG,
    http.LOG,
    kerberos.LOG,
    ntlm.LOG,
    rdp.LOG,
    smb_files.LOG,
    smb_mapping.LOG,
    smtp.LOG,
    ssl.LOG,
    x509.LOG,
)
