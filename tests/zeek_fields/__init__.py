"""What each of Zeek's logs says, and which columns here say the same: one file per log."""

from tests.zeek_fields import dns, ssl, x509
from tests.zeek_fields.log import Log

LOGS: tuple[Log, ...] = (dns.LOG, ssl.LOG, x509.LOG)
