"""Traces of programs that were run: BAM and DAM, user assist, MUI cache, compatibility lists."""

import codecs
import struct

from tracelake.parsers.hive_context import Context, filetime_at, unix_time, us
from tracelake.parsers.hive_keys import Key
from tracelake.parsers.shell_names import guid_name

KNOWN = {
    "1ac14e77-02e7-4e5d-b744-2eb1ae5198b7": r"%SystemRoot%\System32",
    "d65231b0-b2f1-4857-a4ce-a8e7c6ea7d27": r"%SystemRoot%\SysWOW64",
    "f38bf404-1d43-42f2-9305-67de0b28fc23": "%SystemRoot%",
    "905e63b6-c1bf-494e-b29c-65b732d3d21a": "%ProgramFiles%",
    "6d809377-6af0-444b-8957-a3773f02200e": "%ProgramFiles%",
    "7c5a40ef-a0fb-4bfc-874a-c0f2e0b9fa8e": "%ProgramFiles(x86)%",
    "a77f5d77-2e2b-44c3-a6a2-aba601054a51":
        r"%APPDATA%\Microsoft\Windows\Start Menu\Programs",
    "0139d44e-6afe-49f2-8690-3dafcae6ffb8":
        r"%ProgramData%\Microsoft\Windows\Start Menu\Programs",
    "9e3995ab-1f9c-4f13-b827-48b24b6c7174":
        r"%APPDATA%\Microsoft\Internet Explorer\Quick Launch\User Pinned",
    "52a4f021-7b75-48a9-9f6b-4b87a210bc8f":
        r"%APPDATA%\Microsoft\Internet Explorer\Quick Launch",
    "f1b32785-6fba-4fcf-9d55-7b8e7f157091": "%LOCALAPPDATA%",
    "3eb685db-65f9-4cf6-a03a-e3ef65729f3d": "%APPDATA%",
    "5e6c858f-0e22-4760-9afe-ea3317b67173": "%USERPROFILE%",
    "62ab5d82-fdc1-4dc3-a9dd-070d1d495d97": "%ProgramData%",
}
"""Known folders in front of a path, by the variable that Windows has for them."""


def bam(key: Key, out: Context) -> None:
    """When a user's programs ran last, by the background activity moderator."""
    _moderator("bam", key, out)


def dam(key: Key, out: Context) -> None:
    """The same of the desktop activity moderator."""
    _moderator("dam", key, out)


def _moderator(kind: str, key: Key, out: Context) -> None:
    for value in key.values():
        if value.kind != 3 or len(value.data) < 8:
            continue
        when = filetime_at(value.data, 0)
        out.trace(
            kind, key, value, time=when, time_desc="last_run", subject_path=value.name,
            subject_name=value.name.rsplit("\\", 1)[-1], user_uid=key.name,
            run_times=[when[0]] if when else None, is_executed=True,
            unmapped={"data": value.data[8:].hex()},
        )


def userassist(key: Key, out: Context) -> None:
    """What a user started through Explorer: counts, focus and the last time."""
    for value in key.values():
        name = codecs.decode(value.name, "rot13")
        if name.startswith("UEME_CTL") or value.kind != 3:
            continue
        data = value.data
        count = focus = milliseconds = None
        if len(data) >= 72:
            count, focus, milliseconds = struct.unpack_from("<III", data, 4)
            when = filetime_at(data, 60)
        elif len(data) >= 16:
            # To Windows Vista: counting began at 5.
            count = struct.unpack_from("<I", data, 4)[0]
            count = count - 5 if count >= 5 else count
            when = filetime_at(data, 8)
        else:
            continue
        path = known_folder(name)
        out.trace(
            "userassist", key, value, time=when, time_desc="last_run", subject_path=path,
            subject_name=path.rsplit("\\", 1)[-1], run_count=count,
            focus_count=focus if focus is not None and focus <= 0x7FFFFFFF else None,
            focus_s=None if milliseconds is None else milliseconds / 1000,
            run_times=[when[0]] if when else None, is_executed=bool(count) if count else None,
            unmapped={"name": name, "session": str(struct.unpack_from("<I", data, 0)[0])},
        )


def known_folder(path: str) -> str:
    """A path with the known folder that it begins with by name; UEME_RUNPATH: is taken off."""
    for what in ("RUNPATH", "RUNPIDL", "RUNCPL", "UISCUT", "UIQCUT"):
        path = path.removeprefix(f"UEME_{what}:")
    if path.startswith("{") and path[37:38] == "}":
        guid = path[1:37].lower()
        return KNOWN.get(guid, guid_name(guid)) + path[38:]
    return path


def muicache(key: Key, out: Context) -> None:
    """Names of programs that Explorer has shown to a user."""
    found: dict[str, dict[str, str]] = {}
    for value in key.values():
        name = value.name
        if value.kind not in (1, 2) or name.lower() == "langid" or name.startswith("@"):
            continue
        path, what = name, "FriendlyAppName"
        for ending in (".FriendlyAppName", ".ApplicationCompany"):
            if name.lower().endswith(ending.lower()):
                path, what = name[: -len(ending)], ending[1:]
        found.setdefault(path, {})[what] = value.text
        if what == "ApplicationCompany" and "FriendlyAppName" in found[path]:
            continue
    for path, texts in found.items():
        out.trace(
            "muicache", key, subject_path=path, subject_name=path.rsplit("\\", 1)[-1],
            subject_publisher=texts.get("ApplicationCompany"),
            detail=texts.get("FriendlyAppName"),
        )


def compat_store(key: Key, out: Context) -> None:
    """Programs that the compatibility assistant has watched."""
    for value in key.values():
        if ":" not in value.name and "\\" not in value.name:
            continue
        out.trace("compat_store", key, value, subject_path=value.name,
                  subject_name=value.name.rsplit("\\", 1)[-1],
                  unmapped={"data": value.data.hex()[:4096]})


def compat_layers(key: Key, out: Context) -> None:
    """Programs that run with a compatibility layer (RUNASADMIN, WINXPSP2, ...)."""
    for value in key.values():
        out.trace("compat_layers", key, value, subject_path=value.name,
                  subject_name=value.name.rsplit("\\", 1)[-1], detail=value.text)


def feature_usage(key: Key, out: Context) -> None:
    """How often a program was used on the taskbar (since Windows 10 1903)."""
    for value in key.values():
        if value.number is None:
            continue
        path = known_folder(value.name)
        out.trace("feature_usage", key, value, subject_path=path,
                  subject_name=path.rsplit("\\", 1)[-1], run_count=value.number, detail=key.name)


def recent_apps(key: Key, out: Context) -> None:
    """Programs of the search box (Windows 10 to 1709), and the files opened with them."""
    when = filetime_at(key.data("LastAccessedTime"), 0) or _number_time(key, "LastAccessedTime")
    path = known_folder(key.text("AppId"))
    out.trace("recent_apps", key, time=when, time_desc="last_accessed", subject_path=path,
              subject_name=path.rsplit("\\", 1)[-1], run_count=key.number("LaunchCount"),
              subject_accessed_time=us(when), detail=key.text("AppPath"))
    items = key.subkey("RecentItems")
    for item in items.subkeys() if items is not None else []:
        when = filetime_at(item.data("LastAccessedTime"), 0)
        out.trace("recent_apps_item", item, time=when, time_desc="last_accessed",
                  subject_path=item.text("Path"), subject_name=item.text("DisplayName"),
                  subject_accessed_time=us(when), detail=path)


def _number_time(key: Key, name: str) -> tuple[int, int] | None:
    number = key.number(name)
    return None if number is None else unix_time(None if number > 1 << 40 else number)


def sysinternals_eula(key: Key, out: Context) -> None:
    """A tool of Sysinternals whose licence the user accepted: it was started."""
    accepted = key.number("EulaAccepted")
    out.trace("sysinternals_eula", key, time=key.modified, time_desc="key_modified",
              subject_name=key.name, is_executed=bool(accepted) or None)


__all__ = [
    "bam", "compat_layers", "compat_store", "dam", "feature_usage", "muicache", "recent_apps",
    "sysinternals_eula", "userassist",
]
