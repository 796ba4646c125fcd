"""tunnel.log: what is opened and closed of tunnels below the application (SOCKS and HTTP proxies
are tunnels of their protocols)."""

from tests.zeek_fields.log import Log, Row


def _intended(name: str, theirs: Row | None, own: Row | None) -> str | None:
    if theirs is None:
        return "Zeek no longer looks after a flow has changed its tunnel several times"
    return None


LOG = Log(
    name="tunnel",
    table="remote_access_activity",
    where=lambda row: (row.get("tunnel_type") or "").startswith("Tunnel::")
    and row.get("tunnel_type") not in ("Tunnel::SOCKS", "Tunnel::HTTP"),
    theirs=lambda row: row["tunnel_type"] not in ("Tunnel::SOCKS", "Tunnel::HTTP"),
    zeek_key=lambda row: (
        row["id.orig_h"], row["id.orig_p"], row["id.resp_h"], row["id.resp_p"], row["action"]
    ),
    own_key=lambda row: (
        row["src_ip"], row["src_port"], row["dst_ip"], row["dst_port"], row["tunnel_action"]
    ),
    intended=_intended,
    fields={"tunnel_type": "tunnel_type", "action": "tunnel_action"},
)
