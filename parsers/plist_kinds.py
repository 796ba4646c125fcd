"""What property lists say, by their keys: autostarts, Safari, installations, networks, users.

`items` gives what a list holds, one `Item` for each row. What no column takes stays in `rest`.
"""

import plistlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import Any

from tracelake.parsers.epochs import Moment, cocoa, of_datetime, unix
from tracelake.parsers.plist_file import WRONG
from tracelake.parsers.sheets import Place, hostname

STARTUP, SOFTWARE, USAGE, HTTP = 5022, 5020, 205019, 6001
DEVICE, USER = 5001, 5003
QUERY, OTHER = 1, 99
MOST_ITEMS = 200_000
SECRETS = frozenset({"ShadowHashData", "HeimdalSRPKey", "KerberosKeys", "passwd", "hint"})
TABLES = ("artifact_query", "browser_activity", "inventory", "raw_event")


@dataclass(slots=True)
class Item:
    """A row to be. Attributes: rest: what is left, a value of the list."""

    table: str
    columns: dict[str, Any]
    rest: Any


def text(value: Any) -> str | None:
    """A text that is not empty."""
    return value if isinstance(value, str) and value else None


def number(value: Any) -> int | None:
    """A count, also where it is written as text."""
    if isinstance(value, str) and value.isdigit():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 1 << 63:
        return None
    return value


def when(value: Any) -> Moment | None:
    """A date, or seconds since 2001."""
    return of_datetime(value) if isinstance(value, datetime) else cocoa(value)


def timed(moment: Moment | None, desc: str) -> dict[str, Any]:
    if moment is None:
        return {}
    return {"time": moment[0], "time_ns": moment[1], "time_desc": desc}


def without(entry: dict[str, Any], *names: str) -> dict[str, Any]:
    return {key: value for key, value in entry.items() if key not in names}


def told(columns: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in columns.items() if value is not None}


SWITCHES = ("RunAtLoad", "KeepAlive", "Disabled")
TRIGGERS = (
    "StartInterval", "StartCalendarInterval", "WatchPaths", "QueueDirectories", "StartOnMount",
    "Sockets", "MachServices",
)  # fmt: skip


def launchd(value: dict[str, Any], place: Place) -> Iterator[Item]:
    """A job of launchd: launchd.plist(5)."""
    arguments = value.get("ProgramArguments")
    parts = [str(each) for each in arguments] if isinstance(arguments, list) else []
    program = text(value.get("Program")) or text(value.get("BundleProgram"))
    # With `Program`, the first argument is only what the program is told of its name.
    command = [program, *parts[1:]] if program and parts else [program] if program else parts
    path = place.path.lower()
    kind = (
        "launch_daemon" if "launchdaemons" in path
        else "launch_agent" if "launchagents" in path else "launchd_job"
    )  # fmt: skip
    said = [name for name in SWITCHES if value.get(name)]
    said += [name for name in TRIGGERS if name in value]
    subject = program or (parts[0] if parts else None)
    yield Item("artifact_query", told({
        "class_uid": STARTUP, "activity_id": QUERY, "artifact": kind,
        "subject_name": text(value.get("Label")), "subject_path": subject,
        "cmd_line": " ".join(quoted(part) for part in command if part) or None,
        "user_name": text(value.get("UserName")) or (
            place.user if kind == "launch_agent" else None
        ),
        "detail": ", ".join(said) or None,
    }), without(value, "Label", "UserName"))  # fmt: skip


def quoted(part: str) -> str:
    """An argument as a shell would want it, where it has blanks."""
    return f'"{part}"' if not part or any(c.isspace() for c in part) else part


def safari(record_type: str, url: Any, place: Place, **columns: Any) -> dict[str, Any]:
    address = text(url)
    return told({
        "class_uid": HTTP, "activity_id": QUERY, "browser": "safari", "user_name": place.user,
        "record_type": record_type, "url": address, "url_hostname": hostname(address), **columns,
    })  # fmt: skip


def downloads(value: dict[str, Any], place: Place) -> Iterator[Item]:
    """Safari's Downloads.plist."""
    for entry in entries(value["DownloadHistory"]):
        ended = when(entry.get("DownloadEntryDateFinishedKey"))
        columns = safari(
            "download", entry.get("DownloadEntryURL"), place,
            file_path=text(entry.get("DownloadEntryPostPath"))
            or text(entry.get("DownloadEntryPath")),
            bytes=number(entry.get("DownloadEntryProgressTotalToLoad")),
            end_time=ended[0] if ended else None,
        )  # fmt: skip
        started = when(entry.get("DownloadEntryDateAddedKey"))
        columns |= timed(started, "download started") or timed(ended, "download ended")
        yield Item("browser_activity", columns, without(entry, "DownloadEntryURL"))


def history(value: dict[str, Any], place: Place) -> Iterator[Item]:
    """Safari's History.plist, until 2014: the last visit of each page."""
    for entry in entries(value["WebHistoryDates"]):
        columns = safari(
            "visit", entry.get(""), place, title=text(entry.get("title")),
            visit_count=number(entry.get("visitCount")),
        )  # fmt: skip
        moment = cocoa(entry.get("lastVisitedDate") or entry.get("lastVisited"))
        columns |= timed(moment, "last visited")
        yield Item("browser_activity", columns, without(entry, "", "title"))


def bookmarks(value: dict[str, Any], place: Place) -> Iterator[Item]:
    """Safari's Bookmarks.plist: a tree."""
    waiting: list[tuple[Any, str, int]] = [(value, "", 0)]
    count = 0
    while waiting and count < MOST_ITEMS:
        entry, folder, depth = waiting.pop()
        if not isinstance(entry, dict):
            continue
        title = text(entry.get("Title")) or ""
        if isinstance(entry.get("Children"), list) and depth < 64:
            inner = f"{folder}/{title}" if title else folder
            room = MOST_ITEMS - len(waiting)
            children = entry["Children"][: max(room, 0)]
            waiting.extend((child, inner, depth + 1) for child in reversed(children))
        if "URLString" in entry:
            count += 1
            names = entry.get("URIDictionary")
            columns = safari(
                "bookmark", entry["URLString"], place,
                title=text(names.get("title")) if isinstance(names, dict) else None,
            )  # fmt: skip
            reading = entry.get("ReadingList")
            if isinstance(reading, dict):
                columns |= timed(when(reading.get("DateAdded")), "bookmarked")
            rest = {"folder": folder, **without(entry, "URLString")}
            yield Item("browser_activity", columns, rest)


def installations(value: list[Any], _place: Place) -> Iterator[Item]:
    """/Library/Receipts/InstallHistory.plist."""
    for entry in entries(value):
        columns = told({
            "class_uid": SOFTWARE, "activity_id": QUERY, "artifact": "install_history",
            "subject_name": text(entry.get("displayName")),
            "subject_version": text(entry.get("displayVersion")),
            "detail": text(entry.get("processName")),
        }) | timed(when(entry.get("date")), "installed")  # fmt: skip
        yield Item("artifact_query", columns, without(entry, "displayName", "displayVersion"))


def login_items(value: dict[str, Any], place: Place) -> Iterator[Item]:
    """com.apple.loginitems.plist."""
    session = value["SessionItems"]
    listed = session.get("CustomListItems") if isinstance(session, dict) else None
    for entry in entries(listed):
        yield Item("artifact_query", told({
            "class_uid": STARTUP, "activity_id": QUERY, "artifact": "login_item",
            "subject_name": text(entry.get("Name")), "user_name": place.user,
        }), without(entry, "Name"))  # fmt: skip


JOINED = ("JoinedByUserAt", "JoinedBySystemAt", "LastConnected", "LastAutoJoinAt", "UpdatedAt",
          "AddedAt")  # fmt: skip


def network(name: Any, entry: dict[str, Any]) -> Item:
    moments = [(m, key) for key in JOINED if (m := when(entry.get(key))) is not None]
    columns = told({
        "class_uid": USAGE, "activity_id": QUERY, "artifact": "wifi_network",
        "subject_name": text(name),
        "detail": text(entry.get("SecurityType")) or text(entry.get("SupportedSecurityTypes")),
    })  # fmt: skip
    if moments:
        latest, key = max(moments)
        columns |= timed(latest, key)
    return Item("artifact_query", columns, entry)


def networks(value: dict[str, Any], _place: Place) -> Iterator[Item]:
    """com.apple.airport.preferences.plist, and com.apple.wifi.known-networks.plist."""
    known = value.get("KnownNetworks", value.get("RememberedNetworks"))
    if known is None:
        known = {k: v for k, v in value.items() if str(k).startswith("wifi.network")}
    for entry in entries(list(known.values()) if isinstance(known, dict) else known):
        name = entry.get("SSIDString") or entry.get("SSID") or entry.get("SSID_STR")
        if isinstance(name, bytes):
            name = name.decode("utf-8", "replace")
        yield network(name, entry)


def user(value: dict[str, Any], _place: Place) -> Iterator[Item]:
    """A user of the local directory; what its password is kept as is not taken over."""

    def first(name: str) -> str | None:
        held = value.get(name)
        return text(held[0]) if isinstance(held, list) and held else None

    kept = sorted(name for name in SECRETS if value.get(name))
    rest: dict[str, Any] = without(value, *SECRETS, "jpegphoto")
    policy: dict[str, Any] = {}
    held = value.get("accountPolicyData")
    if isinstance(held, list) and held and isinstance(held[0], bytes):
        try:
            found = plistlib.loads(held[0])
        except WRONG as error:
            rest["accountPolicyData (unread)"] = type(error).__name__
        else:
            policy = found if isinstance(found, dict) else {}
            rest["accountPolicyData"] = policy
    times = {
        "account_created_time": unix(policy.get("creationTime")),
        "password_set_time": unix(policy.get("passwordLastSetTime")),
        "last_failed_logon_time": unix(policy.get("failedLoginTimestamp")),
    }
    if kept:
        rest["secrets not shown"] = ", ".join(kept)
    columns = told({
        "class_uid": USER, "activity_id": QUERY, "fact": "user", "user_name": first("name"),
        "user_full_name": first("realname"), "user_uid": first("uid"),
        "user_home": first("home"), "user_shell": first("shell"),
        **{name: moment[0] for name, moment in times.items() if moment},
    }) | timed(times["account_created_time"], "created")  # fmt: skip
    yield Item("inventory", columns, rest)


def system(value: dict[str, Any], _place: Place) -> Iterator[Item]:
    """SystemVersion.plist."""
    yield Item("inventory", told({
        "class_uid": DEVICE, "activity_id": QUERY, "fact": "os",
        "os_name": text(value.get("ProductName")), "os_version": text(value.get("ProductVersion")),
        "os_build": text(value.get("ProductBuildVersion")),
    }), value)  # fmt: skip


def computer(value: dict[str, Any], _place: Place) -> Iterator[Item]:
    """SystemConfiguration/preferences.plist: the host's names."""
    inner = value["System"]
    names = inner.get("System") if isinstance(inner, dict) else None
    name = text(names.get("HostName")) or text(names.get("ComputerName")) if isinstance(
        names, dict
    ) else None  # fmt: skip
    yield Item("inventory", told({
        "class_uid": DEVICE, "activity_id": QUERY, "fact": "computer_name",
        "device_hostname": name, "hardware_model": text(value.get("Model")),
    }), value)  # fmt: skip


def anything(value: Any, place: Place) -> Iterator[Item]:
    """Another list: all that it holds. What was archived by NSKeyedArchiver is as it was
    archived."""
    name = place.path.replace("\\", "/").rpartition("/")[2]
    columns = {"activity_id": OTHER, "log_provider": "plist", "log_name": name}
    yield Item("raw_event", columns, value)


def entries(value: Any) -> Iterator[dict[str, Any]]:
    """The dictionaries of a list."""
    if isinstance(value, list):
        for entry in value[:MOST_ITEMS]:
            if isinstance(entry, dict):
                yield {str(key): each for key, each in entry.items()}


def is_launchd(value: dict[str, Any]) -> bool:
    return "Label" in value and bool(
        {"Program", "ProgramArguments", "BundleProgram", "MachServices"} & set(value)
    )


KINDS: tuple[tuple[Callable[[dict[str, Any]], bool], Callable[..., Iterator[Item]]], ...] = (
    (is_launchd, launchd),
    (lambda v: "DownloadHistory" in v, downloads),
    (lambda v: "WebHistoryDates" in v, history),
    (lambda v: "WebBookmarkType" in v and "Children" in v, bookmarks),
    (lambda v: "SessionItems" in v, login_items),
    (lambda v: "KnownNetworks" in v or "RememberedNetworks" in v
     or any(str(k).startswith("wifi.network") for k in v), networks),
    (lambda v: {"name", "uid", "generateduid"} <= set(v), user),
    (lambda v: {"ProductName", "ProductVersion", "ProductBuildVersion"} <= set(v), system),
    (lambda v: {"System", "NetworkServices"} <= set(v), computer),
)  # fmt: skip


def is_installations(value: Any) -> bool:
    """A list of what was installed when."""
    return (
        isinstance(value, list)
        and bool(value)
        and isinstance(value[0], dict)
        and {"date", "displayName", "processName"} <= set(value[0])
    )


def items(value: Any, place: Place) -> Iterator[Item]:
    """What a property list says; all of the rows are of one table.

    Args:
        value: of the whole list.
    """
    found: Iterator[Item] | None = None
    if is_installations(value):
        found = installations(value, place)
    elif isinstance(value, dict):
        found = next((read(value, place) for is_it, read in KINDS if is_it(value)), None)
    first = next(found, None) if found is not None else None
    if found is None or first is None:
        # None of them, or one that is empty.
        return anything(value, place)
    return chain((first,), found)
