"""What a user opened, typed and searched for: lists of recent use below NTUSER.DAT."""

import re
import struct

from tracelake.parsers import shell_items
from tracelake.parsers.hive_context import (
    Context,
    filetime_at,
    mru_order,
    program_of,
    us,
    used_last,
    wide,
)
from tracelake.parsers.hive_keys import Key, Value

DEPTH_MOST = 128


def shellbags(key: Key, out: Context) -> None:
    """Folders that Explorer has shown, from the tree of BagMRU keys."""
    seen: set[int] = set()
    pending: list[tuple[Key, list[shell_items.ShellItem]]] = [(key, [])]
    while pending:
        bag, above = pending.pop()
        if bag.offset in seen:
            continue
        seen.add(bag.offset)
        order = mru_order(bag)
        children = {child.name: child for child in bag.subkeys()}
        for value in bag.values():
            if not value.name.isdigit() or value.kind != 3 or len(value.data) < 3:
                continue
            size = struct.unpack_from("<H", value.data, 0)[0]
            item = shell_items.item(value.data[: size if size > 2 else len(value.data)])
            place = [*above, item]
            child = children.get(value.name)
            _bag(out, bag, value, child, place, order)
            if child is not None and len(place) < DEPTH_MOST:
                pending.append((child, place))


def _bag(
    out: Context, bag: Key, value: Value, child: Key | None, place: list[shell_items.ShellItem],
    order: dict[str, int],
) -> None:
    item = place[-1]
    slot = child.number("NodeSlot") if child is not None else None
    first = order.get(value.name) == 0
    key = child if child is not None else bag
    out.trace(
        "shellbags", key, value,
        time=used_last(bag, order, value.name), time_desc="last_interacted",
        subject_path=shell_items.join(place), subject_name=item.name,
        subject_created_time=item.created, subject_modified_time=item.modified,
        subject_accessed_time=item.accessed, subject_size=item.size,
        unmapped=_item_notes(item) | {
            "bag": value.name, "mru_position": str(order.get(value.name, "")),
            "node_slot": str(slot) if slot is not None else "",
            "parent_modified_us": str(bag.modified[0]) if bag.modified and first else "",
        },
    )


def _item_notes(item: shell_items.ShellItem) -> dict[str, str]:
    notes = {f"item_{k}": v[:4096] for k, v in item.extra.items()}
    notes["item_kind"] = item.kind
    if item.mft_entry is not None:
        notes |= {"mft_entry": str(item.mft_entry), "mft_seq": str(item.mft_seq)}
    if item.short_name and item.short_name != item.name:
        notes["short_name"] = item.short_name
    if item.guid:
        notes["guid"] = item.guid
    return notes


def recent_docs(key: Key, out: Context) -> None:
    """Files opened through Explorer: one list of all, and one of each extension."""
    order = mru_order(key)
    for value in key.values():
        if not value.name.isdigit():
            continue
        name = wide(value.data)
        rest = value.data[len(name.encode("utf-16-le", "surrogatepass")) + 2 :]
        link = shell_items.parse(rest)
        out.trace(
            "recent_docs", key, value, time=used_last(key, order, value.name),
            time_desc="last_opened", subject_name=name,
            detail=key.name if key.name.startswith(".") or key.name == "Folder" else "",
            unmapped={"mru_position": str(order.get(value.name, "")),
                      "link": link.items[0].name if link.items else ""},
        )


def run_mru(key: Key, out: Context) -> None:
    """Commands of the Run box."""
    order = mru_order(key)
    for value in key.values():
        if value.name.lower() == "mrulist" or value.kind not in (1, 2):
            continue
        command = value.text.removesuffix("\\1")
        out.trace("run_mru", key, value, time=used_last(key, order, value.name),
                  time_desc="last_run", cmd_line=command, subject_path=program_of(command),
                  unmapped={"mru_position": str(order.get(value.name, ""))})


def typed_paths(key: Key, out: Context) -> None:
    """Paths typed into Explorer's address bar; url1 is the last."""
    for value in key.values():
        if value.name.lower().startswith("url"):
            out.trace("typed_paths", key, value, subject_path=value.text,
                      time=key.modified if value.name.lower() == "url1" else None,
                      time_desc="last_typed", unmapped={"position": value.name[3:]})


def typed_urls(key: Key, out: Context) -> None:
    """Addresses typed into Internet Explorer or Edge; their times are kept since IE 10."""
    urls, times = key.subkey("TypedURLs"), key.subkey("TypedURLsTime")
    for value in urls.values() if urls is not None else []:
        name = value.name.lower()
        if urls is None or not name.startswith("url"):
            continue
        when = filetime_at(times.data(name), 0) if times is not None else None
        if when is None and name == "url1":
            when = urls.modified
        out.trace("typed_urls", urls, value, subject_path=value.text, time=when,
                  time_desc="last_typed", unmapped={"position": name[3:]})


def open_save_mru(key: Key, out: Context) -> None:
    """Files chosen in the dialogs Open and Save As, by extension."""
    order = mru_order(key)
    for value in key.values():
        if value.kind == 3 and value.name.isdigit():
            listed = shell_items.parse(value.data)
            path = listed.path
            notes = _item_notes(listed.items[-1]) if listed.items else {}
            notes["trouble"] = listed.trouble
        elif value.kind in (1, 2) and value.name.lower() != "mrulist":
            path, notes = value.text, {}
        else:
            continue
        last = listed.items[-1] if value.kind == 3 and listed.items else None
        out.trace(
            "open_save_mru", key, value, time=used_last(key, order, value.name),
            time_desc="last_opened", subject_path=path, subject_name=path.rsplit("\\", 1)[-1],
            detail=key.name if key.name != "OpenSavePidlMRU" else "",
            subject_created_time=last.created if last else None,
            subject_modified_time=last.modified if last else None,
            subject_accessed_time=last.accessed if last else None,
            unmapped=notes | {"mru_position": str(order.get(value.name, ""))},
        )


def last_visited_mru(key: Key, out: Context) -> None:
    """The programs that showed such a dialog, and the folder they showed last."""
    order = mru_order(key)
    for value in key.values():
        if value.kind != 3 or value.name.lower().startswith("mrulist"):
            continue
        program = wide(value.data)
        rest = value.data[len(program.encode("utf-16-le", "surrogatepass")) + 2 :]
        listed = shell_items.parse(rest)
        folder = wide(rest) if key.name == "LastVisitedMRU" else listed.path
        out.trace(
            "last_visited_mru", key, value, time=used_last(key, order, value.name),
            time_desc="last_used", subject_name=program, subject_path=program, detail=folder,
            unmapped={"mru_position": str(order.get(value.name, "")), "trouble":
                      "" if key.name == "LastVisitedMRU" else listed.trouble},
        )


def word_wheel_query(key: Key, out: Context) -> None:
    """What was searched for in Explorer (XP: in the search assistant)."""
    order = mru_order(key)
    for value in key.values():
        if value.name.lower().startswith("mrulist"):
            continue
        text = value.text if value.kind in (1, 2) else wide(value.data)
        out.trace("word_wheel_query", key, value, time=used_last(key, order, value.name),
                  time_desc="last_searched", subject_name=text,
                  unmapped={"mru_position": str(order.get(value.name, ""))})


def mount_points(key: Key, out: Context) -> None:
    """Volumes and shares that the user saw: drives, volumes by GUID, ##server#share."""
    for point in key.subkeys():
        name = point.name
        path = name.replace("#", "\\") if name.startswith("##") else name
        guid = name.strip("{}") if re.fullmatch(r"\{[0-9A-Fa-f-]{36}\}", name) else ""
        out.trace("mount_points", point, time=point.modified, time_desc="key_modified",
                  subject_path=path, volume_uid=guid.lower(), detail=point.text("_LabelFromReg"))


def network_drive_mru(key: Key, out: Context) -> None:
    """Shares that were mapped as a drive."""
    order = mru_order(key)
    for value in key.values():
        if value.name.lower() != "mrulist" and value.kind in (1, 2):
            out.trace("network_drive_mru", key, value, subject_path=value.text,
                      time=used_last(key, order, value.name), time_desc="last_used",
                      unmapped={"mru_position": str(order.get(value.name, ""))})


def network_drive(key: Key, out: Context) -> None:
    """A drive that is mapped at each logon."""
    if key.value("RemotePath") is not None:
        out.trace("network_drive", key, time=key.modified, time_desc="key_modified",
                  subject_path=key.text("RemotePath"), subject_name=f"{key.name}:",
                  unmapped={"connect_as": key.text("UserName"),
                            "provider": key.text("ProviderName")})


_OFFICE_ITEM = re.compile(r"(?:\[F([0-9A-Fa-f]{8})\])?(?:\[T([0-9A-Fa-f]{16})\])?"
                          r"(?:\[O[0-9A-Fa-f]+\])?\*?(.*)", re.DOTALL)


def office_mru(key: Key, out: Context) -> None:
    """Documents and folders that an Office program opened last."""
    parts = key.path.split("\\")
    program = next((p for p in reversed(parts[:-1])
                    if p not in ("User MRU",) and not p.startswith(("LiveId", "ADAL", "AD_"))), "")
    for value in key.values():
        if not value.name.lower().startswith("item ") or value.kind not in (1, 2):
            continue
        found = _OFFICE_ITEM.match(value.text)
        if found is None:
            continue
        flags, stamp, path = found.groups()
        when = filetime_at(bytes.fromhex(stamp)[::-1], 0) if stamp else None
        out.trace("office_mru", key, value, time=when, time_desc="last_opened",
                  subject_path=path, subject_name=re.split(r"[\\/]", path)[-1],
                  subject_accessed_time=us(when), detail=f"{program} {key.name}",
                  unmapped={"item": value.name[5:], "flags": flags or ""})


def office_trust(key: Key, out: Context) -> None:
    """Documents whose content or macros the user has allowed."""
    for value in key.values():
        data = value.data
        if len(data) < 24:
            continue
        when = filetime_at(data, 0)
        what = struct.unpack_from("<I", data, len(data) - 4)[0]
        detail = {0x7FFFFFFF: "macros enabled", 1: "editing enabled"}.get(what, f"{what:#x}")
        out.trace("office_trust", key, value, time=when, time_desc="trusted",
                  subject_path=value.name, subject_name=re.split(r"[\\/]", value.name)[-1],
                  detail=detail, unmapped={"data": data.hex()})


def terminal_client_mru(key: Key, out: Context) -> None:
    """Hosts that the user connected to with Remote Desktop; MRU0 is the last."""
    for value in key.values():
        if value.name.upper().startswith("MRU"):
            out.trace("terminal_client_mru", key, value, subject_name=value.text,
                      time=key.modified if value.name.upper() == "MRU0" else None,
                      time_desc="last_connected", unmapped={"position": value.name[3:]})


def terminal_client_server(key: Key, out: Context) -> None:
    """A host that the user connected to, and the name used there."""
    out.trace("terminal_client_server", key, time=key.modified, time_desc="key_modified",
              subject_name=key.name, detail=key.text("UsernameHint"),
              unmapped={"certificate_hash": key.data("CertHash").hex()})


def putty_session(key: Key, out: Context) -> None:
    """A saved session of PuTTY."""
    out.trace("putty_session", key, time=key.modified, time_desc="key_modified",
              subject_name=key.text("HostName"), detail=key.name,
              unmapped={"user": key.text("UserName"), "protocol": key.text("Protocol"),
                        "port": str(key.number("PortNumber") or ""),
                        "key_file": key.text("PublicKeyFile"),
                        "forwards": key.text("PortForwardings")})


def putty_host_key(key: Key, out: Context) -> None:
    """Hosts whose keys PuTTY has accepted."""
    for value in key.values():
        kind, _, host = value.name.partition("@")
        port, _, name = host.partition(":")
        out.trace("putty_host_key", key, value, subject_name=name or value.name,
                  detail=kind, unmapped={"port": port})


def winscp_session(key: Key, out: Context) -> None:
    """A saved session of WinSCP."""
    if key.text("HostName"):
        out.trace("winscp_session", key, time=key.modified, time_desc="key_modified",
                  subject_name=key.text("HostName"), detail=key.text("UserName"),
                  unmapped={"session": key.name, "port": str(key.number("PortNumber") or ""),
                            "password": "present" if key.text("Password") else "",
                            "remote": key.text("RemoteDirectory"),
                            "local": key.text("LocalDirectory")})


def recent_list(key: Key, out: Context) -> None:
    """Files that a program lists as opened last."""
    for value in key.values():
        text = value.text or (value.data.decode("cp1252", "replace").rstrip("\0")
                              if value.kind == 3 else "")
        if "\\" in text or "/" in text:
            first = value.name.lower() in ("file1", "file0", "tdiref", "difile")
            out.trace("recent_list", key, value, subject_path=text,
                      subject_name=re.split(r"[\\/]", text)[-1],
                      time=key.modified if first and value.name.lower() == "file1" else None,
                      time_desc="last_opened", unmapped={"entry": value.name})


def winrar_history(key: Key, out: Context) -> None:
    """Archives opened with WinRAR; 0 is the last."""
    for value in key.values():
        if value.kind in (1, 2):
            out.trace("archive_history", key, value, subject_path=value.text,
                      time=key.modified if value.name == "0" else None, time_desc="last_opened",
                      unmapped={"position": value.name, "program": "WinRAR"})


def archive_history(key: Key, out: Context) -> None:
    """Folders and archives of 7-Zip's file manager."""
    for name in ("FolderHistory", "PanelPath0", "PanelPath1", "CopyHistory"):
        value = key.value(name)
        if value is None:
            continue
        texts = value.texts if value.kind in (1, 7) else [
            t for t in value.data.decode("utf-16-le", "replace").split("\0") if t]
        for position, text in enumerate(texts):
            out.trace("archive_history", key, value, subject_path=text,
                      unmapped={"position": str(position), "list": name, "program": "7-Zip"})
