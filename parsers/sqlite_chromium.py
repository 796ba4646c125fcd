"""Databases of Chromium and its kin (Chrome, Edge, Brave, Opera, Vivaldi, ...), all versions.

Source: chromium/src components/history, password_manager, autofill, net/extras/sqlite. Times are
microseconds since 1601; before 2013 some were seconds since 1970.
"""

import re

from tracelake.parsers.epochs import unix_any, webkit
from tracelake.parsers.sheets import Join, Place, Sheet, Time, Values, hostname

HTTP = {"class_uid": 6001, "activity_id": 1}
# ui/base/page_transition_types.h: the lowest byte.
TRANSITIONS = (
    "link", "typed", "auto_bookmark", "auto_subframe", "manual_subframe", "generated",
    "auto_toplevel", "form_submit", "reload", "keyword", "keyword_generated",
)  # fmt: skip
STATES = ("in progress", "complete", "cancelled", "bug 140687", "interrupted")
BROWSERS = (
    ("edge", "edge"), ("brave", "brave"), ("opera", "opera"), ("vivaldi", "vivaldi"),
    ("yandex", "yandex"), ("arc", "arc"), ("google", "chrome"), ("chrome", "chrome"),
    ("chromium", "chromium"),
)  # fmt: skip
PROFILE = re.compile(
    r"[/\\](default|profile[ _]\d+|guest profile|system profile)[/\\](?:network[/\\])?[^/\\]+$",
    re.IGNORECASE,
)


def where(ours: Values, place: Place) -> None:
    """Browser and profile, by the path."""
    parts = re.split(r"[/\\_ .-]+", place.path.lower())
    found = next(
        (
            name
            for word, name in BROWSERS
            if any(word in part for part in parts if word != "arc" or part == "arc")
        ),
        None,
    )
    ours["browser"] = found or "chromium"
    profile = PROFILE.search(place.path)
    if profile:
        ours["profile"] = profile.group(1)


def visit(rest: Values, ours: Values, place: Place) -> None:
    where(ours, place)
    transition = rest.get("transition")
    if isinstance(transition, int):
        core = transition & 0xFF
        ours["transition"] = TRANSITIONS[core] if core < len(TRANSITIONS) else str(core)
    length = rest.get("visit_duration")
    if isinstance(length, int) and 0 < length < 1 << 50 and "time" in ours:
        ours["end_time"] = ours["time"] + length


def download(rest: Values, ours: Values, place: Place) -> None:
    where(ours, place)
    state = rest.get("state")
    if isinstance(state, int) and 0 <= state < len(STATES):
        rest["state_name"] = STATES[state]
    chain = str(rest.get("downloads_url_chains", "")).split("\n")
    if chain[-1]:
        # The last of the chain is what was downloaded; the tab shows another page, mostly.
        ours["url"] = chain[-1]
    elif "url" not in ours and rest.get("tab_url"):
        ours["url"] = rest["tab_url"]
    ours["url_hostname"] = hostname(ours.get("url"))


def login(rest: Values, ours: Values, place: Place) -> None:
    where(ours, place)
    # What the secret is encrypted to is of no use without the host's key.
    secret = rest.pop("password_value", None)
    if secret:
        rest["password_bytes"] = len(secret)


def cookie(rest: Values, ours: Values, place: Place) -> None:
    where(ours, place)
    secret = rest.pop("encrypted_value", None)
    if secret:
        rest["encrypted_bytes"] = len(secret)
    host = str(rest.get("host_key", ""))
    ours["url"] = (
        f"{'https' if rest.get('is_secure', rest.get('secure')) else 'http'}://"
        f"{host.lstrip('.')}{rest.get('path', '/')}"
    )
    ours["url_hostname"] = host.lstrip(".") or None


def named(_rest: Values, ours: Values, place: Place) -> None:
    where(ours, place)


URL = Join("urls", "j.id = m.url", (
    "url", "title", "visit_count", "typed_count", "last_visit_time", "hidden",
), ("id", "url"))  # fmt: skip

SHEETS = (
    Sheet(
        "visit", "visits", ("id", "url", "visit_time", "from_visit", "transition"),
        "browser_activity",
        {"url": "urls.url", "title": "urls.title", "visit_count": "urls.visit_count",
         # A page of another profile or program, which has no visit here (since 2022).
         "referrer": ("origin.url", "external_referrer_url")},
        (Time("visit_time", webkit, "visited"),
         Time("urls.last_visit_time", webkit, "last visited")),
        HTTP | {"record_type": "visit"},
        joins=(
            URL,
            Join("urls", "j.id = (SELECT v.url FROM visits v WHERE v.id = m.from_visit)",
                 ("url",), ("id", "url"), "origin"),
            Join("visit_source", "j.id = m.id", ("source",), ("id", "source")),
        ),
        beside=("urls",),
        finish=visit,
    ),
    Sheet(
        "url", "urls",
        ("id", "url", "title", "visit_count", "typed_count", "last_visit_time", "hidden"),
        "browser_activity",
        {"url": "url", "title": "title", "visit_count": "visit_count"},
        (Time("last_visit_time", webkit, "last visited"),),
        HTTP | {"record_type": "url"},
        where="m.id NOT IN (SELECT v.url FROM visits v WHERE v.url IS NOT NULL)",
        beside=("visits",),
        finish=named,
    ),
    Sheet(
        "url", "urls",
        ("id", "url", "title", "visit_count", "typed_count", "last_visit_time", "hidden"),
        "browser_activity",
        {"url": "url", "title": "title", "visit_count": "visit_count"},
        (Time("last_visit_time", webkit, "last visited"),),
        HTTP | {"record_type": "url"},
        unless=("visits",),
        finish=named,
    ),
    Sheet(
        "search", "keyword_search_terms", ("keyword_id", "url_id", "term"),
        "browser_activity",
        {"url": "urls.url", "title": "term"},
        (Time("urls.last_visit_time", webkit, "last visited"),),
        HTTP | {"record_type": "search"},
        joins=(Join("urls", "j.id = m.url_id", ("url", "last_visit_time"), ("id",)),),
        beside=("urls",),
        finish=named,
    ),
    Sheet(
        "download", "downloads", ("id", "start_time", "received_bytes", "total_bytes", "state"),
        "browser_activity",
        {"url": "url", "referrer": ("referrer", "tab_referrer_url"),
         "file_path": ("target_path", "full_path", "current_path"),
         "mime_type": ("mime_type", "original_mime_type"), "bytes": ("total_bytes",)},
        (Time("start_time", webkit, "download started"),
         Time("end_time", webkit, "download ended", "end_time"),
         Time("last_access_time", webkit, "accessed")),
        HTTP | {"record_type": "download"},
        also={"downloads_url_chains":
              "SELECT group_concat(c.url, '\n') FROM (SELECT url FROM downloads_url_chains "
              "WHERE id = m.id ORDER BY chain_index) c"},
        beside=("urls",),
        finish=download,
    ),
    Sheet(
        "login", "logins", ("origin_url", "username_value", "password_value", "signon_realm"),
        "browser_activity",
        {"url": "origin_url", "login_name": "username_value"},
        (Time("date_created", webkit, "login kept"),
         Time("date_last_used", webkit, "used"),
         Time("date_password_modified", webkit, "password changed"),
         Time("date_received", webkit, "received"), Time("date_synced", webkit, "synced")),
        HTTP | {"record_type": "login"},
        finish=login,
    ),
    Sheet(
        "cookie", "cookies", ("host_key", "name", "path", "creation_utc", "expires_utc"),
        "browser_activity",
        {"title": "name"},
        (Time("creation_utc", webkit, "cookie set"),
         Time("last_access_utc", webkit, "accessed"), Time("expires_utc", webkit, "expires"),
         Time("last_update_utc", webkit, "updated")),
        HTTP | {"record_type": "cookie"},
        finish=cookie,
    ),
    Sheet(
        "autofill", "autofill", ("name", "value", "count"),
        "browser_activity",
        {"title": "name", "visit_count": "count"},
        (Time("date_last_used", unix_any, "autofill used"),
         Time("date_created", unix_any, "created"),
         Time("autofill_dates", unix_any, "autofill used")),
        HTTP | {"record_type": "autofill"},
        # Until 2014 the times stood in a table of their own.
        also={"autofill_dates":
              "SELECT max(d.date_created) FROM autofill_dates d WHERE d.pair_id = m.pair_id"},
        finish=named,
    ),
)  # fmt: skip
