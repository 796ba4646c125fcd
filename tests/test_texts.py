"""Parts of texts: addresses, lines, MOF properties, names in binary data."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracelake.normalize import mapping
from tracelake.parsers.events import Events
from tracelake.parsers.texts import binary, endpoint, line, mof


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("10.0.0.1:3389", ("10.0.0.1", 3389)),
        ("[fe80::1%2]:3389", ("fe80::1", 3389)),
        ("[::ffff:10.0.0.1]:99999", ("10.0.0.1", None)),
        ("Accepted password for a from 10.0.0.1 port 22 ssh2", ("10.0.0.1", 22)),
        ("Connection closed by 2001:DB8::1 port 5 [preauth]", ("2001:db8::1", 5)),
        (" [CLIENT: 192.168.1.5]", ("192.168.1.5", None)),
        ("It came from 1.2.3.4.", ("1.2.3.4", None)),
        ("version 1.2.3.4.5, then 5.6.7.8: x", ("5.6.7.8", None)),
        ("a10.0.0.1 10.0.0.2-x 9.9.9.9", ("9.9.9.9", None)),
        ("std::vector 12:30:45 bad.cafe", (None, None)),
        ("LOCAL", (None, None)),
        ("", (None, None)),
    ],
)
def test_the_first_address_in_a_text(text: str, found: tuple[str | None, int | None]) -> None:
    assert endpoint(text) == found


CLASSIC = (
    "\tNewEngineState=Available\r\n\tPreviousEngineState=None\r\n\r\n\tSequenceNumber=13\r\n\r\n"
    "\tHostName=ConsoleHost\r\n\tHostApplication=powershell -c \"a=1\r\nb=2\r\n\"\r\n"
    "\tEngineVersion=\r\n\tCommandLine=x=y"
)


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        (CLASSIC, "HostName", "ConsoleHost"),
        (CLASSIC, "PreviousEngineState", "None"),
        (CLASSIC, "HostApplication", 'powershell -c "a=1\r\nb=2\r\n"'),
        (CLASSIC, "EngineVersion", ""),
        (CLASSIC, "CommandLine", "x=y"),
        (CLASSIC, "EngineState", None),
        (CLASSIC, "b", "2"),
        ("        Host Name = ConsoleHost\r\n        User = A\\B\r\n", "Host Name", "ConsoleHost"),
        ("        Hostname = H\n        User = \n", "Host Name|Hostname", "H"),
        ("Name = a\nName = b\nc", "Name", "a"),
        ("Name", "Name", None),
        ("", "Name", None),
    ],
)
def test_the_value_of_a_line(text: str, name: str, value: str | None) -> None:
    assert line(text, name) == value


MOF = (
    "instance of CommandLineEventConsumer\n{\n\tCommandLineTemplate = \"cmd /c \\\"a\\\" "
    "c:\\\\b\\n\";\n\tName = \"X\";\n\tTheName = \"no\";\n\tKind = 7;\n};"
)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CommandLineTemplate", 'cmd /c "a" c:\\b\n'),
        ("Name", "X"),
        ("Kind", None),
        ("Absent", None),
    ],
)
def test_the_value_of_a_mof_property(name: str, value: str | None) -> None:
    assert mof(MOF, name) == value


@pytest.mark.parametrize(
    ("text", "name", "state"),
    [
        ("wuauserv/4\0", "wuauserv", "4"),
        ("a/b/1", "a/b", "1"),
        ("iphlpsvc\0", "iphlpsvc", None),
        ("", "", None),
    ],
)
def test_name_and_state_in_binary_data(text: str, name: str, state: str | None) -> None:
    digits = text.encode("utf-16-le").hex()
    assert (binary(digits, False), binary(digits.upper(), True)) == (name, state)


@pytest.mark.parametrize("digits", ["61", "6100f", "zz00", "00" * 2000])
def test_other_binary_data_are_no_name(digits: str) -> None:
    assert binary(digits, False) is None


@given(st.text(), st.sampled_from(["a", "Name", "a|b"]))
def test_any_text(text: str, name: str) -> None:
    address, port = endpoint(text)
    assert address is not None or port is None
    found = line(f"\t{name.split('|')[0]} = {text}", name)
    assert found is not None
    assert found in text
    assert (mof(text, name) or "") in text.replace("\\", "") or "\\" in text
    binary(text, True)


MAPPING = """
provider = "P"
[1]
table = "remote_access_activity"
protocol = "ssh"
activity_id = 99
[1.columns]
activity_id = "Line | starts activity"
auth_success = "Line | starts outcome"
src_ip = "Line | find_ip"
src_port = "Line | find_port"
dst_hostname = 'Path | before " ("'
client = "Mof | mof Name"
session_uid = "Guid | binary_guid"
user_name = "Context | line_account User|Benutzer"
user_domain = "Context | line_domain User|Benutzer"
dst_port = "Pid | before ,"
server = "Context | line Host Name|Hostname"
[2]
table = "service_activity"
activity_id = 99
[2.columns]
svc_name = "Binary | binary_name"
svc_state = "Binary | binary_state word"
activity_id = ["Binary | binary_state state", "State | map state"]
[maps.activity]
"Accepted " = 1
"Failed " = 4
[maps.outcome]
"Accepted " = true
"Failed " = false
[maps.state]
4 = 3
running = 3
[maps.word]
4 = "up"
"""


@pytest.mark.parametrize(
    ("code", "field", "text", "columns"),
    [
        ("1", "Line", "Accepted password for a from 10.0.0.1 port 22 ssh2",
         {"activity_id": 1, "auth_success": True, "src_ip": "10.0.0.1", "src_port": 22}),
        ("1", "Line", "Failed 10.0.0.1", {"activity_id": 4, "auth_success": False,
                                          "src_ip": "10.0.0.1"}),
        ("1", "Line", "Accepted", {"activity_id": 99}),
        ("1", "Path", "C:\\a b.exe (HOST)", {"activity_id": 99, "dst_hostname": "C:\\a b.exe"}),
        ("1", "Path", "a.exe", {"dst_hostname": "a.exe"}),
        ("1", "Path", " (HOST)", {"activity_id": 99, "dst_hostname": None}),
        ("1", "Pid", "536,D,35", {"dst_port": 536}),
        ("1", "Pid", "536", {"dst_port": 536}),
        ("1", "Pid", "x,536", {"dst_port": None}),
        ("1", "Guid", b"{6236EBBD-F50F-40B3-B819-8DB0C608308C}0000".hex(),
         {"session_uid": "{6236ebbd-f50f-40b3-b819-8db0c608308c}"}),
        ("1", "Guid", b"{6236EBBD-F50F-40B3-B819-8DB0C608308}".hex(),
         {"session_uid": None}),
        ("1", "Guid", "7b00", {"session_uid": None}),
        ("1", "Context", "\tUser=A\\B\n", {"user_name": "B", "user_domain": "A"}),
        ("1", "Context", "\tBenutzer = B\n", {"user_name": "B", "user_domain": None}),
        ("1", "Mof", 'Name = "n";', {"activity_id": 99, "client": "n"}),
        ("1", "Mof", 'Name = "";', {"activity_id": 99}),
        ("1", "Context", "  Hostname = h", {"activity_id": 99, "server": "h"}),
        ("1", "Context", "  Hostname = ", {"activity_id": 99}),
        ("2", "Binary", "s/4".encode("utf-16-le").hex(),
         {"activity_id": 3, "svc_name": "s", "svc_state": "up"}),
        ("2", "Binary", "s/9".encode("utf-16-le").hex(), {"activity_id": 99, "svc_name": "s"}),
        ("2", "Binary", "07", {"activity_id": 99}),
        ("2", "State", "running", {"activity_id": 3}),
    ],
)
def test_parts_fill_columns_and_the_text_is_kept(
    code: str, field: str, text: str, columns: dict[str, object]
) -> None:
    events = Events(mapping.read([("t.toml", MAPPING)]))
    events.add("P", code, [(field, "text", text.encode())])
    ((_, batch),) = events.take(True)
    (row,) = batch.to_pylist()
    assert dict(row["unmapped"]) == {field: text}
    filled = {name: row.get(name) for name in columns}
    assert filled == columns
    if code == "1":
        assert row["protocol"] == "ssh"
