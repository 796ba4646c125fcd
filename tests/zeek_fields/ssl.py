"""ssl.log."""

from tests.zeek_fields.log import Log, Row

REGISTERED = {"unknown-4588": "X25519MLKEM768", "unknown-25497": "X25519Kyber768Draft00"}


def intended(name: str, theirs: Row | None, own: Row | None) -> str | None:
    if theirs is None or own is None:
        if own is not None and own.get("quic_version"):
            return "QUIC: Zeek was built without it"
        if own is not None and own["dst_port"] == 110:
            return "POP3: Zeek 7.0 reads it only where it is asked to"
        return None
    if name in ("cert_chain_fps", "sni_matches_cert") and not theirs.get("cert_chain_fps"):
        return "Zeek forgets the certificates of a handshake that breaks off"
    if name == "curve" and REGISTERED.get(theirs["curve"]) == own["curve"]:
        return "registered after Zeek 7's table was written"
    return None


LOG = Log(
    name="ssl",
    table="tls_activity",
    fields={
        "ts": "time", "version": "tls_version", "cipher": "cipher", "curve": "curve",
        "server_name": "sni", "resumed": "resumed", "last_alert": "last_alert",
        "next_protocol": "alpn", "established": "established", "ssl_history": "tls_history",
        "cert_chain_fps": "cert_chain", "client_cert_chain_fps": "client_cert_chain",
        "sni_matches_cert": "sni_matches",
    },
    intended=intended,
)
