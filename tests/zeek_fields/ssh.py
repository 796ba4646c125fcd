"""ssh.log."""

from tests.zeek_fields.log import Log, Row


def escaped(text: str | None) -> str | None:
    """Control characters as Zeek writes them in JSON."""
    if text is None:
        return None
    return "".join(f"\\x{ord(c):02x}" if c < " " or c == "\x7f" else c for c in text)


def intended(name: str, theirs: Row | None, own: Row | None) -> str | None:
    if own is None and theirs and not str(theirs.get("client", "SSH-")).startswith("SSH-"):
        return "no SSH: Zeek takes whatever is said on port 22 for a banner"
    if theirs is None and own and (own.get("client") is None or own.get("server") is None):
        return "one side's banner on another port than 22: Zeek wants both"
    return None


LOG = Log(
    name="ssh",
    table="remote_access_activity",
    where=lambda row: row.get("protocol") == "ssh",
    fields={
        "ts": "time",
        "version": lambda row: int(row.get("protocol_version") or 0) or None,
        "auth_success": "auth_success", "auth_attempts": "auth_attempts",
        "direction": "direction", "client": lambda row: escaped(row.get("client")),
        "server": lambda row: escaped(row.get("server")), "cipher_alg": "cipher",
        "mac_alg": "mac_algorithm", "compression_alg": "compression", "kex_alg": "kex",
        "host_key_alg": "host_key_algorithm", "host_key": "host_key",
    },
    loose={"host_key": "of methods of key exchange that Zeek does not know"},
    intended=intended,
)
