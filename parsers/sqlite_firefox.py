"""Databases of Firefox and its kin, all versions. Times are microseconds since 1970."""

import re
from urllib.parse import unquote, urlsplit

from tracelake.parsers.epochs import unix_any, unix_us
from tracelake.parsers.sheets import Join, Place, Sheet, Time, Values

HTTP = {"class_uid": 6001, "activity_id": 1}
# nsINavHistoryService.idl, TRANSITION_*
VISITS = {
    1: "link", 2: "typed", 3: "bookmark", 4: "embed", 5: "redirect_permanent",
    6: "redirect_temporary", 7: "download", 8: "framed_link", 9: "reload",
}  # fmt: skip
BROWSERS = ("thunderbird", "seamonkey", "waterfox", "librewolf", "tor browser", "palemoon")
PROFILE = re.compile(r"[/\\](?:profiles|firefox)[/\\]([^/\\]+)[/\\][^/\\]+$", re.IGNORECASE)


def where(_rest: Values, ours: Values, place: Place) -> None:
    """Browser and profile, by the path."""
    path = place.path.lower()
    ours["browser"] = next((name for name in BROWSERS if name in path), "firefox")
    profile = PROFILE.search(place.path)
    if profile:
        ours["profile"] = profile.group(1)


def file_of(url: object) -> str | None:
    """The path of a `file:` address."""
    if not isinstance(url, str) or not url.lower().startswith("file:"):
        return None
    try:
        path = unquote(urlsplit(url).path)
    except ValueError:
        return None
    return path[1:] if re.match(r"/[A-Za-z]:", path) else path


def visit(rest: Values, ours: Values, place: Place) -> None:
    where(rest, ours, place)
    kind = rest.get("visit_type")
    if isinstance(kind, int):
        ours["transition"] = VISITS.get(kind, str(kind))


def annotation(rest: Values, ours: Values, place: Place) -> None:
    where(rest, ours, place)
    if str(rest.get("moz_anno_attributes.name", "")).startswith("downloads/"):
        ours["record_type"] = "download"
        ours["file_path"] = file_of(rest.get("content"))


def download(rest: Values, ours: Values, place: Place) -> None:
    where(rest, ours, place)
    ours["file_path"] = file_of(rest.get("target"))


def cookie(rest: Values, ours: Values, place: Place) -> None:
    where(rest, ours, place)
    host = str(rest.get("host", ""))
    scheme = "https" if rest.get("isSecure") else "http"
    ours["url"] = f"{scheme}://{host.lstrip('.')}{rest.get('path', '/')}"
    ours["url_hostname"] = host.lstrip(".") or None


SHEETS = (
    Sheet(
        "visit", "moz_historyvisits", ("place_id", "visit_date", "visit_type"),
        "browser_activity",
        {"url": "moz_places.url", "title": "moz_places.title",
         "visit_count": "moz_places.visit_count", "referrer": "origin.url"},
        (Time("visit_date", unix_us, "visited"),
         Time("moz_places.last_visit_date", unix_us, "last visited")),
        HTTP | {"record_type": "visit"},
        joins=(
            Join("moz_places", "j.id = m.place_id", (), ("id", "url")),
            Join("moz_places", "j.id = (SELECT v.place_id FROM moz_historyvisits v "
                 "WHERE v.id = m.from_visit)", ("url",), ("id", "url"), "origin"),
        ),
        beside=("moz_places",),
        finish=visit,
    ),
    Sheet(
        "url", "moz_places", ("id", "url", "title", "visit_count"),
        "browser_activity",
        {"url": "url", "title": "title", "visit_count": "visit_count"},
        (Time("last_visit_date", unix_us, "last visited"),),
        HTTP | {"record_type": "url"},
        where="m.id NOT IN "
        "(SELECT v.place_id FROM moz_historyvisits v WHERE v.place_id IS NOT NULL)",
        beside=("moz_historyvisits",),
        finish=where,
    ),
    Sheet(
        "bookmark", "moz_bookmarks", ("id", "type", "fk", "parent", "title"),
        "browser_activity",
        {"url": "moz_places.url", "title": ("title", "moz_places.title")},
        (Time("dateAdded", unix_us, "bookmarked"), Time("lastModified", unix_us, "modified")),
        HTTP | {"record_type": "bookmark"},
        joins=(
            Join("moz_places", "j.id = m.fk", ("url", "title"), ("id",)),
            Join("moz_bookmarks", "j.id = m.parent", ("title",), ("id",), "folder"),
        ),
        finish=where,
    ),
    Sheet(
        "annotation", "moz_annos", ("place_id", "anno_attribute_id", "content"),
        "browser_activity",
        {"url": "moz_places.url", "title": "moz_places.title"},
        (Time("dateAdded", unix_us, "added"), Time("lastModified", unix_us, "modified")),
        HTTP | {"record_type": "annotation"},
        joins=(
            Join("moz_places", "j.id = m.place_id", ("url", "title"), ("id",)),
            Join("moz_anno_attributes", "j.id = m.anno_attribute_id", ("name",), ("id",)),
        ),
        finish=annotation,
    ),
    Sheet(
        "typed", "moz_inputhistory", ("place_id", "input", "use_count"),
        "browser_activity",
        {"url": "moz_places.url", "title": "input"},
        (),
        HTTP | {"record_type": "typed"},
        joins=(Join("moz_places", "j.id = m.place_id", ("url", "title"), ("id",)),),
        finish=where,
    ),
    Sheet(
        "download", "moz_downloads", ("id", "source", "target", "startTime", "endTime", "state"),
        "browser_activity",
        {"url": "source", "referrer": "referrer", "title": "name", "mime_type": "mimeType",
         "bytes": ("maxBytes",)},
        (Time("startTime", unix_us, "download started"),
         Time("endTime", unix_us, "download ended", "end_time")),
        HTTP | {"record_type": "download"},
        finish=download,
    ),
    Sheet(
        "cookie", "moz_cookies", ("name", "value", "host", "path", "expiry"),
        "browser_activity",
        {"title": "name"},
        (Time("creationTime", unix_us, "cookie set"),
         Time("lastAccessed", unix_us, "accessed"), Time("expiry", unix_any, "expires")),
        HTTP | {"record_type": "cookie"},
        finish=cookie,
    ),
    Sheet(
        "form", "moz_formhistory", ("id", "fieldname", "value"),
        "browser_activity",
        {"title": "fieldname", "visit_count": "timesUsed"},
        (Time("lastUsed", unix_us, "form used"), Time("firstUsed", unix_us, "first used")),
        HTTP | {"record_type": "form"},
        finish=where,
    ),
    Sheet(
        "permission", "moz_perms", ("id", "type", "permission"),
        "browser_activity",
        {"url": ("origin", "host"), "title": "type"},
        (Time("modificationTime", unix_any, "changed"), Time("expireTime", unix_any, "expires")),
        HTTP | {"record_type": "permission"},
        finish=where,
    ),
    Sheet(  # until Firefox 41
        "permission", "moz_hosts", ("id", "host", "type", "permission"),
        "browser_activity",
        {"url": "host", "title": "type"},
        (Time("expireTime", unix_any, "expires"),),
        HTTP | {"record_type": "permission"},
        finish=where,
    ),
)  # fmt: skip
