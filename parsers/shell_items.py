"""Shell item lists: how the shell names a place, in links, jump lists and shell bags.

Specification: "Windows Shell Item format" (libyal, libfwsi); [MS-SHLLINK] 2.2 for the list.

    found = parse(data)              # bytes of an ID list, without the size in front of it
    found.path                       # C:\\Users\\ada\\x.txt, \\\\server\\share, My Computer, ...
    for item in found.items:
        item.name, item.modified, item.mft_entry, item.mft_seq, item.extra, ...
    found.trouble                    # what could not be read, "" where all could

Nothing here raises for bad bytes: an item that is not understood keeps its bytes in `extra`, as
hexadecimal digits, and the list goes on. Dates are microseconds since 1970, UTC; those in FAT
form are even seconds. A list holds at most 64 KiB / 3 items by its format (sizes are 16 bits in
what carries it); `MOST_ITEMS` bounds it where nothing else does.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from tracelake.parsers.property_store import ITEM_NAME, PARSING_PATH, properties
from tracelake.parsers.shell_names import CONTROL_PANEL, guid_name, guid_text

MOST_ITEMS = 1024
EPOCH_FILETIME = 116_444_736_000_000_000
# User property views ("Users property view item" of libfwsi), the signature as it stands in bytes.
_VIEWS = (b"\xee\xbb\xfe\x23", b"\xd5\xdf\xa3\x23", b"\xbb\xaf\x93\x3b", b"\x00\xee\xeb\xbe")
_DELEGATE = "5e591a74-df96-48d3-8d67-1733bcee28ba"


@dataclass(slots=True)
class ShellItem:
    """One place below another.

    Attributes:
        offset, length: where it stands in the list, bytes (its own size field included).
        class_type: its type byte.
        kind: root, volume, file, network, uri, control_panel, delegate, property, device,
            compressed, unknown.
        name: the best of its names; short_name: the 8.3 name, where it has one.
        is_dir: None where the item does not say.
        size, attributes: of the file, as the item says.
        modified, created, accessed: microseconds since 1970 UTC, None where there is none.
        mft_entry, mft_seq: NTFS file reference of the target when the item was made.
        guid: of its class or folder, "" where it has none.
        extra: what else it says.
    """

    offset: int
    length: int
    class_type: int
    kind: str = "unknown"
    name: str = ""
    short_name: str = ""
    is_dir: bool | None = None
    size: int | None = None
    attributes: int | None = None
    modified: int | None = None
    created: int | None = None
    accessed: int | None = None
    mft_entry: int | None = None
    mft_seq: int | None = None
    guid: str = ""
    extra: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class ItemList:
    """A list of items. `trouble` says what of it could not be read."""

    items: list[ShellItem]
    trouble: str = ""

    @property
    def path(self) -> str:
        """The whole path; see `join`."""
        return join(self.items)


def parse(data: bytes) -> ItemList:
    """Reads an ID list: items until one of size 0, or the end.

    Args:
        data: the list, from the size field of its first item on.
    """
    found = ItemList([])
    at = 0
    while at + 2 <= len(data):
        size = struct.unpack_from("<H", data, at)[0]
        if size == 0:
            return found
        if size < 3 or at + size > len(data):
            found.trouble = f"an item of {size} bytes at {at}, where {len(data) - at} are left"
            return found
        if len(found.items) == MOST_ITEMS:
            found.trouble = f"more than {MOST_ITEMS} items"
            return found
        found.items.append(item(data[at : at + size], at))
        at += size
    return found


def item(data: bytes, offset: int = 0) -> ShellItem:
    """Reads one item (shell bags keep them one by one).

    Args:
        data: the item with its size field.
        offset: where it stands, for `ShellItem.offset`.
    """
    kind = data[2] if len(data) > 2 else 0
    out = ShellItem(offset, len(data), kind)
    try:
        _read(data, kind, out)
        for position, block in _extensions(data, out):
            _extension(block, position, out)
    except (struct.error, IndexError):
        # The item ends within one of its parts: what was read stays, and its bytes are kept.
        out.extra["cut"] = data.hex()
    if not out.name:
        out.name = guid_name(out.guid) if out.guid else f"[{out.kind} {kind:#04x}]"
    if out.kind == "unknown":
        out.extra["data"] = data.hex()
    return out


def join(items: list[ShellItem]) -> str:
    """One path of all items: a volume or a share begins it anew, as Explorer shows it.

    "My Computer" is left out before a drive and "My Network Places" before a share; where the
    last item is such a place itself, it is the path.
    """
    path = ""
    for each in items:
        name = each.name
        if each.kind == "volume" or (each.kind in ("network", "uri") and name.startswith("\\\\")):
            path = name.rstrip("\\") if len(name) > 3 else name
        elif not path or (each.kind == "uri" and ":" in name):
            path = name
        elif each.kind == "network" and path.startswith("\\\\"):
            path = name if name.startswith("\\\\") else f"{path}\\{name}"
        else:
            path = path + name if path.endswith("\\") else f"{path}\\{name}"
    return path


def fat_time(date: int, time: int) -> int | None:
    """Microseconds since 1970 of a FAT date and time taken as UTC; None for none or nonsense."""
    if date == 0:
        return None
    year, month, day = 1980 + (date >> 9), date >> 5 & 15, date & 31
    hour, minute, second = time >> 11, time >> 5 & 63, (time & 31) * 2
    if not (1 <= month <= 12 and 1 <= day <= 31 and hour < 24 and minute < 60 and second < 60):
        return None
    # Days since 1970 of a date in the Gregorian calendar, years beginning in March.
    y, m = (year - 1, month + 9) if month < 3 else (year, month - 3)
    days = 365 * y + y // 4 - y // 100 + y // 400 + (153 * m + 2) // 5 + day - 1 - 719468
    return ((days * 24 + hour) * 60 + minute) * 60_000_000 + second * 1_000_000


def filetime_us(value: int) -> int | None:
    """Microseconds since 1970 of a FILETIME; None for none (0 and all bits)."""
    if value in (0, 0xFFFFFFFFFFFFFFFF, 0x7FFFFFFFFFFFFFFF):
        return None
    return (value - EPOCH_FILETIME) // 10


def _ansi(data: bytes, at: int) -> tuple[str, int]:
    """(text up to the zero, where what follows begins). Its code page is the host's: Windows-1252
    is taken, with what that does not have as U+FFFD."""
    end = data.find(b"\0", at)
    stop = len(data) if end < 0 else end
    return data[at:stop].decode("cp1252", "replace"), min(stop + 1, len(data))


def _wide(data: bytes, at: int) -> tuple[str, int]:
    """(UTF-16 text up to the zero, where what follows begins)."""
    end = at
    while end + 2 <= len(data) and data[end : end + 2] != b"\0\0":
        end += 2
    return data[at:end].decode("utf-16-le", "replace"), min(end + 2, len(data))


def _read(data: bytes, kind: int, out: ShellItem) -> None:
    signature = data[4:8]
    if kind == 0x1F:
        _root(data, out)
    elif kind & 0x70 == 0x20:
        _volume(data, kind, out)
    elif data[6:10] == b"CFSF" and kind == 0x74:
        _users_file(data, out)
    elif kind & 0x70 == 0x30:
        _file(data, kind, 2, out)
    elif kind & 0x70 == 0x40:
        _network(data, out)
    elif kind == 0x61:
        _uri(data, out)
    elif kind == 0x52:
        _compressed(data, out)
    elif kind in (0x01, 0x0C) and signature == b"\x84\x21\xde\x39":
        out.kind = "control_panel"
        number = struct.unpack_from("<I", data, 8)[0]
        out.name = CONTROL_PANEL.get(number, f"Control Panel category {number}")
    elif kind == 0x70 or kind == 0x71:
        _control_panel(data, kind, out)
    elif kind == 0x00 or kind in (0x02, 0x04, 0x06):
        _variable(data, out)
    elif kind in (0x72, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78):
        _delegate(data, out)
    elif kind & 0x70 == 0x30 | 0x80:
        _file(data, kind, 2, out)


def _root(data: bytes, out: ShellItem) -> None:
    out.kind = "root"
    signature = data[6:10]
    if signature == b"\x10\xb7\xa6\xf5" and len(data) > 13:
        # Windows 10 wraps a drive of its navigation pane.
        _volume(data[10:], data[12], out)
    elif signature in _VIEWS:
        _property_view(data, out)
    elif len(data) >= 20:
        out.guid = guid_text(data[4:20])
        out.name = guid_name(out.guid)
        out.extra["sort_index"] = f"{data[3]:#04x}"


def _volume(data: bytes, kind: int, out: ShellItem) -> None:
    out.kind = "volume"
    if _delegated(data, out):
        out.kind, out.name = "root", guid_name(out.guid)
    elif kind & 1:
        out.name, _ = _ansi(data, 3)
    elif len(data) >= 20:
        out.guid = guid_text(data[4:20])
        out.name = guid_name(out.guid)
        out.kind = "root"


def _file(data: bytes, kind: int, at: int, out: ShellItem) -> None:
    """A file entry whose type byte stands at `at`."""
    out.kind = "file"
    size, time_date, time_time, attributes = struct.unpack_from("<IHHH", data, at + 2)
    out.size, out.attributes = size, attributes
    out.modified = fat_time(time_date, time_time)
    out.is_dir = bool(kind & 1) or bool(attributes & 0x10)
    text = _wide if kind & 4 else _ansi
    out.name, next_at = text(data, at + 12)
    out.short_name = out.name
    # Before Windows XP the long name follows the short one; later it is in an extension block.
    next_at += next_at & 1
    begin = _extensions_at(data)
    if begin is None and next_at + 1 < len(data):
        second, _ = text(data, next_at)
        if second:
            out.short_name = second
    if out.is_dir:
        out.size = None


def _users_file(data: bytes, out: ShellItem) -> None:
    """A file below the user's own folder: a file entry wrapped by its folder."""
    inner = struct.unpack_from("<H", data, 4)[0]
    sub = struct.unpack_from("<H", data, 10)[0]
    _file(data, data[12] if len(data) > 12 else 0, 12, out)
    end = 10 + sub
    out.extra["delegate_size"] = str(inner)
    if end + 32 <= len(data) and guid_text(data[end : end + 16]) == _DELEGATE:
        out.guid = guid_text(data[end + 16 : end + 32])


def _network(data: bytes, out: ShellItem) -> None:
    out.kind = "network"
    flags = data[4]
    out.name, at = _ansi(data, 5)
    if flags & 0x80:
        out.extra["description"], at = _ansi(data, at)
    if flags & 0x40:
        out.extra["comments"], at = _ansi(data, at)


def _uri(data: bytes, out: ShellItem) -> None:
    out.kind = "uri"
    flags = data[3]
    length = struct.unpack_from("<H", data, 4)[0]
    at = 8
    if length:
        if length >= 0x24:
            out.created = filetime_us(struct.unpack_from("<Q", data, 14)[0])
        at = 6 + length
        # Host, user and password, each with its size in front.
        position = 42
        for name in ("host", "user", "password"):
            if position + 4 > min(at, len(data)):
                break
            count = struct.unpack_from("<I", data, position)[0]
            text = data[position + 4 : position + 4 + count]
            decoded = text.decode("utf-16-le" if flags & 0x80 else "cp1252", "replace")
            if decoded.rstrip("\0") and name != "password":
                out.extra[name] = decoded.rstrip("\0")
            elif decoded.rstrip("\0"):
                out.extra[name] = "present"
            position += 4 + count
    out.name, _ = (_wide if flags & 0x80 else _ansi)(data, at)
    if not out.name and "host" in out.extra:
        out.name = out.extra["host"]


def _compressed(data: bytes, out: ShellItem) -> None:
    out.kind = "compressed"
    text = data[16:].decode("utf-16-le", "replace")
    parts = [part for part in text.split("\0") if part]
    if parts:
        out.name = parts[-1]


def _control_panel(data: bytes, kind: int, out: ShellItem) -> None:
    out.kind = "control_panel"
    if kind == 0x71 and len(data) >= 30:
        out.guid = guid_text(data[14:30])
        out.name = guid_name(out.guid)
    elif len(data) >= 24:
        # A .cpl file: path, name and comment, UTF-16 one after the other.
        path, at = _wide(data, 24)
        name, at = _wide(data, at)
        out.name = name or path
        if path:
            out.extra["cpl"] = path


def _variable(data: bytes, out: ShellItem) -> None:
    if len(data) < 10:
        return
    signature = struct.unpack_from("<I", data, 6)[0]
    if b"GFSI" in (data[4:8], data[6:10]):
        out.kind = "root"
        at = data.find(b"GFSI") + 4
        out.guid = guid_text(data[at : at + 16]) if len(data) >= at + 16 else ""
        out.name = guid_name(out.guid) if out.guid else ""
    elif signature == 0x10312005:
        _device_volume(data, out)
    elif signature == 0x07192006:
        _device_file(data, out)
    elif data[6:10] in _VIEWS:
        _property_view(data, out)
    else:
        at = data.find(b"1SPS")
        if at >= 4:
            out.kind = "property"
            _named_by_properties(data[at - 4 :], out)
        elif data[4:8] == b"\x00\x00\x1a\x00" or data[3:4] == b"\x00":
            _named_by_extension(data, out)


def _property_view(data: bytes, out: ShellItem) -> None:
    """A place that is described by properties: search results, libraries, parts of others."""
    out.kind = "property"
    identifier = struct.unpack_from("<H", data, 12)[0]
    if identifier == 16:
        out.guid = guid_text(data[14:30])
        out.name = guid_name(out.guid)
    _named_by_properties(data[14 + identifier :], out)


def _device_volume(data: bytes, out: ShellItem) -> None:
    """A volume of a portable device: three sizes in characters, then the texts."""
    out.kind = "device"
    names = struct.unpack_from("<IIII", data, 38)
    at = 54
    texts = []
    for count in names[:3]:
        texts.append(data[at : at + count * 2].decode("utf-16-le", "replace").rstrip("\0"))
        at += count * 2
    out.name = texts[0] or texts[1]
    out.extra |= {"device_id": texts[1], "file_system": texts[2]}


def _device_file(data: bytes, out: ShellItem) -> None:
    """A file or folder of a portable device."""
    out.kind = "device"
    out.modified = filetime_us(struct.unpack_from("<Q", data, 26)[0])
    out.created = filetime_us(struct.unpack_from("<Q", data, 34)[0])
    counts = struct.unpack_from("<III", data, 62)
    at = 74
    texts = []
    for count in counts:
        texts.append(data[at : at + count * 2].decode("utf-16-le", "replace").rstrip("\0"))
        at += count * 2
    out.name = texts[1] or texts[0]
    out.extra |= {"display_name": texts[0], "identifier": texts[2]}


def _delegate(data: bytes, out: ShellItem) -> None:
    """An item of a folder that another one shows: its own data, then the two GUIDs."""
    out.kind = "delegate"
    _delegated(data, out)
    _named_by_extension(data, out)


def _delegated(data: bytes, out: ShellItem) -> bool:
    """Whether an item ends with the GUID of delegates and that of the folder it is of."""
    if len(data) < 6:
        return False
    end = 6 + int(struct.unpack_from("<H", data, 4)[0])
    if end + 32 > len(data) or guid_text(data[end : end + 16]) != _DELEGATE:
        return False
    out.guid = guid_text(data[end + 16 : end + 32])
    return True


def _named_by_extension(data: bytes, out: ShellItem) -> None:
    if out.kind == "unknown" and _extensions_at(data) is not None:
        out.kind = "delegate"


def _named_by_properties(data: bytes, out: ShellItem) -> None:
    for key, value in properties(data):
        if value:
            out.extra[key] = value
    name = out.extra.get(ITEM_NAME) or out.extra.get(PARSING_PATH)
    if name:
        out.name = name


def _extensions_at(data: bytes) -> int | None:
    """Where the extension blocks begin: the item's last two bytes say it."""
    if len(data) < 14:
        return None
    at: int = struct.unpack_from("<H", data, len(data) - 2)[0]
    if not 4 <= at <= len(data) - 10:
        return None
    return at if data[at + 6 : at + 8] == b"\xef\xbe" else None


def _extensions(data: bytes, out: ShellItem) -> Iterator[tuple[int, bytes]]:
    """Every extension block, with its place in the item."""
    at = _extensions_at(data)
    if at is None:
        # Not every kind of item says where: a root folder's block follows its GUID.
        if out.class_type == 0x1F and data[26:28] == b"\xef\xbe":
            at = 20
        else:
            return
    while at + 8 <= len(data):
        size = struct.unpack_from("<H", data, at)[0]
        if size < 8 or at + size > len(data) or data[at + 6 : at + 8] != b"\xef\xbe":
            return
        yield at, data[at : at + size]
        at += size


def _extension(block: bytes, _position: int, out: ShellItem) -> None:
    _, version, signature = struct.unpack_from("<HHI", block, 0)
    number = signature & 0xFFFF
    if number == 0x0004:
        _file_extension(block, version, out)
    elif number == 0x0003 and len(block) >= 24:
        out.guid = guid_text(block[8:24])
        out.extra["junction"] = guid_name(out.guid)
    elif number == 0x0026 and len(block) >= 36 and block[8] in (0x11, 0x10, 0x12, 0x34, 0x31):
        for name, at in (("created", 12), ("modified", 20), ("accessed", 28)):
            when = filetime_us(struct.unpack_from("<Q", block, at)[0])
            if when is not None:
                # To 100 ns, where the file entry has two seconds.
                setattr(out, name, when)
    elif number == 0x0025 and len(block) >= 28:
        out.extra["filetime_1"] = str(filetime_us(struct.unpack_from("<Q", block, 12)[0]) or "")
        out.extra["filetime_2"] = str(filetime_us(struct.unpack_from("<Q", block, 20)[0]) or "")
    elif number == 0x001A:
        text, _ = _wide(block, 10)
        out.extra["file_type"] = text
    elif number == 0x0019 and len(block) >= 40:
        out.extra["folder"] = guid_name(guid_text(block[8:24]))
    else:
        out.extra[f"beef{number:04x}"] = block[8:].hex()


def _file_extension(block: bytes, version: int, out: ShellItem) -> None:
    """beef0004: what FAT's short entry has no room for."""
    date, time, a_date, a_time = struct.unpack_from("<HHHH", block, 8)
    out.created = fat_time(date, time)
    out.accessed = fat_time(a_date, a_time)
    if version < 3:
        return
    at = 18
    if version >= 7:
        low, high, sequence = struct.unpack_from("<IHH", block, 20)
        entry = low | high << 32
        if entry or sequence:
            out.mft_entry, out.mft_seq = entry, sequence
        at = 36
    localized = struct.unpack_from("<H", block, at)[0]
    at += 2
    if version >= 9:
        at += 4
    if version >= 8:
        at += 4
    name, at = _wide(block, at)
    if name:
        out.short_name = out.name or out.short_name
        out.name = name
    if localized:
        text, _ = _wide(block, at) if version >= 7 else _ansi(block, at)
        if text:
            out.extra["localized_name"] = text
