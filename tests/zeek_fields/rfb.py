"""rfb.log: the beginning of a session of VNC."""

from tests.zeek_fields.log import Log

LOG = Log(
    name="rfb",
    table="remote_access_activity",
    where=lambda row: row["protocol"] == "rfb",
    fields={
        "ts": "time", "client_major_version": "client_major_version",
        "client_minor_version": "client_minor_version",
        "server_major_version": "server_major_version",
        "server_minor_version": "server_minor_version", "authentication_method": "auth_method",
        "auth": "auth_success", "share_flag": "share_flag", "desktop_name": "desktop_name",
        "width": "desktop_width", "height": "desktop_height",
    },
)
