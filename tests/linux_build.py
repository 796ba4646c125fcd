"""Small files of Linux hosts and web servers, where fuzzing starts from."""

import struct

from tests.test_linux import audit, entry, line

ACCESS = b'1.2.3.4 - bob [10/Oct/2000:13:55:36 -0700] "GET /a?b=c HTTP/1.0" 200 2326'
W3C = (
    b"#Fields: date time cs-method cs-uri-stem c-ip sc-status\r\n"
    b"2015-01-02 10:00:00 POST /a 1.2.3.4 404\r\n2015-01-02 10:00:01 GET /b 1.2.3.4 200\r\n"
)
SANTA = (
    b"[2022-02-09T16:47:01.893Z] I santad: action=EXEC|decision=ALLOW|pid=7|path=/bin/ls|args=ls\n"
)
NGINX = b'2011/06/10 13:30:10 [error] 12#0: *1 open() failed, client: 1.2.3.4, request: "GET /"\n'
APACHE = b"[Fri Sep 09 10:42:29.902022 2011] [core:error] [pid 35:tid 43] [client 1.2.3.4:80] no\n"
FAST = (
    b"01/18/21-11:22:33.123456  [**] [1:2009187:4] ET X [**] [Classification: Web] [Priority: 3] "
    b"{TCP} 1.2.3.4:80 -> 5.6.7.8:90\n"
)
DPKG = b"2012-01-02 22:00:20 upgrade libbde-dev 1 2\n2012-01-02 22:00:21 install a <none> 1\n"
BODY = b"0|/a|7|r/rrw|1|2|3|10|20.5|30|0\n0|/b c|8|d/drw|1|2|3|10|20|30|40\n"
PASSWD = b"root:x:0:0:root:/root:/bin/bash\nbob:x:1000:1000:Bob,,,:/home/bob:/bin/sh\n"
CRON = b"# jobs\n*/5 * * * * root /bin/x -y\n@reboot root /tmp/y\n"
UNIT = b"[Unit]\nDescription=x\n[Service]\nExecStart=/tmp/x \\\n  -y\nUser=bob\n"


def journal(*messages: bytes) -> bytes:
    """A journal of systemd (systemd.io/JOURNAL_FILE_FORMAT) with an entry a message."""
    head, objects, entries = 240, b"", []

    def add(kind: int, body: bytes) -> int:
        nonlocal objects
        at = head + len(objects)
        size = 16 + len(body)
        objects += struct.pack("<BB6xQ", kind, 0, size) + body + bytes(-size % 8)
        return at

    for number, message in enumerate(messages, 1):
        fields = [b"MESSAGE=" + message, b"_PID=7", b"_COMM=sshd", b"PRIORITY=6"]
        data = [add(1, struct.pack("<6Q", 0, 0, 0, 0, 0, 1) + field) for field in fields]
        items = b"".join(struct.pack("<QQ", at, 0) for at in data)
        when = 1_700_000_000_000_000 + number
        entries.append(add(3, struct.pack("<QQQ16sQ", number, when, number, b"b" * 16, 0) + items))
    array = add(6, struct.pack("<Q", 0) + b"".join(struct.pack("<Q", at) for at in entries))
    header = struct.pack(
        "<8sIIB7x16s16s16s16s", b"LPKSHHRH", 0, 0, 0, b"f" * 16, b"m" * 16, b"b" * 16, b"s" * 16
    ) + struct.pack(
        "<18Q", head, len(objects), 0, 0, 0, 0, array, len(messages) * 5 + 1, len(messages),
        len(messages), 1, array, 1_700_000_000_000_001, 1_700_000_000_000_000 + len(messages), 1,
        0, 0, 0,
    )  # fmt: skip
    return header.ljust(head, b"\0") + objects


def seeds() -> list[tuple[str, bytes]]:
    """(name, bytes) of files of every kind."""
    said = line("Accepted password for bob from 10.0.0.1 port 50000 ssh2")
    call = audit("SYSCALL arch=c000003e syscall=59 success=yes pid=2 uid=0", 'CWD cwd="/tmp"')
    login = audit("USER_LOGIN pid=9 uid=0 msg='acct=\"bob\" addr=10.0.0.1 res=failed'", number=2)
    rfc5424 = b'<165>1 2003-08-24T05:14:15.000003-07:00 h app 8710 ID47 [ex@1 a="x"] It\n'
    return [
        ("syslog", said * 3), ("syslog", line("(root) CMD (x)", "CRON[9]") * 2 + said),
        ("syslog", rfc5424 * 3), ("syslog", said + b"nothing of a log\n" + said),
        ("audit.log", call), ("audit.log", call + login), ("audit.log", login + b"nothing\n"),
        ("wtmp", entry(7, b"bob", "little") * 2), ("wtmp", entry(7, b"eve", "big") * 2),
        ("wtmp", entry(8, b"", "wide") + entry(7, b"bob", "wide")),
        ("a.log", ACCESS + b"\n" + ACCESS + b"\n"), ("b.log", (ACCESS + b' "-" "M"\n') * 3),
        ("c.log", (ACCESS + b' "http://r/" "Mozilla"\n') * 3),
        ("u.log", W3C), ("u.log", W3C * 2), ("u.log", W3C + b"only two\r\n"),
        ("santa.log", SANTA * 2), ("santa.log", SANTA + b"nothing\n"),
        ("santa.log", SANTA.replace(b"EXEC", b"WRITE")),
        ("error.log", NGINX * 2), ("error.log", APACHE * 2), ("error.log", APACHE + NGINX),
        ("fast.log", FAST), ("fast.log", FAST * 40), ("fast.log", FAST + b"nothing\n"),
        ("dpkg.log", DPKG), ("dpkg.log", DPKG * 2), ("dpkg.log", DPKG + b"nothing\n"),
        ("bodyfile", BODY), ("bodyfile", BODY * 2), ("bodyfile", BODY + b"0|/c\n"),
        ("etc/passwd", PASSWD), ("etc/passwd", PASSWD * 2), ("etc/passwd", PASSWD + b"bad\n"),
        ("etc/crontab", CRON), ("etc/crontab", CRON * 2), ("etc/crontab", CRON + b"bad\n"),
        ("x.service", UNIT),
        ("etc/os-release", b'NAME="Ubuntu"\nVERSION_ID="22.04"\n'),
        ("etc/os-release", b"NAME=Debian\nID=debian\n"),
        ("etc/os-release", b'NAME="Arch Linux"\nID=arch\n# comment\nBUILD_ID=rolling\n'),
        (".zsh_history", b": 1471766804:3;cd plaso\n: 1471766782:0;echo dfgdfg \\\\\\\n& touch\n"),
        (".bash_history", b"#1301597285\n/usr/lib/plaso\n#1301598510\nls\n"),
        ("fish_history", b"- cmd: ls\n  when: 1457771210\n"),
        *[("system.journal", journal(*(b"message %d" % n for n in range(1, most))))
          for most in (2, 4, 9)],
    ]  # fmt: skip
