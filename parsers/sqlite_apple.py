"""Databases of macOS and iOS: Safari, knowledgeC, TCC, quarantine, messages, notifications.

Times are seconds since 2001 (Core Data) unless said otherwise.
"""

from tracelake.parsers.epochs import cocoa, unix
from tracelake.parsers.sheets import Join, Place, Sheet, Time, Values

HTTP = {"class_uid": 6001, "activity_id": 1}
QUERY = {"class_uid": 205019, "activity_id": 1}
RAW = {"activity_id": 99}
# TCC.db, auth_value; before macOS 11 it was `allowed`, 0 or 1.
AUTH = {0: "denied", 1: "unknown", 2: "allowed", 3: "limited"}


def safari(_rest: Values, ours: Values, _place: Place) -> None:
    ours["browser"] = "safari"


def lasting(rest: Values, ours: Values, _place: Place) -> None:
    """How long an application had the focus."""
    start, end = rest.get("ZSTARTDATE"), cocoa(rest.get("ZENDDATE"))
    if "time" in ours and end is not None and end[0] >= ours["time"]:
        ours["focus_s"] = (end[0] - ours["time"]) / 1e6
    if start is None and "ZENDDATE" in rest:
        rest["ZENDDATE"] = rest["ZENDDATE"] if end is None else end[0] / 1e6
    ours["detail"] = str(rest.get("ZSTREAMNAME", "")) or None


def consent(rest: Values, ours: Values, _place: Place) -> None:
    """What a program was allowed to do."""
    if isinstance(rest.get("auth_value"), int):
        said = AUTH.get(rest["auth_value"], str(rest["auth_value"]))
    else:
        said = "allowed" if rest.get("allowed") else "denied"
    ours["detail"] = f"{rest.get('service', '')}: {said}"
    client = ours.get("subject_name")
    # client_type 1: a path instead of a bundle.
    if isinstance(client, str) and client.startswith("/"):
        ours["subject_path"] = client
        ours["subject_name"] = client.rsplit("/", 1)[-1]


def expired(rest: Values, ours: Values, place: Place) -> None:
    consent(rest, ours, place)
    ours["detail"] = f"{rest.get('service', '')}: expired"


SHEETS = (
    Sheet(
        "visit", "history_visits", ("id", "history_item", "visit_time"),
        "browser_activity",
        {"url": "history_items.url", "title": "title",
         "visit_count": "history_items.visit_count", "referrer": "source.url"},
        (Time("visit_time", cocoa, "visited"),),
        HTTP | {"record_type": "visit"},
        joins=(
            Join("history_items", "j.id = m.history_item", (), ("id", "url")),
            Join("history_items", "j.id = (SELECT v.history_item FROM history_visits v "
                 "WHERE v.id = m.redirect_source)", ("url",), ("id", "url"), "source"),
        ),
        beside=("history_items",),
        finish=safari,
    ),
    Sheet(
        "url", "history_items", ("id", "url", "visit_count"),
        "browser_activity",
        {"url": "url", "visit_count": "visit_count"},
        (),
        HTTP | {"record_type": "url"},
        where="m.id NOT IN "
        "(SELECT v.history_item FROM history_visits v WHERE v.history_item IS NOT NULL)",
        beside=("history_visits",),
        finish=safari,
    ),
    Sheet(
        "deleted", "history_tombstones", ("id", "start_time", "end_time", "url"),
        "browser_activity",
        {"url": "url"},
        (Time("end_time", cocoa, "history deleted"), Time("start_time", cocoa, "first deleted")),
        HTTP | {"record_type": "deleted"},
        finish=safari,
    ),
    Sheet(
        "download", "LSQuarantineEvent",
        ("LSQuarantineEventIdentifier", "LSQuarantineTimeStamp", "LSQuarantineDataURLString"),
        "browser_activity",
        {"browser": ("LSQuarantineAgentName", "LSQuarantineAgentBundleIdentifier"),
         "url": "LSQuarantineDataURLString", "referrer": "LSQuarantineOriginURLString",
         "title": "LSQuarantineOriginTitle"},
        (Time("LSQuarantineTimeStamp", cocoa, "quarantined"),),
        HTTP | {"record_type": "download"},
    ),
    Sheet(
        "knowledgec", "ZOBJECT", ("ZSTREAMNAME", "ZSTARTDATE", "ZENDDATE"),
        "artifact_query",
        {"subject_name": "ZVALUESTRING"},
        (Time("ZSTARTDATE", cocoa, "started"), Time("ZENDDATE", cocoa, "ended"),
         Time("ZCREATIONDATE", cocoa, "recorded")),
        QUERY | {"artifact": "knowledgec"},
        joins=(
            Join("ZSOURCE", "j.Z_PK = m.ZSOURCE", (), ("Z_PK",)),
            Join("ZSTRUCTUREDMETADATA", "j.Z_PK = m.ZSTRUCTUREDMETADATA", (), ("Z_PK",)),
        ),
        finish=lasting,
    ),
    Sheet(
        "tcc", "access", ("service", "client", "client_type"),
        "artifact_query",
        {"subject_name": "client"},
        (Time("last_modified", unix, "permission changed"),),
        QUERY | {"artifact": "tcc"},
        finish=consent,
    ),
    Sheet(
        "tcc", "expired", ("service", "client", "client_type", "expired_at"),
        "artifact_query",
        {"subject_name": "client"},
        (Time("expired_at", unix, "permission expired"), Time("last_modified", unix, "changed")),
        QUERY | {"artifact": "tcc"},
        finish=expired,
    ),
    Sheet(
        "application_usage", "application_usage",
        ("event", "bundle_id", "app_path", "last_time", "number_times"),
        "artifact_query",
        {"subject_name": "bundle_id", "subject_path": "app_path",
         "subject_version": "app_version", "run_count": "number_times", "detail": "event"},
        (Time("last_time", unix, "last"),),
        QUERY | {"artifact": "application_usage"},
    ),
    Sheet(
        "interaction", "ZINTERACTIONS", ("ZBUNDLEID", "ZSTARTDATE", "ZENDDATE"),
        "raw_event",
        {"event_code": "ZBUNDLEID"},
        (Time("ZSTARTDATE", cocoa, "started"), Time("ZENDDATE", cocoa, "ended"),
         Time("ZCREATIONDATE", cocoa, "recorded")),
        RAW | {"log_provider": "interactionC"},
        joins=(Join("ZCONTACTS", "j.Z_PK = m.ZSENDER", (), ("Z_PK",), "sender"),),
    ),
    Sheet(
        "message", "message", ("guid", "text", "handle_id", "service", "date", "is_from_me"),
        "raw_event",
        {"message": "text", "event_code": "service", "original_event_uid": "guid"},
        (Time("date", cocoa, "sent"), Time("date_read", cocoa, "read"),
         Time("date_delivered", cocoa, "delivered")),
        RAW | {"log_provider": "messages"},
        joins=(Join("handle", "j.ROWID = m.handle_id", (), ("ROWID",)),),
    ),
    Sheet(
        "notification", "record", ("app_id", "uuid", "data", "delivered_date"),
        "raw_event",
        {"event_code": "app.identifier"},
        (Time("delivered_date", cocoa, "delivered"), Time("request_date", cocoa, "asked for"),
         Time("request_last_date", cocoa, "asked for last")),
        RAW | {"log_provider": "notification center"},
        joins=(Join("app", "j.app_id = m.app_id", ("identifier",), ("app_id",)),),
        beside=("app",),
    ),
)  # fmt: skip
