"""ftp.log."""

from tests.zeek_fields.log import Log

LOG = Log(
    name="ftp",
    table="net_service_activity",
    where=lambda row: row["protocol"] == "ftp",
    fields={
        "user": "user_name", "command": "command", "arg": "argument",
        "reply_code": "reply_code", "reply_msg": "reply", "file_size": "file_size",
        "mime_type": "mime_type", "data_channel.passive": "data_passive",
        "data_channel.orig_h": "data_src_ip", "data_channel.resp_h": "data_dst_ip",
        "data_channel.resp_p": "data_dst_port",
    },
)
