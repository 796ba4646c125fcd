"""What each of Zeek's logs says, and which columns here say the same: one file per log."""

from tests.zeek_fields import dce_rpc, dns, kerberos, ntlm, smb_files, smb_mapping
from tests.zeek_fields.log import Log

LOGS: tuple[Log, ...] = (
    dce_rpc.LOG, dns.LOG, kerberos.LOG, ntlm.LOG, smb_files.LOG, smb_mapping.LOG,
)
