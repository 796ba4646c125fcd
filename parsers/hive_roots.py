"""Which hive it is, and how responders write its root.

By content first: what stands below the root tells the hives of Windows apart, whatever their
files were renamed to. Then by the name in the base block, which Windows wrote, and by the
file's own. The owner of a user's hive is in its access list: Windows gives the user full control
of the root key.
"""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tracelake.parsers.hive_keys import Key

_MARKS: tuple[tuple[str, tuple[frozenset[str], ...]], ...] = (
    ("SYSTEM", (frozenset({"select"}), frozenset({"controlset001"}), frozenset({"controlset002"}))),
    ("SAM", (frozenset({"sam"}),)),
    ("SECURITY", (frozenset({"policy", "rxact"}), frozenset({"policy", "cache"}))),
    ("BCD", (frozenset({"objects", "description"}),)),
    ("AMCACHE", ()),
    ("SOFTWARE", (frozenset({"microsoft", "classes"}), frozenset({"microsoft", "policies"}),
                  frozenset({"microsoft", "clients"}), frozenset({"microsoft", "wow6432node"}))),
    ("NTUSER", (frozenset({"software", "control panel"}), frozenset({"software", "environment"}),
                frozenset({"software", "network"}), frozenset({"software", "keyboard layout"}))),
    ("USRCLASS", (frozenset({"local settings"}), frozenset({"clsid", "interface"}),
                  frozenset({"appid", "clsid"}))),
    ("COMPONENTS", (frozenset({"deriveddata"}), frozenset({"canonicaldata"}))),
    ("DRIVERS", (frozenset({"driverdatabase"}),)),
)
_AMCACHE = frozenset({"inventoryapplicationfile", "inventoryapplication", "file", "programs",
                      "orphan", "inventorydriverbinary"})
_NAMES = (
    (re.compile(r"(^|[\\/_.])ntuser\.(dat|man)"), "NTUSER"),
    (re.compile(r"usrclass\.dat"), "USRCLASS"),
    (re.compile(r"amcache\.hve"), "AMCACHE"),
    (re.compile(r"(config|regback)[\\/_]software|(^|[\\/])software(\.|$)"), "SOFTWARE"),
    (re.compile(r"(config|regback)[\\/_]system|(^|[\\/])system(\.|$)"), "SYSTEM"),
    (re.compile(r"(config|regback)[\\/_]sam|(^|[\\/])sam(\.|$)"), "SAM"),
    (re.compile(r"(config|regback)[\\/_]security|(^|[\\/])security(\.|$)"), "SECURITY"),
    (re.compile(r"(config|regback)[\\/_]components|(^|[\\/])components(\.|$)"), "COMPONENTS"),
    (re.compile(r"(config|regback)[\\/_]drivers|(^|[\\/])drivers(\.|$)"), "DRIVERS"),
    (re.compile(r"boot[\\/_]bcd|(^|[\\/])bcd(\.|$)"), "BCD"),
)
_DEFAULT = re.compile(r"(config|regback)[\\/_]default|(^|[\\/])default$")
_USER_SID = re.compile(r"S-1-5-21-\d+-\d+-\d+-\d+|S-1-12-1-\d+-\d+-\d+-\d+")
_SERVICE_SIDS = {"localservice": "S-1-5-19", "networkservice": "S-1-5-20",
                 "systemprofile": "S-1-5-18"}
_PROFILE = re.compile(
    r"(?:users|documents and settings)[\\/]+([^\\/]+)[\\/].*(?:ntuser|usrclass)", re.IGNORECASE)
_MACHINE = {"SYSTEM", "SOFTWARE", "SAM", "SECURITY", "COMPONENTS", "DRIVERS"}


@dataclass(frozen=True, slots=True)
class Root:
    """Attributes:
    kind: SYSTEM, SOFTWARE, SAM, SECURITY, NTUSER, USRCLASS, AMCACHE, BCD, COMPONENTS, DRIVERS,
        or OTHER; the first part of the patterns that are looked for.
    path: of the root key, as it is written ("HKLM\\SYSTEM").
    user_uid: SID of the user whose hive it is, "" where it is nobody's or unknown.
    user_name: name of the user's profile folder, "" where nothing names it.
    """

    kind: str
    path: str
    user_uid: str = ""
    user_name: str = ""


def find_root(key: "Key | None", inner_name: str, path: str) -> Root:
    """Tells a hive.

    Args:
        key: its root key, None where that cannot be read.
        inner_name: the file name in its base block.
        path: of the artifact.
    """
    children = frozenset(k.name.lower() for k in key.subkeys()) if key is not None else frozenset()
    kind = _by_content(key, children)
    names = (inner_name.lower(), path.lower())
    if not kind:
        kind = next((k for name in names for pattern, k in _NAMES if pattern.search(name)), "")
    is_default = any(_DEFAULT.search(name) for name in names)
    if not kind and is_default and "software" in children:
        kind = "NTUSER"
    if kind in _MACHINE:
        return Root(kind, f"HKLM\\{kind}")
    if kind == "BCD":
        return Root(kind, "HKLM\\BCD00000000")
    if kind in ("NTUSER", "USRCLASS"):
        return _of_user(kind, key, names, is_default, inner_name, path)
    name = (inner_name or path).replace("/", "\\").rsplit("\\", 1)[-1]
    if kind == "AMCACHE":
        return Root(kind, name or "Amcache.hve")
    return Root("OTHER", name or "hive")


def _by_content(key: "Key | None", children: frozenset[str]) -> str:
    if key is None:
        return ""
    if "root" in children and len(children) <= 3:
        inner = key.subkey("Root")
        if inner is not None and _AMCACHE & {k.name.lower() for k in inner.subkeys()}:
            return "AMCACHE"
    for kind, marks in _MARKS:
        if any(mark <= children for mark in marks):
            return "" if kind == "SAM" and len(children) > 3 else kind
    return ""


def _of_user(
    kind: str, key: "Key | None", names: tuple[str, ...], is_default: bool, inner: str, path: str
) -> Root:
    profile = next((m.group(1) for m in map(_PROFILE.search, (path, inner)) if m), "")
    sid = next((m.group(0) for m in map(_USER_SID.search, (path,)) if m), "")
    if not sid and key is not None:
        # The owner may be the group of administrators; the first user in the list is the one.
        sid = next((s for s in key.sids() if _USER_SID.fullmatch(s)), "")
    if not sid:
        sid = next((s for word, s in _SERVICE_SIDS.items() if any(word in n for n in names)), "")
    tail = "_Classes" if kind == "USRCLASS" else ""
    if sid:
        return Root(kind, f"HKU\\{sid}{tail}", sid, profile)
    if is_default and kind == "NTUSER":
        return Root(kind, "HKU\\.DEFAULT", "S-1-5-18", "")
    return Root(kind, "HKCU\\Software\\Classes" if tail else "HKCU", "", profile)
