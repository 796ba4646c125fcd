"""Serialized property stores ([MS-PROPSTORE]): in links, jump lists and shell items."""

import struct
from collections.abc import Iterator

from tracelake.parsers.shell_names import guid_text

ITEM_NAME = "System.ItemNameDisplay"
PARSING_PATH = "System.ParsingPath"
MOST = 4096

_NAMES = {
    ("b725f130-47ef-101a-a5f1-02608c9eebac", 4): "System.ItemTypeText",
    ("b725f130-47ef-101a-a5f1-02608c9eebac", 10): ITEM_NAME,
    ("b725f130-47ef-101a-a5f1-02608c9eebac", 12): "System.Size",
    ("b725f130-47ef-101a-a5f1-02608c9eebac", 13): "System.FileAttributes",
    ("b725f130-47ef-101a-a5f1-02608c9eebac", 14): "System.DateModified",
    ("b725f130-47ef-101a-a5f1-02608c9eebac", 15): "System.DateCreated",
    ("b725f130-47ef-101a-a5f1-02608c9eebac", 16): "System.DateAccessed",
    ("28636aa6-953d-11d2-b5d6-00c04fd918d0", 5): "System.ComputerName",
    ("28636aa6-953d-11d2-b5d6-00c04fd918d0", 8): "System.ItemPathDisplayNarrow",
    ("28636aa6-953d-11d2-b5d6-00c04fd918d0", 9): "System.PerceivedType",
    ("28636aa6-953d-11d2-b5d6-00c04fd918d0", 11): "System.ItemType",
    ("28636aa6-953d-11d2-b5d6-00c04fd918d0", 24): "System.ParsingName",
    ("28636aa6-953d-11d2-b5d6-00c04fd918d0", 25): "System.SFGAOFlags",
    ("28636aa6-953d-11d2-b5d6-00c04fd918d0", 30): PARSING_PATH,
    ("e3e0584c-b788-4a5a-bb20-7f5a44c9acdd", 6): "System.ItemFolderPathDisplay",
    ("e3e0584c-b788-4a5a-bb20-7f5a44c9acdd", 7): "System.ItemPathDisplay",
    ("dabd30ed-0043-4789-a7f8-d013a4736622", 100): "System.ItemFolderPathDisplayNarrow",
    ("9f4c2855-9f79-4b39-a8d0-e1d42de1d5f3", 2): "System.AppUserModel.RelaunchCommand",
    ("9f4c2855-9f79-4b39-a8d0-e1d42de1d5f3", 5): "System.AppUserModel.ID",
    ("9f4c2855-9f79-4b39-a8d0-e1d42de1d5f3", 6): "System.AppUserModel.IsDestListSeparator",
    ("9f4c2855-9f79-4b39-a8d0-e1d42de1d5f3", 11): "System.AppUserModel.ExcludeFromShowInNewInstall",
    ("46588ae2-4cbc-4338-bbfc-139326986dce", 4): "System.Link.TargetUserSID",
    ("446d16b1-8dad-4870-a748-402ea43d788c", 104): "System.VolumeId",
    ("b9b4b3fc-2b51-4a42-b5d8-324146afcf25", 2): "System.Link.TargetParsingPath",
    ("b9b4b3fc-2b51-4a42-b5d8-324146afcf25", 8): "System.Link.Arguments",
    ("f29f85e0-4ff9-1068-ab91-08002b27b3d9", 2): "System.Title",
    ("f29f85e0-4ff9-1068-ab91-08002b27b3d9", 6): "System.Comment",
    ("1e3ee840-bc2b-476c-8237-2acd1a839b22", 3): "System.Kind.Query",
    ("41cf5ae0-f75a-4806-bd87-59c7d9248eb9", 100): "System.FileName",
    ("a35996ab-11cf-4935-8b61-a6761081ecdf", 13): "System.Devices.ModelName",
}
_BY_NAME = "d5cdd505-2e9c-101b-9397-08002b2cf9ae"


def properties(data: bytes) -> Iterator[tuple[str, str]]:
    """(name, value as text) of every property in a run of storages.

    Args:
        data: from the size of the first storage on. Reading ends at a size of 0, and at the
            first storage that is not one.

    A property without a known name is called `{format id}/number`; a value of a type that is not
    read here is given as hexadecimal digits.
    """
    at = given = 0
    while at + 24 <= len(data):
        size = struct.unpack_from("<I", data, at)[0]
        if size < 24 or at + size > len(data) or data[at + 4 : at + 8] != b"1SPS":
            return
        format_id = guid_text(data[at + 8 : at + 24])
        inner, end = at + 24, at + size
        while inner + 13 <= end:
            length, number = struct.unpack_from("<II", data, inner)
            if length < 9 or inner + length > end or given == MOST:
                break
            given += 1
            value = data[inner + 9 : inner + length]
            if format_id == _BY_NAME:
                name = value[: max(number, 0)].decode("utf-16-le", "replace").rstrip("\0")
                value = value[number:]
            else:
                name = _NAMES.get((format_id, number), f"{{{format_id}}}/{number}")
            yield name, value_text(value)
            inner += length
        at += size


def value_text(data: bytes) -> str:
    """The text of a typed value ([MS-OLEPS] 2.15)."""
    if len(data) < 4:
        return data.hex()
    kind = struct.unpack_from("<H", data, 0)[0]
    body = data[4:]
    try:
        return _text(kind, body)
    except struct.error:
        return body.hex()


_NUMBERS = {0x10: "<b", 0x11: "<B", 0x02: "<h", 0x12: "<H", 0x03: "<i", 0x13: "<I", 0x16: "<i",
            0x17: "<I", 0x14: "<q", 0x15: "<Q", 0x04: "<f", 0x05: "<d"}


def _text(kind: int, body: bytes) -> str:
    if kind == 0x1F:
        count = struct.unpack_from("<I", body, 0)[0]
        return body[4 : 4 + count * 2].decode("utf-16-le", "replace").rstrip("\0")
    if kind == 0x1E:
        count = struct.unpack_from("<I", body, 0)[0]
        return body[4 : 4 + count].decode("cp1252", "replace").rstrip("\0")
    if kind in _NUMBERS:
        return str(struct.unpack_from(_NUMBERS[kind], body, 0)[0])
    if kind == 0x0B:
        return "true" if struct.unpack_from("<H", body, 0)[0] else "false"
    if kind == 0x40:
        return str(struct.unpack_from("<Q", body, 0)[0])
    if kind == 0x48 and len(body) >= 16:
        return "{" + guid_text(body[:16]) + "}"
    if kind == 0x101F:
        return _strings(body)
    if kind in (0, 1):
        return ""
    return body.hex()


def _strings(body: bytes) -> str:
    total = struct.unpack_from("<I", body, 0)[0]
    at = 4
    texts: list[str] = []
    while len(texts) < total and at + 4 <= len(body) and len(texts) < MOST:
        count = struct.unpack_from("<I", body, at)[0]
        texts.append(body[at + 4 : at + 4 + count * 2].decode("utf-16-le", "replace").rstrip("\0"))
        at += 4 + count * 2
        at += -at % 4
    return "; ".join(texts)
