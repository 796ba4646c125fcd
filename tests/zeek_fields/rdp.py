"""rdp.log: how sessions begin."""

from tests.zeek_fields.log import Log, Row


def intended(name: str, theirs: Row | None, own: Row | None) -> str | None:
    if theirs is not None or own is None:
        return None
    if own.get("cookie") is None and not own.get("result"):
        return "a session without cookie and result: Zeek writes no line"
    if own["dst_port"] != 3389 and own.get("security_protocol") is None:
        return "a request on another port that was not answered: Zeek asks for both sides"
    return None


LOG = Log(
    name="rdp",
    table="remote_access_activity",
    where=lambda row: row.get("protocol") == "rdp",
    fields={
        "cookie": "cookie", "result": "result", "security_protocol": "security_protocol",
        "client_channels": "client_channels", "keyboard_layout": "keyboard",
        "client_build": "client_build", "client_name": "src_hostname",
        "client_dig_product_id": "client_product_uid", "desktop_width": "desktop_width",
        "desktop_height": "desktop_height", "requested_color_depth": "color_depth",
        "cert_type": "cert_type", "cert_count": "cert_count", "cert_permanent": "cert_permanent",
        "encryption_level": "encryption_level", "encryption_method": "encryption_method",
    },
    intended=intended,
)
