"""WMI's repository: subscriptions in made pages, by the specification."""

import hashlib
import struct

from tests.winart_case import Found, notes, read, us
from tracelake.parsers import wmi_repository
from tracelake.parsers.artifact import Match
from tracelake.parsers.wmi_repository import PAGE

FILETIME_2020 = 132_223_104_000_000_000
US_2020 = 1_577_836_800_000_000
SID = bytes([1, 2, 0, 0, 0, 0, 0, 5]) + struct.pack("<II", 32, 544)
QUERY = "SELECT * FROM __InstanceModificationEvent WITHIN 60"
COMMAND = "powershell.exe -enc AAAA"
FILTER_PATH = '__EventFilter.Name="Upd"'
CONSUMER_PATH = '\\\\.\\root\\subscription:CommandLineEventConsumer.Name="Runner"'


def instance(cim_class: str, texts: list[str], old: bool = False, wide: bool = False) -> bytes:
    """An instance whose properties are the SID of its maker and texts."""
    name = cim_class.upper().encode("utf-16-le")
    digest = hashlib.md5(name) if old else hashlib.sha256(name)
    heap = b"\0" + cim_class.encode() + b"\0"
    places = [len(heap)]
    heap += struct.pack("<I", len(SID)) + SID
    for text in texts:
        places.append(len(heap))
        heap += (b"\1" + text.encode("utf-16-le") + b"\0\0") if wide else (
            b"\0" + text.encode("latin-1") + b"\0")
    values = b"\x55\x05" + b"".join(struct.pack("<I", place) for place in places)
    block = struct.pack("<IB", 0, 0) + values + struct.pack("<IB", 4, 1)
    block += struct.pack("<I", len(heap) | 0x80000000) + heap
    return (digest.hexdigest().upper().encode("utf-16-le")
            + struct.pack("<QQI", FILETIME_2020, FILETIME_2020, len(block) + 4) + block)


def page(objects: list[bytes], deleted: bytes = b"") -> bytes:
    """A page of objects, with one that no descriptor names behind them."""
    place = 16 * (len(objects) + 1)
    table = body = b""
    for number, each in enumerate(objects):
        table += struct.pack("<4I", number + 1, place + len(body), len(each), 0)
        body += each
    out = table + bytes(16) + body + deleted
    return out.ljust(PAGE, b"\0") if len(out) <= PAGE else out


def repository(**kind: bool) -> bytes:
    return page([
        instance("__EventFilter", ["root\\cimv2", "Upd", QUERY, "WQL"], **kind),
        instance("CommandLineEventConsumer", [COMMAND, "Runner"], **kind),
        instance("__FilterToConsumerBinding", [CONSUMER_PATH, FILTER_PATH], **kind),
    ], instance("ActiveScriptEventConsumer", ["Old", "x = 1 : run it twice", "VBScript"], **kind))


def check(found: Found) -> None:
    one, two, three, gone = found.rows()
    assert {row["artifact"] for row in found.rows()} == {"wmi_subscription"}
    assert {row["class_uid"] for row in found.rows()} == {5022}
    assert (one["subject_name"], one["detail"]) == ("Upd", QUERY)
    assert notes(one)["EventNamespace"] == "root\\cimv2"
    assert (us(one), one["time_desc"], one["user_uid"]) == (US_2020, "written", "S-1-5-32-544")
    assert (two["subject_name"], two["cmd_line"]) == ("Runner", COMMAND)
    assert two["detail"] == "CommandLineEventConsumer"
    assert (three["subject_name"], three["detail"]) == (CONSUMER_PATH, FILTER_PATH)
    assert three["message"] == "WMI consumer Runner bound to filter Upd"
    assert (gone["subject_name"], gone["cmd_line"]) == ("Old", "x = 1 : run it twice")
    assert [row["parse_flags"] for row in found.rows()] == [None, None, None, 2]
    assert not found.damage
    assert found.unexplained == 0


def test_subscriptions_and_one_that_was_deleted() -> None:
    assert wmi_repository.match(repository(), "x/OBJECTS.DATA")[0] == Match.CONTENT
    assert wmi_repository.match(repository() * 2, "mangled")[0] == Match.CONTENT
    assert wmi_repository.match(bytes(2 * PAGE), "mangled")[0] == Match.NO
    check(read(wmi_repository.PARSER, repository()))


def test_of_windows_xp_and_in_utf16() -> None:
    check(read(wmi_repository.PARSER, repository(old=True)))
    check(read(wmi_repository.PARSER, repository(wide=True)))


def mapping(pages: list[int], sequence: int, old: bool = False) -> bytes:
    head = struct.pack("<II", 0xABCD, sequence) + (b"" if old else bytes(8))
    head += struct.pack("<II", len(pages), len(pages))
    entries = b"".join(struct.pack("<I", each) + (b"" if old else bytes(20)) for each in pages)
    return head + entries + struct.pack("<II", 0, 0xDCBA)


def test_both_forms_of_mappings() -> None:
    for pages in ([0, 1, 2], [1, 1], [5, 0xFFFFFFFF, 3]):
        told = [page if page < 6 else 0xFFFFFFFF for page in pages]
        assert wmi_repository.mapping(mapping(pages, 3), 6) == (3, told)
        assert wmi_repository.mapping(mapping(pages, 3, old=True), 6) == (3, told)
    assert wmi_repository.mapping(mapping([0], 1)[:-4], 6) is None
    assert wmi_repository.mapping(b"", 6) is None


def test_a_large_one_goes_on_where_the_mapping_says() -> None:
    script = "'" + "y" * 9000
    long = page([instance("ActiveScriptEventConsumer", ["N", script, "JScript"])])
    assert len(long) > PAGE
    # Page 0, then one of something else, then the rest.
    data = long[:PAGE] + b"\xff" * PAGE + long[PAGE:].ljust(PAGE, b"\0")
    maps = {"MAPPING1.MAP": mapping([0, 1, 2], 7), "MAPPING2.MAP": mapping([0, 2, 0x80000001], 8)}
    found = read(wmi_repository.PARSER, data, "OBJECTS.DATA",
                 beside=lambda name, _most: maps.get(name))
    assert found.one["cmd_line"] == script
    assert not found.one["parse_flags"]
    maps = {"OBJECTS.MAP": mapping([1, 2, 0xFFFFFFFF], 1, old=True)}
    found = read(wmi_repository.PARSER, repository() + bytes(2 * PAGE), "OBJECTS.DATA",
                 beside=lambda name, _most: maps.get(name))
    assert all(row["parse_flags"] == 2 for row in found.rows()), "their page is not in use"
    alone = read(wmi_repository.PARSER, data, "OBJECTS.DATA")
    assert len(alone.rows()) + len(alone.damage) == 1


def test_cut_anywhere() -> None:
    data = repository().rstrip(b"\0")
    for at in range(len(data)):
        found = read(wmi_repository.PARSER, data[:at])
        assert len(found.rows()) + len(found.damage) <= 4, at
    assert len(read(wmi_repository.PARSER, data[:-8]).rows()) == 3


def test_lies_about_sizes_are_damage() -> None:
    data = bytearray(repository())
    size_at = struct.unpack_from("<I", data, 4)[0] + 128 + 16
    struct.pack_into("<I", data, size_at, 0xFFFFFFFF)
    found = read(wmi_repository.PARSER, bytes(data))
    assert len(found.rows()) == 3
    assert found.damage[0]["what"] == "__EventFilter"
    assert found.unexplained >= 0
