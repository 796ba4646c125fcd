"""Codes that stand for something: the tables, and both halves of looking up."""

import re
import xml.etree.ElementTree as ElementTree
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tracelake.normalize import codes, mapping
from tracelake.normalize.rebuild import pairs
from tracelake.parsers.events import Events
from tracelake.parsers.text_parts import words_of, xml_of


@pytest.mark.parametrize(
    ("table", "text", "name"),
    [
        ("ntstatus", "0xc000006d", "STATUS_LOGON_FAILURE"),
        ("ntstatus", "0xC000006D", "STATUS_LOGON_FAILURE"),
        ("ntstatus", "3221225581", "STATUS_LOGON_FAILURE"),
        ("ntstatus", "-1073741715", "STATUS_LOGON_FAILURE"),
        ("ntstatus", "0x0", None),
        ("ntstatus", "0xffffffffc000006d", None),
        ("ntstatus", "STATUS_LOGON_FAILURE", None),
        ("ntstatus", "", None),
        ("win32", "5", "ERROR_ACCESS_DENIED"),
        ("win32", "0x5", "ERROR_ACCESS_DENIED"),
        ("win32", "0x80070005", "ERROR_ACCESS_DENIED"),
        ("win32", "-2147024891", "ERROR_ACCESS_DENIED"),
        ("win32", "2147942405", "ERROR_ACCESS_DENIED"),
        ("win32", "-5", None),
        ("kerberos", "0x18", "KDC_ERR_PREAUTH_FAILED"),
        ("kerberos_etype", "0x17", "rc4-hmac"),
        ("logon_type", "10", "Remote Interactive"),
        ("logon_type", "1", None),
        ("parameter", "%%1833", "Impersonation"),
        ("parameter", "1833", None),
    ],
)
def test_names_of_codes(table: str, text: str, name: str | None) -> None:
    assert codes.name(table, text) == name


@pytest.mark.parametrize(
    ("sid", "name"),
    [
        ("S-1-5-18", "NT AUTHORITY\\SYSTEM"),
        ("S-1-5-32-544", "BUILTIN\\Administrators"),
        ("S-1-5-21-1-2-3-500", "Administrator"),
        ("S-1-5-21-4294967295-4294967295-4294967295-512", "Domain Admins"),
        ("S-1-5-21-1-2-3-1001", None),
        ("S-1-5-21-1-2-500", None),
        ("S-1-5-21-1-2-3-4-500", None),
        ("S-1-5-21-1-2-3-0500", None),
        ("S-1-5-21-1--3-500", None),
        ("S-1-5-21-*-500", "Administrator"),
        ("S-1-5-21-", None),
        ("S-1-1-0", "Everyone"),
        ("", None),
    ],
)
def test_principals(sid: str, name: str | None) -> None:
    assert codes.principal(sid) == name


def test_every_table_is_sound() -> None:
    for table in codes.TABLES:
        content = codes.load(table)
        assert content
        pattern = {"0x": "0x[0-9a-f]+", "0": "[0-9]+", "": r"(%%[0-9]+|S-1-[0-9*-]+)"}
        for code, name in content.items():
            assert re.fullmatch(pattern[codes.form(table)], code), (table, code)
            assert name == name.strip() != "", (table, code)
            assert codes.name(table, code) == name


MAPPING = """
provider = "P"
[1]
table = "authentication"
[1.columns]
status_code = "Status"
status_detail = ["SubStatus | code ntstatus", "Status | code ntstatus"]
auth_protocol = "Error | code win32"
auth_package = "Kerberos | code kerberos"
logon_process = "Type | code logon_type"
impersonation_level = "Level | param"
user_name = ["Name", "Sid | principal"]
user_domain = ["Domain", "Sid | principal_domain"]
user_uid = "Sid"
[2]
table = "account_change"
[2.columns]
privileges = "List | split"
[3]
table = "account_change"
[3.columns]
privileges = "List | split parameter"
[4]
table = "job_activity"
[4.columns]
job_name = "Text | line Host Application"
job_cmd_line = "Xml | xml Actions/Exec/Command+Arguments"
severity_id = "Text | line Severity"
"""
LOADED = mapping.read([("codes.toml", MAPPING)])


def row_of(code: str, named: dict[str, str]) -> dict[str, Any]:
    """The row of an event, without nulls; its pairs have been rebuilt from it."""
    events = Events(LOADED)
    events.add("P", code, [(name, "text", value.encode()) for name, value in named.items()])
    ((_, batch),) = events.take(True)
    batch.validate(full=True)
    (row,) = batch.to_pylist()
    assert pairs(row, LOADED.events["P", code]) == named
    return {name: value for name, value in row.items() if value is not None}


def test_codes_beside_their_columns() -> None:
    row = row_of("1", {
        "Status": "0xc000006d", "SubStatus": "0xc0000064", "Error": "0x80070005",
        "Kerberos": "24", "Type": "3", "Level": "%%1833", "Sid": "S-1-5-18",
    })
    assert {name: row[name] for name in (
        "status_code", "status_detail", "auth_protocol", "auth_package", "logon_process",
        "impersonation_level", "user_name", "user_domain", "user_uid",
    )} == {
        "status_code": "0xc000006d", "status_detail": "STATUS_NO_SUCH_USER",
        "auth_protocol": "ERROR_ACCESS_DENIED", "auth_package": "KDC_ERR_PREAUTH_FAILED",
        "logon_process": "Network", "impersonation_level": "Impersonation",
        "user_name": "SYSTEM", "user_domain": "NT AUTHORITY", "user_uid": "S-1-5-18",
    }
    # Status, Level and Sid are held by their columns.
    assert {*dict(row["unmapped"])} == {"SubStatus", "Error", "Kerberos", "Type"}


def test_the_detail_of_a_status_is_of_the_first_that_says_something() -> None:
    row = row_of("1", {"Status": "0xc000006d", "SubStatus": "0x0"})
    assert row["status_detail"] == "STATUS_LOGON_FAILURE"
    assert "status_detail" not in row_of("1", {"Status": "0x0", "SubStatus": "0x0"})


@pytest.mark.parametrize(
    ("text", "held", "exact"),
    [
        ("%%1833", "Impersonation", True),
        ("%%99999", "%%99999", True),
        ("Other", "Other", True),
        ("Impersonation", "Impersonation", False),
        ("%%14675", "Value deleted", True),
    ],
)
def test_message_parameters_and_back(text: str, held: str, exact: bool) -> None:
    row = row_of("1", {"Level": text})
    assert row["impersonation_level"] == held
    assert ("unmapped" not in row) == exact


@pytest.mark.parametrize(
    ("text", "parts", "exact"),
    [
        ("SeTcbPrivilege", ["SeTcbPrivilege"], True),
        ("A\r\n\t\t\tB\r\n\t\t\tC", ["A", "B", "C"], True),
        ("A\n\t\t\tB", ["A", "B"], False),
        ("A B", ["A", "B"], False),
        ("A\r\n\t\t\t", ["A"], False),
        ("\r\n\t\tA", ["A"], False),
        (" ", None, False),
        ("\xa0", ["\xa0"], True),
    ],
)
def test_lists(text: str, parts: list[str] | None, exact: bool) -> None:
    row = row_of("2", {"List": text})
    assert row.get("privileges") == parts
    assert ("unmapped" not in row) == exact


def test_lists_of_message_parameters() -> None:
    row = row_of("3", {"List": "%%1537\r\n\t\t\t\t%%4416\r\n\t\t\t\t%%7\r\n\t\t\t\t"})
    assert row["privileges"] == ["DELETE", "ReadData", "%%7"]


TASK = """<?xml version="1.0" encoding="UTF-16"?>
<!DOCTYPE Task><!-- <Actions><Exec><Command>no</Command></Exec></Actions> -->
<Task version="1.2" xmlns="http://schemas.microsoft.com/windows/2004/02/mit/task">
  <RegistrationInfo><Date a=">">2020</Date><Command>no</Command></RegistrationInfo>
  <Actions Context='Author>'><Empty/><Exec>
    <Command>\n cmd &amp; &lt;x&gt; &#x41;&#66; <![CDATA[<&amp;>]]></Command>
    <Arguments> /c a  b </Arguments>
  </Exec><Exec><Command>second</Command></Exec></Actions>
</Task>"""


def test_elements_and_lines() -> None:
    text = "\tSeverity = 4\r\n\tHost Application=powershell -c \"a\r\n$b = 1\"\r\n\tEngine=5"
    row = row_of("4", {"Text": text, "Xml": TASK})
    assert row["job_name"] == 'powershell -c "a\r\n$b = 1"'
    assert row["severity_id"] == 4
    assert row["job_cmd_line"] == "cmd & <x> AB <&amp;> /c a  b"


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("RegistrationInfo/Date", "2020"),
        ("RegistrationInfo/Author", None),
        ("Exec/Command", None),
        ("Actions/Exec/Arguments", "/c a  b"),
        ("Actions/Empty", None),
        ("Actions", None),
    ],
)
def test_paths(path: str, text: str | None) -> None:
    found = xml_of(TASK.encode(), path.encode())
    if path == "Actions":
        assert found is not None
        assert (found[:3], found[-6:]) == (b"cmd", b"second")
    else:
        assert (found.decode() if found else None) == text


@pytest.mark.parametrize(
    "text",
    [
        b"", b"<", b"</", b"<a", b"<a/>", b"</a></b>", b"<!--", b"<![CDATA[", b"&", b"<a><b>x",
        b"<a><b>&#;&#x;&#xD800;&#0;&#99999999999;&lt</b></a>", b"<a><b><![CDATA[x</b></a>",
        b"<a><b x='", b"<><>x</></>", b"<a><n:b>x</n:b></a>", b"<?x", b"\xff<a>",
    ],
)
def test_what_is_no_xml_does_no_harm(text: bytes) -> None:
    found = xml_of(text, b"b")
    assert found in (None, b"x", "&#;&#x;\ufffd\ufffd&#99999999999;&lt".encode())


LETTERS = st.sampled_from(["a", "b", "c"])
CONTENT = st.text("xy &<>\"'\n\u00e9", max_size=8)


@st.composite
def trees(draw: st.DrawFn, depth: int = 3) -> ElementTree.Element:
    element = ElementTree.Element(draw(LETTERS), {"q": draw(CONTENT)})
    element.text = draw(CONTENT)
    for child in draw(st.lists(trees(depth - 1), max_size=3)) if depth else []:
        child.tail = draw(CONTENT)
        element.append(child)
    return element


def first(element: ElementTree.Element, names: list[str]) -> str | None:
    """The text at a path: the elements of the last name under the first parent that has one with
    text, joined."""
    if len(names) == 1:
        found = ["".join(child.itertext()).strip(" \n") for child in element
                 if child.tag == names[0]]
        return " ".join(filter(None, found)) or None
    for child in element:
        if child.tag == names[0]:
            text = first(child, names[1:])
            if text is not None:
                return text
    return None


@settings(max_examples=500, deadline=None)
@given(trees(), st.lists(LETTERS, min_size=1, max_size=3))
def test_paths_as_a_parser_finds_them(tree: ElementTree.Element, path: list[str]) -> None:
    text = ElementTree.tostring(tree)
    wanted = first(tree, path)
    found = xml_of(text, "/".join(path).encode())
    assert (found.decode() if found else None) == wanted


@settings(max_examples=500, deadline=None)
@given(st.binary(max_size=80), st.sampled_from([b"a", b"a/b", b"a/b+c"]))
@example(b"<x><a><b>1</b><c> </c><c>2", b"a/b+c")
def test_texts_that_are_no_xml(text: bytes, path: bytes) -> None:
    found = xml_of(b"<x><a><b>" + text, path)
    assert found is None or len(found) <= len(text) + 9
    assert words_of(text) == text.split()


@settings(max_examples=500, deadline=None)
@given(
    st.sampled_from(["ntstatus", "win32", "kerberos"]),
    st.one_of(
        st.integers(-(1 << 40), 1 << 40).map(str),
        st.integers(0, 1 << 66).map(hex),
        st.sampled_from(["0X5", "+5", "005", "0x05", " 5", "5 ", "0x", "", "-", "--5", "%%5", "%%",
                         "%%0x5", "%5", "%%%5"]),
        st.sampled_from([*codes.load("ntstatus"), *codes.load("win32")]),
    ),
)
def test_both_halves_name_the_same_codes(table: str, text: str) -> None:
    text_map = (f'provider = "P"\n[1]\ntable = "authentication"\n[1.columns]\n'
                f'auth_protocol = "Code | code {table}"\n')
    events = Events(mapping.read([("t.toml", text_map)]))
    events.add("P", "1", [("Code", "text", text.encode())])
    ((_, batch),) = events.take(True)
    (row,) = batch.to_pylist()
    assert row.get("auth_protocol") == codes.name(table, text)


@settings(max_examples=300, deadline=None)
@given(st.one_of(
    st.lists(st.integers(0, 1 << 34), min_size=1, max_size=6).map(
        lambda parts: "S-1-5-21-" + "-".join(map(str, parts))
    ),
    st.sampled_from(list(codes.load("sid"))),
    st.from_regex(r"S-1-5-21(-[0-9]{1,11}){3,5}-?(500|512)?", fullmatch=True),
))
@example("S-1-5-21-1-2-3-500\u0660")
def test_both_halves_name_the_same_principals(sid: str) -> None:
    text = ('provider = "P"\n[1]\ntable = "authentication"\n[1.columns]\n'
            'user_name = "S | principal"\nuser_domain = "S | principal_domain"\n')
    events = Events(mapping.read([("t.toml", text)]))
    events.add("P", "1", [("S", "text", sid.encode())])
    ((_, batch),) = events.take(True)
    (row,) = batch.to_pylist()
    domain, _, name = (codes.principal(sid) or "").rpartition("\\")
    assert (row.get("user_name") or "", row.get("user_domain") or "") == (name, domain)
