"""x509.log."""

from tests.zeek_fields.log import Log, Row

OURS = {"host_cert": "is_host", "client_cert": "is_client"}


def intended(name: str, theirs: Row | None, own: Row | None) -> str | None:
    if theirs and own and name in ("host_cert", "client_cert") and own[OURS[name]]:
        return "of all flows, not of the first"
    return None



LOG = Log(
    name="x509",
    table="certificate",
    zeek_key=lambda row: (row["fingerprint"],),
    own_key=lambda row: (row["cert_sha256"],),
    fields={
        "ts": "time", "fingerprint": "cert_sha256", "certificate.version": "cert_version",
        "certificate.serial": "cert_serial", "certificate.subject": "cert_subject",
        "certificate.issuer": "cert_issuer", "certificate.not_valid_before": "cert_not_before",
        "certificate.not_valid_after": "cert_not_after", "certificate.key_alg": "key_algorithm",
        "certificate.sig_alg": "signature_algorithm", "certificate.key_type": "key_type",
        "certificate.key_length": "key_length", "certificate.exponent": "key_exponent",
        "certificate.curve": "curve", "san.dns": "cert_sans", "san.uri": "cert_san_uris",
        "san.email": "cert_san_emails", "san.ip": "cert_san_ips",
        "basic_constraints.ca": "is_ca", "basic_constraints.path_len": "path_length",
        "host_cert": "is_host", "client_cert": "is_client",
    },
    intended=intended,
)
