"""Databases of messengers: Skype, Hangouts, Tango. Rows of `raw_event`, with all that they say."""

import base64
import binascii

from tracelake.parsers.epochs import unix, unix_ms, unix_us
from tracelake.parsers.sheets import Join, Place, Sheet, Time, Values

SKYPE = {"activity_id": 99, "log_provider": "skype"}
HANGOUTS = {"activity_id": 99, "log_provider": "hangouts"}
TANGO = {"activity_id": 99, "log_provider": "tango"}


def coded(rest: Values, _ours: Values, _place: Place) -> None:
    """Tango writes names as Base64."""
    for name in ("itemFirstName", "itemLastName", "itemStatus"):
        value = rest.get(name)
        if isinstance(value, str) and value:
            try:
                rest[f"{name}_text"] = base64.b64decode(value, validate=True)
            except (binascii.Error, ValueError):
                continue


SHEETS = (
    Sheet(
        "message", "Messages", ("id", "author", "timestamp", "body_xml", "chatname"),
        "raw_event", {"message": "body_xml", "event_code": "type"},
        (Time("timestamp", unix, "sent"), Time("edited_timestamp", unix, "edited")), SKYPE,
    ),
    Sheet(
        "call", "Calls", ("id", "begin_timestamp", "host_identity", "duration"),
        "raw_event", {"message": "topic"}, (Time("begin_timestamp", unix, "call began"),), SKYPE,
    ),
    Sheet(
        "call_member", "CallMembers", ("id", "identity", "call_db_id", "start_timestamp"),
        "raw_event", {"message": "identity"},
        (Time("start_timestamp", unix, "joined"), Time("creation_timestamp", unix, "created")),
        SKYPE,
    ),
    Sheet(
        "transfer", "Transfers", ("id", "partner_handle", "filepath", "starttime", "finishtime"),
        "raw_event", {"message": "filepath", "event_code": "type"},
        (Time("starttime", unix, "started"), Time("accepttime", unix, "accepted"),
         Time("finishtime", unix, "finished"), Time("offer_send_list", unix, "offered")),
        SKYPE,
    ),
    Sheet(
        "sms", "SMSes", ("id", "timestamp", "target_numbers", "body"),
        "raw_event", {"message": "body"}, (Time("timestamp", unix, "sent"),), SKYPE,
    ),
    Sheet(
        "account", "Accounts", ("id", "skypename", "fullname", "profile_timestamp"),
        "raw_event", {"message": "skypename"},
        (Time("profile_timestamp", unix, "profile changed"),
         Time("authreq_timestamp", unix, "asked for"), Time("lastonline_timestamp", unix, "online"),
         Time("mood_timestamp", unix, "mood"), Time("sent_authrequest_time", unix, "asked")),
        SKYPE,
    ),
    Sheet(
        "contact", "Contacts", ("id", "skypename", "fullname", "lastonline_timestamp"),
        "raw_event", {"message": "skypename"},
        (Time("lastonline_timestamp", unix, "online"),
         Time("profile_timestamp", unix, "profile changed")), SKYPE,
    ),
    Sheet(
        "chat", "Chats", ("id", "name", "timestamp", "participants", "activity_timestamp"),
        "raw_event", {"message": "friendlyname"},
        (Time("timestamp", unix, "created"), Time("activity_timestamp", unix, "active")), SKYPE,
    ),
    Sheet(
        "message", "messages", ("_id", "message_id", "conversation_id", "author_chat_id", "text"),
        "raw_event", {"message": "text", "original_event_uid": "message_id", "event_code": "type"},
        (Time("timestamp", unix_us, "sent"),), HANGOUTS,
        joins=(Join("participants", "j.chat_id = m.author_chat_id",
                    ("full_name", "fallback_name"), ("chat_id",)),),
    ),
    Sheet(
        "profile", "profiletable", ("itemUserId", "itemFirstName", "itemLastActiveTime"),
        "raw_event", {"message": "itemUserId"},
        (Time("itemLastActiveTime", unix_ms, "active"),
         Time("itemLastLocalAccessTime", unix_ms, "accessed")), TANGO, finish=coded,
    ),
)  # fmt: skip
