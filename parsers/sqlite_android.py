"""Databases of Android: use of applications, calls, short messages, web views."""

from tracelake.parsers.epochs import unix_ms
from tracelake.parsers.sheets import Join, Place, Sheet, Time, Values

HTTP = {"class_uid": 6001, "activity_id": 1}
QUERY = {"class_uid": 205019, "activity_id": 1}
RAW = {"activity_id": 99}
# android.app.usage.UsageEvents.Event
EVENTS = {
    1: "activity resumed", 2: "activity paused", 5: "configuration change", 7: "user interaction",
    8: "shortcut invocation", 9: "chooser action", 10: "notification seen",
    11: "standby bucket changed", 12: "notification interruption", 15: "screen interactive",
    16: "screen non interactive", 17: "keyguard shown", 18: "keyguard hidden",
    19: "foreground service start", 20: "foreground service stop", 23: "activity stopped",
    26: "device shutdown", 27: "device startup",
}  # fmt: skip


def usage(rest: Values, ours: Values, _place: Place) -> None:
    kind = rest.get("type")
    if isinstance(kind, int):
        ours["detail"] = EVENTS.get(kind, f"event {kind}")


def web_view(_rest: Values, ours: Values, _place: Place) -> None:
    ours["browser"] = "android webview"


def cookie(rest: Values, ours: Values, place: Place) -> None:
    web_view(rest, ours, place)
    host = str(rest.get("domain", ""))
    scheme = "https" if rest.get("secure") else "http"
    ours["url"] = f"{scheme}://{host.lstrip('.')}{rest.get('path', '/')}"
    ours["url_hostname"] = host.lstrip(".") or None


def kept(rest: Values, ours: Values, place: Place) -> None:
    """A login; the password itself is not taken over."""
    web_view(rest, ours, place)
    secret = rest.pop("password", None)
    if secret:
        rest["password_bytes"] = len(secret)


SHEETS = (
    Sheet(
        "app_usage", "events", ("_id", "timestamp", "type", "package_id"),
        "artifact_query",
        {"subject_name": "packages.package_name"},
        (Time("timestamp", unix_ms, "event"),),
        QUERY | {"artifact": "android_app_usage"},
        joins=(
            Join("packages", "j._id = m.package_id", ("package_name",), ("_id",)),
            Join("packages", "j._id = m.task_root_package_id", ("package_name",), ("_id",),
                 "task_root"),
        ),
        beside=("packages",),
        finish=usage,
    ),
    Sheet(
        "app_usage", "component_events", ("_id", "timestamp", "type", "component_id"),
        "artifact_query",
        {"subject_name": "components.component_name"},
        (Time("timestamp", unix_ms, "event"),),
        QUERY | {"artifact": "android_app_usage"},
        joins=(Join("components", "j._id = m.component_id", ("component_name",), ("_id",)),),
        finish=usage,
    ),
    Sheet(
        "cookie", "cookies", ("_id", "name", "value", "domain", "path", "expires", "secure"),
        "browser_activity", {"title": "name"},
        (Time("expires", unix_ms, "expires"),),
        HTTP | {"record_type": "cookie"}, finish=cookie,
    ),
    Sheet(
        "form", "formdata", ("_id", "urlid", "name", "value"),
        "browser_activity", {"url": "formurl.url", "title": "name"}, (),
        HTTP | {"record_type": "form"},
        joins=(Join("formurl", "j._id = m.urlid", ("url",), ("_id",)),), finish=web_view,
    ),
    Sheet(
        "login", "httpauth", ("_id", "host", "realm", "username"),
        "browser_activity", {"url": "host", "login_name": "username"}, (),
        HTTP | {"record_type": "login"}, finish=kept,
    ),
    Sheet(
        "login", "password", ("_id", "host", "username", "password"),
        "browser_activity", {"url": "host", "login_name": "username"}, (),
        HTTP | {"record_type": "login"}, finish=kept,
    ),
    Sheet(
        "call", "calls", ("_id", "number", "date", "duration", "type"),
        "raw_event", {"message": "number", "event_code": "type"},
        (Time("date", unix_ms, "call"), Time("last_modified", unix_ms, "modified")),
        RAW | {"log_provider": "android calls"},
    ),
    Sheet(
        "sms", "sms", ("_id", "address", "date", "body", "type"),
        "raw_event", {"message": "body", "event_code": "type"},
        (Time("date", unix_ms, "received"), Time("date_sent", unix_ms, "sent")),
        RAW | {"log_provider": "android sms"},
    ),
)  # fmt: skip
