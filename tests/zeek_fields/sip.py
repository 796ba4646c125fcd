"""sip.log: a request and an answer."""

from tests.zeek_fields.log import Log

LOG = Log(
    name="sip",
    table="net_service_activity",
    where=lambda row: row["protocol"] == "sip",
    fields={
        "ts": "time", "trans_depth": "trans_depth", "method": "command", "uri": "uri",
        "date": "date", "request_from": "request_from", "request_to": "request_to",
        "response_from": "response_from", "response_to": "response_to", "reply_to": "reply_to",
        "call_id": "call_id", "seq": "seq", "subject": "subject",
        "request_path": "request_path", "response_path": "response_path",
        "user_agent": "user_agent", "status_code": "reply_code", "status_msg": "reply",
        "warning": "warning", "request_body_len": "request_len",
        "response_body_len": "response_len", "content_type": "content_type",
    },
)
