"""Databases of Windows and of Linux desktops: timeline, notifications, diagnostics, Zeitgeist."""

import json

from tracelake.parsers.epochs import filetime, unix, unix_ms
from tracelake.parsers.sheets import Join, Place, Sheet, Time, Values

QUERY = {"class_uid": 205019, "activity_id": 1}
RAW = {"activity_id": 99}
# Windows.ApplicationModel.UserActivities, as far as they are known.
ACTIVITY_TYPES = {
    2: "notification", 3: "mobile backup", 5: "open", 6: "in use", 10: "clipboard",
    11: "setting", 12: "setting", 15: "setting", 16: "copy or paste",
}  # fmt: skip
MOST_JSON = 1 << 20
# In `AppId`, what names a program, best first.
PLATFORMS = ("x_exe_path", "windows_win32", "windows_universal", "packageId")


def parsed(value: object) -> object:
    """JSON, where it is."""
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if not isinstance(value, str) or len(value) > MOST_JSON:
        return None
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return None


def activity(rest: Values, ours: Values, _place: Place) -> None:
    """A program was in use, or opened something."""
    for name in ("Id", "ParentActivityId"):
        if isinstance(rest.get(name), bytes):
            rest[name] = rest[name].hex()
    programs = parsed(rest.get("AppId"))
    if isinstance(programs, list):
        by = {
            str(each.get("platform")): each.get("application")
            for each in programs
            if isinstance(each, dict)
        }
        found = next((by[p] for p in PLATFORMS if isinstance(by.get(p), str) and by[p]), None)
        if isinstance(found, str):
            ours["subject_path"] = found
            ours["subject_name"] = found.rsplit("\\", 1)[-1]
    payload = parsed(rest.get("Payload"))
    if isinstance(payload, dict):
        names = ("displayText", "description", "contentUri", "appDisplayName")
        shown = [payload.get(name) for name in names]
        ours["detail"] = " | ".join(s for s in shown if isinstance(s, str) and s) or None
        seconds = payload.get("activeDurationSeconds")
        if isinstance(seconds, int | float) and not isinstance(seconds, bool):
            ours["focus_s"] = float(min(seconds, 1 << 40))
    kind = rest.get("ActivityType")
    if isinstance(kind, int) and kind in ACTIVITY_TYPES:
        rest["ActivityTypeName"] = ACTIVITY_TYPES[kind]


ACTIVITY_TIMES = (
    Time("StartTime", unix, "started"), Time("LastModifiedTime", unix, "modified"),
    Time("EndTime", unix, "ended"), Time("LastModifiedOnClient", unix, "modified"),
    Time("OriginalLastModifiedOnClient", unix, "modified"),
    Time("ExpirationTime", unix, "expires"), Time("CreatedTime", unix, "created"),
    Time("CreatedInCloud", unix, "created in cloud"),
    Time("LocalExpirationTime", unix, "expires"),
    Time("OperationExpirationTime", unix, "expires"),
)  # fmt: skip


def event(rest: Values, ours: Values, _place: Place) -> None:
    """What Zeitgeist saw: something was done to a file by a program."""
    uri = rest.get("subject.value")
    if isinstance(uri, str):
        ours["subject_path"] = uri
        ours["subject_name"] = uri.rsplit("/", 1)[-1] or None
    ours["detail"] = str(rest.get("what.value", "")).rsplit("#", 1)[-1] or None


SHEETS = (
    Sheet(
        "timeline", "Activity", ("Id", "AppId", "ActivityType", "LastModifiedTime"),
        "artifact_query", {}, ACTIVITY_TIMES,
        QUERY | {"artifact": "windows_timeline"}, finish=activity,
    ),
    Sheet(
        "timeline", "ActivityOperation", ("Id", "AppId", "ActivityType", "OperationType"),
        "artifact_query", {}, ACTIVITY_TIMES,
        QUERY | {"artifact": "windows_timeline"}, finish=activity,
    ),
    Sheet(
        "timeline_package", "Activity_PackageId", ("ActivityId", "Platform", "PackageName"),
        "artifact_query", {"subject_path": "PackageName", "detail": "Platform"},
        (Time("ExpirationTime", unix, "expires"),),
        QUERY | {"artifact": "windows_timeline_package"},
    ),
    Sheet(
        "notification", "Notification", ("Id", "HandlerId", "Type", "Payload", "ArrivalTime"),
        "raw_event",
        {"message": "Payload", "event_code": "Type"},
        (Time("ArrivalTime", filetime, "arrived"), Time("ExpiryTime", filetime, "expires")),
        RAW | {"log_provider": "Windows Push Notifications"},
        joins=(
            Join("NotificationHandler", "j.RecordId = m.HandlerId", (), ("RecordId",)),
        ),
    ),
    Sheet(
        "diagnostics", "events_persisted", ("sid", "timestamp", "payload", "full_event_name"),
        "raw_event",
        {"event_code": "full_event_name", "event_user_uid": "sid"},
        (Time("timestamp", filetime, "logged"),),
        RAW | {"log_provider": "EventTranscript"},
    ),
    Sheet(
        "zeitgeist", "event", ("id", "timestamp", "interpretation", "manifestation", "actor"),
        "artifact_query", {},
        (Time("timestamp", unix_ms, "event"),),
        QUERY | {"artifact": "zeitgeist"},
        joins=(
            Join("uri", "j.id = m.subj_id", ("value",), ("id", "value"), "subject"),
            Join("uri", "j.id = m.subj_origin", ("value",), ("id", "value"), "origin"),
            Join("interpretation", "j.id = m.interpretation", ("value",), ("id",), "what"),
            Join("manifestation", "j.id = m.manifestation", ("value",), ("id",), "how"),
            Join("actor", "j.id = m.actor", ("value",), ("id",), "who"),
            Join("mimetype", "j.id = m.subj_mimetype", ("value",), ("id",)),
            Join("text", "j.id = m.subj_text", ("value",), ("id",)),
            Join("payload", "j.id = m.payload", ("value",), ("id",)),
        ),
        beside=("uri", "interpretation"),
        finish=event,
    ),
)  # fmt: skip
