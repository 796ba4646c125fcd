"""Shell links: what one of them says, wherever it stands (files, jump lists).

Specification: [MS-SHLLINK] revision 8.0.

    header (76): flags, attributes, times of the target, its size, ...
    2.2 list of shell items, 2.3 where the target is, 2.4 texts, 2.5 extra blocks
"""

import struct
from dataclasses import dataclass, field
from typing import Any

from tracelake.parsers.property_store import properties
from tracelake.parsers.pyrows import NAME_GUESSED, TRUNCATED
from tracelake.parsers.shell_items import ItemList
from tracelake.parsers.shell_items import parse as parse_items
from tracelake.parsers.shell_names import guid_name, guid_text
from tracelake.parsers.whole import EPOCH_FILETIME, micros, moment, notes

SIGNATURE = bytes.fromhex("4c0000000114020000000000c000000000000046")
HEADER = 76
FILE_QUERY = 5007
QUERY = 1
BLOCKS_MOST = 64
TEXT_MOST = 65536
# 100 ns from 1582-10-15, where UUIDs of version 1 count from, to 1601-01-01.
_UUID_EPOCH = 5_748_192_000_000_000

_HAS_ITEMS, _HAS_INFO, _IS_UNICODE = 1, 2, 0x80
_TEXTS = (
    (0x04, "description"), (0x08, "relative_path"), (0x10, "working_directory"),
    (0x20, "arguments"), (0x40, "icon_location"),
)  # fmt: skip
_FLAG_NAMES = """
HasLinkTargetIDList HasLinkInfo HasName HasRelativePath HasWorkingDir HasArguments
HasIconLocation IsUnicode ForceNoLinkInfo HasExpString RunInSeparateProcess Unused1
HasDarwinID RunAsUser HasExpIcon NoPidlAlias Unused2 RunWithShimLayer ForceNoLinkTrack
EnableTargetMetadata DisableLinkPathTracking DisableKnownFolderTracking
DisableKnownFolderAlias AllowLinkToLink UnaliasOnSave PreferEnvironmentPath
KeepLocalIDListForUNCTarget
"""
_FLAGS = _FLAG_NAMES.split()
_DRIVES = ("unknown", "no root", "removable", "fixed", "remote", "cdrom", "ramdisk")
_SHOWS = {1: "normal", 3: "maximized", 7: "minimized"}
_PATH_BLOCKS = {
    0xA0000001: "environment_path", 0xA0000006: "darwin_id", 0xA0000007: "icon_environment_path",
}  # fmt: skip
_TRACKER, _PROPERTIES, _KNOWN, _SPECIAL = 0xA0000003, 0xA0000009, 0xA000000B, 0xA0000005
_SHIM, _CODEPAGE, _CONSOLE, _ITEMS = 0xA0000008, 0xA0000004, 0xA0000002, 0xA000000C


@dataclass(slots=True)
class Link:
    """What a shell link says.

    Attributes:
        length: bytes from its header to the end of its last block.
        times: created, accessed, written, of the target, FILETIME.
        path: where the target is, by the best of what says so.
        serial: of the volume, as `vol` shows it, without a dash; "" where it does not say.
        machine: NetBIOS name of the host that the target was on; mac: its link address.
        said: everything else, by name.
        guessed: a text's code page had to be guessed.
        trouble: what could not be read.
    """

    length: int
    flags: int
    times: tuple[int, int, int]
    size: int
    path: str = ""
    serial: str = ""
    machine: str = ""
    mac: str = ""
    items: ItemList | None = None
    said: dict[str, str] = field(default_factory=dict)
    guessed: bool = False
    trouble: list[str] = field(default_factory=list)

    def ansi(self, data: bytes) -> str:
        """Text in the host's code page, up to the first NUL."""
        data = data.split(b"\0", 1)[0]
        self.guessed |= not data.isascii()
        return data.decode("cp1252", "replace")


class _Cut(Exception):
    """A structure goes beyond the end, or contradicts itself."""


def wide(data: bytes) -> str:
    """UTF-16LE up to the first NUL."""
    return data[: len(data) & ~1].decode("utf-16-le", "surrogatepass").split("\0", 1)[0]


def parse(data: bytes, start: int = 0) -> Link | None:
    """Reads the link whose header begins at `start`; None where no header is there.

    Args:
        data: holds it; what follows it does not matter.
    """
    if data[start : start + 20] != SIGNATURE or start + HEADER > len(data):
        return None
    flags, attributes, created, accessed, written, size, icon, show, hotkey = (
        struct.unpack_from("<IIQQQIiIH", data, start + 20))
    out = Link(HEADER, flags, (created, accessed, written), size)
    names = [name for bit, name in enumerate(_FLAGS) if flags >> bit & 1]
    out.said |= notes(
        link_flags=" ".join(names), attributes=f"{attributes:#x}",
        icon_index=icon or None, show=_SHOWS.get(show, str(show)),
        hotkey=f"{hotkey:#06x}" if hotkey else "",
    )  # fmt: skip
    at = start + HEADER
    try:
        for step in (_items, _info, _texts, _blocks):
            at = step(data, at, out)
            out.length = at - start
    except _Cut as error:
        out.trouble.append(str(error))
        out.length = min(len(data), at) - start
    _best_path(out)
    return out


def _bytes(data: bytes, at: int, count: int, what: str) -> bytes:
    if at + count > len(data):
        raise _Cut(f"{what}: {count} bytes, {max(0, len(data) - at)} are left")
    return data[at : at + count]


def _number(data: bytes, at: int, form: str, what: str) -> int:
    value: int = struct.unpack(form, _bytes(data, at, struct.calcsize(form), what))[0]
    return value


def _items(data: bytes, at: int, out: Link) -> int:
    if not out.flags & _HAS_ITEMS:
        return at
    size = _number(data, at, "<H", "item list")
    out.items = parse_items(_bytes(data, at + 2, size, "item list"))
    if out.items.trouble:
        out.trouble.append(out.items.trouble)
    if out.items.items:
        out.said["item_path"] = out.items.path
        last = out.items.items[-1]
        out.said |= notes(
            target_mft_entry=last.mft_entry, target_mft_seq=last.mft_seq,
            item_created_us=last.created, item_modified_us=last.modified,
            item_accessed_us=last.accessed,
        )  # fmt: skip
        for number, each in enumerate(out.items.items):
            for name, value in each.extra.items():
                out.said[f"item{number}_{name}"] = value
    return at + 2 + size


def _info(data: bytes, at: int, out: Link) -> int:
    if not out.flags & _HAS_INFO:
        return at
    size = _number(data, at, "<I", "LinkInfo")
    if size < 28:
        # Some writers leave it at four bytes.
        return at + max(4, size)
    info = _bytes(data, at, size, "LinkInfo")
    header, flags, volume, base, network, suffix = struct.unpack_from("<6I", info, 4)
    base_wide = suffix_wide = 0
    if header >= 0x24 and size >= 36:
        base_wide, suffix_wide = struct.unpack_from("<II", info, 28)
    tail = wide(info[suffix_wide:]) if 0 < suffix_wide < size else (
        out.ansi(info[suffix:]) if 0 < suffix < size else "")
    if flags & 1:
        if 0 < volume <= size - 16:
            _volume(info[volume:], out)
        head = wide(info[base_wide:]) if 0 < base_wide < size else (
            out.ansi(info[base:]) if 0 < base < size else "")
        if head:
            out.said["local_path"] = head + ("\\" if tail and head[-1:] != "\\" else "") + tail
    if flags & 2 and 0 < network <= size - 20:
        share = _share(info[network:], out)
        if share:
            out.said["network_path"] = share + ("\\" + tail if tail else "")
    elif tail and not flags & 1:
        out.said["path_suffix"] = tail
    return at + size


def _volume(data: bytes, out: Link) -> None:
    _, kind, serial, label = struct.unpack_from("<4I", data)
    out.serial = f"{serial:08X}"
    out.said["drive_type"] = _DRIVES[kind] if kind < len(_DRIVES) else str(kind)
    if label == 0x14 and len(data) >= 20:
        text = wide(data[struct.unpack_from("<I", data, 16)[0] :][:1024])
    else:
        text = out.ansi(data[label:][:1024]) if label >= 16 else ""
    out.said |= notes(volume_label=text)


def _share(data: bytes, out: Link) -> str:
    _, flags, name, device, provider = struct.unpack_from("<5I", data)
    names = devices = ""
    if name > 0x14 and len(data) >= 28:
        wide_name, wide_device = struct.unpack_from("<II", data, 20)
        names = wide(data[wide_name:]) if wide_name else ""
        devices = wide(data[wide_device:]) if wide_device and flags & 1 else ""
    names = names or (out.ansi(data[name:]) if name >= 0x14 else "")
    if flags & 1 and device >= 0x14:
        devices = devices or out.ansi(data[device:])
    out.said |= notes(
        share=names, share_device=devices,
        network_provider=f"{provider:#010x}" if flags & 2 else "",
    )  # fmt: skip
    return names


def _texts(data: bytes, at: int, out: Link) -> int:
    width = 2 if out.flags & _IS_UNICODE else 1
    for bit, name in _TEXTS:
        if not out.flags & bit:
            continue
        count = _number(data, at, "<H", name)
        text = _bytes(data, at + 2, count * width, name)
        if width == 2:
            value = text.decode("utf-16-le", "surrogatepass")
        else:
            out.guessed |= not text.isascii()
            value = text.decode("cp1252", "replace")
        out.said |= notes(**{name: value.rstrip("\0")})
        at += 2 + count * width
    return at


def _blocks(data: bytes, at: int, out: Link) -> int:
    for _ in range(BLOCKS_MOST):
        if at + 4 > len(data):
            # The terminal block may be left out.
            return at
        (size,) = struct.unpack_from("<I", data, at)
        if size < 8:
            return at + 4
        if at + 8 > len(data) or data[at + 7] != 0xA0:
            # No block: what follows the link, where the terminal block was left out.
            return at
        block = _bytes(data, at, size, "extra block")
        (kind,) = struct.unpack_from("<I", block, 4)
        _block(kind, block[8:], out)
        at += size
    out.trouble.append(f"more than {BLOCKS_MOST} extra blocks")
    return at


def _block(kind: int, body: bytes, out: Link) -> None:
    if kind == _TRACKER and len(body) >= 88:
        _tracker(body, out)
    elif kind in _PATH_BLOCKS and len(body) >= 260:
        text = wide(body[260:780]) or out.ansi(body[:260])
        out.said |= notes(**{_PATH_BLOCKS[kind]: text})
    elif kind == _PROPERTIES:
        for name, value in properties(body):
            if value:
                out.said[name] = value
    elif kind == _KNOWN and len(body) >= 16:
        guid = guid_text(body[:16])
        out.said |= {"known_folder": guid_name(guid), "known_folder_id": guid}
    elif kind == _SPECIAL and len(body) >= 4:
        out.said["special_folder"] = str(struct.unpack_from("<I", body)[0])
    elif kind == _SHIM:
        out.said |= notes(shim_layer=wide(body))
    elif kind == _CODEPAGE and len(body) >= 4:
        out.said["console_code_page"] = str(struct.unpack_from("<I", body)[0])
    elif kind == _CONSOLE and len(body) >= 164:
        out.said |= notes(console_font=wide(body[36:100]))
    elif kind == _ITEMS:
        found = parse_items(body)
        out.said |= notes(item_path_vista=found.path)
    else:
        out.said[f"block_{kind:08x}"] = body[:TEXT_MOST].hex()


def _tracker(body: bytes, out: Link) -> None:
    out.machine = out.ansi(body[8:24])
    ids = [body[at : at + 16] for at in (24, 40, 56, 72)]
    for name, value in zip(
        ("droid_volume", "droid_file", "birth_droid_volume", "birth_droid_file"), ids, strict=True
    ):
        out.said[name] = guid_text(value)
    # What an object id of version 1 tells: the card's address, and when the host made it.
    mac, made = object_id(ids[3])
    out.said |= notes(birth_droid_mac=mac, birth_droid_created_us=made)
    mac, made = object_id(ids[1])
    out.mac = mac
    out.said |= notes(droid_created_us=made)


def object_id(value: bytes) -> tuple[str, int | None]:
    """(link address, microseconds since 1970) in a UUID of version 1; nothing in another."""
    low, mid, high = struct.unpack_from("<IHH", value)
    if high >> 12 != 1:
        return "", None
    ticks = (high & 0xFFF) << 48 | mid << 32 | low
    mac = ":".join(f"{byte:02x}" for byte in value[10:16])
    return mac, micros(ticks - _UUID_EPOCH) if ticks > _UUID_EPOCH + EPOCH_FILETIME else None


def _best_path(out: Link) -> None:
    said = out.said
    for name in ("local_path", "network_path"):
        if said.get(name):
            out.path = said[name]
            return
    items = out.items.items if out.items is not None else []
    on_disk = any(each.kind in ("volume", "file") for each in items)
    names = ("item_path", "environment_path") if on_disk else ("environment_path", "item_path")
    for name in (*names, "System.Link.TargetParsingPath", "System.ParsingPath",
                 "System.AppUserModel.ID", "relative_path", "path_suffix", "description"):
        if said.get(name):
            out.path = said[name]
            return


def columns(link: Link) -> dict[str, Any]:
    """The link as columns of `artifact_query`, without its kind and its time."""
    arguments = link.said.get("arguments", "")
    command = f'"{link.path}" {arguments}' if " " in link.path else f"{link.path} {arguments}"
    other = dict(link.said)
    if link.trouble:
        other["trouble"] = "; ".join(link.trouble)
    return {
        "class_uid": FILE_QUERY,
        "activity_id": QUERY,
        "subject_path": link.path or None,
        "subject_name": link.path.rstrip("\\").rsplit("\\", 1)[-1] or None,
        "subject_size": link.size,
        "subject_created_time": micros(link.times[0]),
        "subject_accessed_time": micros(link.times[1]),
        "subject_modified_time": micros(link.times[2]),
        "detail": link.said.get("description") or link.said.get("System.Title"),
        "cmd_line": command if arguments else None,
        "volume_uid": link.serial or None,
        "machine_uid": link.machine or None,
        "machine_mac": link.mac or None,
        "unmapped": other,
    }


def target_time(link: Link) -> dict[str, Any]:
    """The time of a link that has no better one: its target's, written or else made."""
    for ticks, what in ((link.times[2], "target_modified"), (link.times[0], "target_created")):
        us, ns = moment(ticks)
        if us is not None:
            return {"time": us, "time_ns": ns, "time_desc": what}
    return {}


def flags(link: Link) -> int:
    """`parse_flags` of its row."""
    return (TRUNCATED if link.trouble else 0) | (NAME_GUESSED if link.guessed else 0)
