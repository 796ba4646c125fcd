"""MySQL, SOCKS, RFB, IRC and MQTT: golden rows and hostile messages."""

import struct
from typing import Any

import pytest

from tests.talk_case import talk

Row = dict[str, Any]
SEGMENTS = [1, 6, 1460]


def services(*said: tuple[bool, bytes], port: int, mss: int = 1460) -> list[Row]:
    return talk(*said, port=port, mss=mss)["net_service_activity"]


def packet(number: int, body: bytes) -> bytes:
    return struct.pack("<I", len(body))[:3] + bytes((number,)) + body


GREETING = packet(0, b"\x0a5.5.30\0" + bytes(60))
LOGIN = packet(1, struct.pack("<II", 0x0200, 1 << 24) + bytes(24) + b"root\0" + b"\x14" + bytes(20))
DONE = packet(2, b"\0\0\0\2\0\0\0")
SAID = (False, GREETING), (True, LOGIN), (False, DONE)


@pytest.mark.parametrize("mss", SEGMENTS)
def test_mysql(mss: int) -> None:
    end = b"\xfe\0\0\2\0"
    login, query, bad, left = services(
        *SAID, (True, packet(0, b"\3select 1")),
        (False, packet(1, b"\1") + packet(2, b"\3def" + bytes(30)) + packet(3, end)
         + packet(4, b"\x011") + packet(5, end)),
        (True, packet(0, b"\3drop")),
        (False, packet(1, b"\xff\x28\4#42000syntax")), (True, packet(0, b"\1")),
        port=3306, mss=mss,
    )
    assert (login["command"], login["argument"], login["status_id"]) == ("login", "root", 1)
    assert (query["command"], query["argument"], query["result_rows"]) == ("query", "select 1", 0)
    assert (bad["status_id"], bad["reply"], bad["reply_code"]) == (2, "syntax", 1064)
    assert left["command"] == "quit"
    assert "status_id" not in left


def test_mysql_long_command_is_cut_and_what_follows_is_read() -> None:
    long = packet(0, b"\3insert " + b"x" * 3_000_000)
    found = services(*SAID, (True, long), (False, packet(1, b"\0\1\0\2\0\0\0")),
                     (True, packet(0, b"\x0e")), port=3306)
    assert [r["command"] for r in found] == ["login", "query", "ping"]
    assert found[1]["result_rows"] == 1
    assert len(found[1]["argument"]) <= 65536


def test_mysql_tls_hands_over() -> None:
    ssl = packet(1, struct.pack("<II", 0x0A00, 1 << 24) + bytes(24))
    hello = b"\x16\x03\x01\0\x2f\1" + bytes(46)
    found = talk((False, GREETING), (True, ssl), (True, hello), port=3306)
    assert "mysql" in found["network_activity"][0]["app_protocol"]
    assert "net_service_activity" not in found


GET = b"GET / HTTP/1.1\r\nHost: www.example.com\r\n\r\n"


@pytest.mark.parametrize("mss", SEGMENTS)
def test_socks_5_and_what_runs_through_it(mss: int) -> None:
    name = b"www.example.com"
    found = talk(
        (True, b"\5\2\0\2"), (False, b"\5\2"), (True, b"\1\5alice\6secret"), (False, b"\1\0"),
        (True, b"\5\1\0\3" + bytes((len(name),)) + name + b"\0\x50"),
        (False, b"\5\0\0\1\x0a\0\0\2\x04\x38"), (True, GET), port=1080, mss=mss,
    )
    (row,) = found["remote_access_activity"]
    assert (row["user_name"], row["result"]) == ("alice", "succeeded")
    assert (row["target_name"], row["target_port"]) == ("www.example.com", 80)
    assert (row["bound_ip"], row["bound_port"]) == ("10.0.0.2", 1080)
    assert found["http_activity"][0]["url_hostname"] == "www.example.com"


def test_socks_4() -> None:
    found = talk((True, b"\4\1\0\x50\x0a\0\0\x09bob\0"), (False, b"\0\x5b\0\0\0\0\0\0"), port=9999)
    (row,) = found["remote_access_activity"]
    assert (row["protocol_version"], row["user_name"], row["target_ip"]) == ("4", "bob", "10.0.0.9")
    assert (row["result"], row["status_id"]) == ("general SOCKS server failure", 2)


RFB = (
    (False, b"RFB 003.008\n"), (True, b"RFB 003.008\n"), (False, b"\2\1\2"), (True, b"\2"),
    (False, bytes(16)), (True, bytes(16)), (False, bytes(4)), (True, b"\1"),
    (False, struct.pack(">HH", 1280, 800) + bytes(16) + struct.pack(">I", 4) + b"desk"),
)


@pytest.mark.parametrize("mss", SEGMENTS)
def test_rfb(mss: int) -> None:
    (row,) = talk(*RFB, port=5900, mss=mss)["remote_access_activity"]
    assert (row["auth_method"], row["auth_success"], row["share_flag"]) == ("VNC", True, True)
    assert (row["desktop_name"], row["desktop_width"], row["desktop_height"]) == ("desk", 1280, 800)
    assert (row["client_major_version"], row["server_minor_version"]) == ("003", "008")


def test_rfb_refused() -> None:
    (row,) = talk(*RFB[:6], (False, b"\0\0\0\1"), port=5900)["remote_access_activity"]
    assert row["auth_success"] is False
    assert row["status_id"] == 2


@pytest.mark.parametrize("mss", SEGMENTS)
def test_irc(mss: int) -> None:
    said = (
        b"NICK tim\r\nUSER tim 0 * :Tim Tester\r\nJOIN #a,#b key\r\n"
        b"PRIVMSG #a :hello there\r\nPING x\r\n"
    )
    found = services((True, said), (False, b":evil!x@y PRIVMSG #a :!ddos 1.2.3.4\r\n"),
                     port=7000, mss=mss)
    assert [(r["command"], r["value"], r.get("additional")) for r in found] == [
        ("NICK", "tim", None), ("USER", "tim", "0 * Tim Tester"),
        ("JOIN", "#a", " with channel key: 'key'"), ("JOIN", "#b", ""),
        ("PRIVMSG", "#a", "hello there"), ("PRIVMSG", "#a", "!ddos 1.2.3.4"),
    ]
    assert (found[2]["nick"], found[2]["user_name"]) == ("tim", "tim")


def test_ftp_and_pop3_are_no_irc() -> None:
    for said in (b"USER anonymous\r\nPASS x\r\n", b"USER bob\r\n"):
        found = talk((False, b"+OK ready\r\n"), (True, said), port=7000)
        assert "net_service_activity" not in found


def string(value: bytes) -> bytes:
    return struct.pack(">H", len(value)) + value


def mqtt(first: int, body: bytes) -> bytes:
    size, length = b"", len(body)
    while True:
        size += bytes((length & 0x7F | (0x80 if length > 127 else 0),))
        length >>= 7
        if not length:
            return bytes((first,)) + size + body


CONNECT = mqtt(0x10, string(b"MQTT") + b"\4\xc6\0\x3c" + string(b"me") + string(b"will/t")
               + string(b"bye") + string(b"alice") + string(b"secret"))


@pytest.mark.parametrize("mss", SEGMENTS)
def test_mqtt(mss: int) -> None:
    connected, published, subscribed, left = services(
        (True, CONNECT), (False, b"\x20\2\0\0"),
        (True, mqtt(0x32, string(b"a/b") + b"\0\7" + b"x" * 300)), (False, b"\x40\2\0\7"),
        (True, mqtt(0x82, b"\0\x08" + string(b"c/#") + b"\1")), (False, b"\x90\3\0\x08\1"),
        (True, mqtt(0xA2, b"\0\x09" + string(b"c/#"))), (False, b"\xb0\2\0\x09"),
        port=8883, mss=mss,
    )
    assert (connected["protocol_version"], connected["client_id"]) == ("3.1.1", "me")
    assert connected["connect_status"] == "Connection Accepted"
    assert (connected["will_topic"], connected["will_payload"]) == ("will/t", "bye")
    assert (connected["user_name"], connected["password"]) == ("alice", "secret")
    assert (published["topic"], published["delivery"], published["qos"]) == (
        "a/b", "ok", "at least once")
    assert (len(published["payload"]), published["payload_len"]) == (100, 300)
    assert (subscribed["topics"], subscribed["qos_levels"]) == (["c/#"], [1])
    assert subscribed["ack"]
    assert left["command"] == "UNSUBSCRIBE"


def test_mqtt_5_has_properties() -> None:
    connect = mqtt(0x10, string(b"MQTT") + b"\5\2\0\x3c" + b"\5\x11\0\0\0\x0a" + string(b"five"))
    publish = mqtt(0x30, string(b"t") + b"\0" + b"payload")
    connected, published = services(
        (True, connect), (False, b"\x20\3\0\x87\0"), (True, publish), port=1883)
    assert (connected["client_id"], connected["connect_status"]) == ("five", "Not authorized")
    assert (published["payload"], published["payload_len"]) == ("payload", 7)


def test_mqtt_large_message_and_many_that_wait() -> None:
    large = mqtt(0x30, string(b"t") + b"x" * 2_000_000)
    found = services((True, CONNECT + large + mqtt(0x30, string(b"u") + b"y")), port=1883)
    assert [r.get("topic") for r in found if r["command"] == "PUBLISH"] == ["t", "u"]
    flood = b"".join(mqtt(0x32, string(b"t") + struct.pack(">H", i)) for i in range(1, 3001))
    found = services((True, CONNECT + flood), port=1883)
    assert sum(r["command"] == "PUBLISH" for r in found) == 3000


@pytest.mark.parametrize(("said", "port"), [
    ((*SAID, (True, packet(0, b"\3select 1")), (False, packet(1, b"\1"))), 3306),
    (((True, b"\5\1\0"), (False, b"\5\0"), (True, b"\5\1\0\1\1\2\3\4\0\x50"),
      (False, b"\5\0\0\1\1\2\3\4\0\x50")), 1080),
    (RFB, 5900),
    (((True, CONNECT), (False, b"\x20\2\0\0"), (True, mqtt(0x82, b"\0\1" + string(b"t") + b"\0"))),
     1883),
    (((True, b"NICK a\r\nUSER a b c :d\r\nJOIN #x,#y k\r\n"), (False, b":s 001 a :hi\r\n")), 6667),
])
def test_cut_and_flipped(said: tuple[tuple[bool, bytes], ...], port: int) -> None:
    for i, (client, data) in enumerate(said):
        for at in range(0, len(data), max(1, len(data) // 25)):
            talk(*said[:i], (client, data[:at]), port=port)
            broken = bytearray(data)
            broken[at] ^= 0xFF
            found = talk(*said[:i], (client, bytes(broken)), *said[i + 1 :], port=port)
            assert found["network_activity"]
