"""What each of Zeek's logs says, and which columns here say the same: one file per log."""

from tests.zeek_fields import (
    conn,
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
    ssh,
    ssl,
    tunnel,
    weird,
    x509,
)
from tests.zeek_fields.log import Log

LOGS: tuple[Log, ...] = (
    conn.LOG,
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
    ssh.LOG,
    ssl.LOG,
    tunnel.LOG,
    weird.LOG,
    x509.LOG,
)
