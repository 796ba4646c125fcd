"""How a field's text becomes a column's value, and back."""

from dataclasses import dataclass

import pyarrow as pa

from tracelake.normalize.column import (
    BIG,
    BIGS,
    BOOL,
    DOUBLE,
    INT,
    SMALL,
    TEXT,
    TEXTS,
    TIME,
    TINY,
    WORD,
)

NUMBERS = (TINY, SMALL, INT, BIG)
WORDS = (TEXT, WORD)


@dataclass(frozen=True, slots=True)
class Transform:
    """How a field's text becomes a column's value.

    Attributes:
        kinds: column types that it can fill.
        doc: what it does, and its inverse.
        argument: what stands after its name: "" nothing, "map" the name of a value map,
            "bits" the same with masks for keys, "hash" the name of a hash, "code" a code table
            (normalize/codes.py), "code?" that or nothing, "path" of elements, "members" names and
            numbers joined by dots, "unit?" of time or nothing, "column" another one that the same
            section fills, "column?" that or nothing,
            "cell" a number and a text, "text" a text, in quotes where it begins or ends with a
            space.
        derived: the column only repeats a part of what another column or field holds, or is
            made up; it never stands for the field.
    """

    kinds: tuple[pa.DataType, ...]
    doc: str
    argument: str = ""
    derived: bool = False


TRANSFORMS = {
    "text": Transform(WORDS, "The text as it is, both ways. Default of text columns."),
    "number": Transform(
        NUMBERS, "Decimal or 0x number; inverse: decimal. Default of whole-number columns."
    ),
    "decimal": Transform(
        (DOUBLE,),
        "A decimal number, whole or with a fraction; inverse: the shortest text of it with a "
        "point. Default of such columns.",
    ),
    "hex": Transform(NUMBERS, "The same; inverse: 0x and lower-case digits, no leading zeros."),
    "signed_hex": Transform(
        WORDS, "A 64-bit mask given as a signed decimal (NXLog) as 0x...; inverse: signed decimal."
    ),
    "truth": Transform((BOOL,), "true or false in any case; inverse: lower case. Default."),
    "time": Transform(
        (TIME,), "ISO 8601 or FILETIME; inverse: 2020-09-14T12:13:09.1234560Z. Default."
    ),
    "epoch": Transform(
        (TIME,),
        "A number, or its digits, of units since 1970: s, ms, us, ns, or filetime (100 ns since "
        "1601); without one its size tells. The first moment of 1970 or of 1601 is none. Inverse: "
        "whole units in decimal, if one is named.",
        argument="unit?",
    ),
    "utc_ms": Transform((TIME,), "Sysmon's 2020-09-14 12:13:09.123, UTC; inverse: the same."),
    "ip": Transform(
        WORDS, "Canonical address (RFC 5952; ::ffff:1.2.3.4 as 1.2.3.4); inverse: as it is."
    ),
    "guid": Transform(WORDS, "{GUID} in lower case; inverse: as it is."),
    "guid_upper": Transform(WORDS, "{GUID} in lower case; inverse: upper case (NXLog)."),
    "sid": Transform(
        WORDS, "The text as it is; the null SID S-1-0-0 counts as not set. Inverse: as it is."
    ),
    "logon_id": Transform(
        WORDS, "The text as it is; 0x0 counts as not set. Inverse: as it is."
    ),
    "account": Transform(
        WORDS, "B of A\\B, or all; inverse: A\\B with the column that has `domain`, or B."
    ),
    "domain": Transform(WORDS, "A of A\\B; inverse: with `account`."),
    "hash": Transform(
        WORDS,
        "One hash of Sysmon's SHA1=..,MD5=..,SHA256=..,IMPHASH=.., lower case; inverse: those "
        "that are there, in this order, upper case.",
        argument="hash",
    ),
    "map": Transform(
        (*WORDS, *NUMBERS, BOOL),
        "By a value map of the file; inverse: the first text with that value. Other texts: null.",
        argument="map",
    ),
    "bits": Transform(
        (*WORDS, *NUMBERS, BOOL),
        "By a value map whose keys are masks: the value of the first of which a bit is set in the "
        "number.",
        argument="bits",
        derived=True,
    ),
    "list": Transform(
        (TEXTS,), "Parts that each end in a semicolon; inverse: the same."
    ),
    "dns_answers": Transform(
        (TEXTS,),
        "Sysmon's QueryResults: as `list`, without `type: n` and ::ffff:; inverse: as `list`.",
    ),
    "items": Transform(
        (TEXTS, BIGS),
        "The elements of a JSON list of texts or whole numbers; inverse: the list, without white "
        "space.",
    ),
    "joined": Transform(
        WORDS, "The elements of a JSON list of texts with a space between them: a command line of "
        "its words.", derived=True,
    ),
    "json": Transform(
        (*WORDS, *NUMBERS, TEXTS),
        "The value at a path in a JSON text or list: `json 0.name`, `json *.ip`; a column of texts "
        "takes all that fit the path, others the first.",
        argument="members", derived=True,
    ),
    "split": Transform(
        (TEXTS,),
        "Parts between white space; with a code table, what each stands for. Inverse: the parts "
        "with \\r\\n\\t\\t\\t between them.",
        argument="code?",
    ),
    "parts": Transform(
        (TEXTS,),
        "Parts between a text, without the white space around them: `HostGroups | parts ,`.",
        argument="text", derived=True,
    ),
    "cell": Transform(
        (*WORDS, *NUMBERS),
        "One of the parts between a text, from 1: `src | cell 2 :` of 10.0.0.1:443:X0 is 443.",
        argument="cell", derived=True,
    ),
    "dns_name": Transform(
        WORDS, "The name in `type:  28 www.example.org`, as sensors write a question, or all.",
        derived=True,
    ),
    "dns_type": Transform(NUMBERS, "The number of its type.", derived=True),
    "param": Transform(
        WORDS, "The word for a message parameter (%%1833), others as they are; inverse: %%1833."
    ),
    "code": Transform(
        WORDS, "What a code stands for; null where its table does not have it.",
        argument="code", derived=True,
    ),
    "principal": Transform(
        WORDS, "The name of a SID that is the same everywhere: SYSTEM, Domain Admins.",
        derived=True,
    ),
    "principal_domain": Transform(
        WORDS, "Its authority: NT AUTHORITY, BUILTIN.", derived=True
    ),
    "xml": Transform(
        (*WORDS, *NUMBERS),
        "The text of the first element at a path below the root of an XML text: `a/b`; of several "
        "beside each other, joined by a space: `a/b+c`.",
        argument="path", derived=True,
    ),
    "reg_key": Transform(
        WORDS,
        "The key A of a registry value's path A\\B; inverse: with `reg_value`. Names of keys "
        "hold no \\, those of values may: B begins behind the last \\, or where there are two, or "
        "at a drive (\\C:\\).",
    ),
    "reg_value": Transform(
        WORDS, "The name B, or all; inverse: A\\B with the column that has `reg_key`, or B."
    ),
    "stream": Transform(
        WORDS, "The stream of a file (C:\\f:stream): what follows the colon behind its name.",
        derived=True,
    ),
    "audit": Transform(
        NUMBERS,
        "1 where keywords say that an audit is of a success, 2 of a failure. What System's "
        "Keywords do to status_id where the mapping says nothing of it.", derived=True,
    ),
    "file_name": Transform(WORDS, "What follows the last \\ or /.", derived=True),
    "extension": Transform(
        WORDS, "What follows the last dot of the file name, lower case.", derived=True
    ),
    "before": Transform(
        (*WORDS, *NUMBERS),
        "What stands before a text, all where it is not there: `param1 | before \" (\"`.",
        argument="text",
        derived=True,
    ),
    "line": Transform(
        (*WORDS, *NUMBERS),
        "Value of a line `Name=value` or `Name = value`: `Context | line Host Name|Hostname` (any "
        "of these names), with the lines that follow up to the next of this form.",
        argument="text",
        derived=True,
    ),
    "line_account": Transform(
        WORDS, "The same, and of that `account`.", argument="text", derived=True
    ),
    "line_domain": Transform(
        WORDS, "The same, and of that `domain`.", argument="text", derived=True
    ),
    "starts": Transform(
        (*WORDS, *NUMBERS, BOOL),
        "By a value map of the file: the value of the first text that the field begins with.",
        argument="map",
        derived=True,
    ),
    "find_ip": Transform(
        WORDS, "The first IP address that stands in the text, canonical.", derived=True
    ),
    "find_port": Transform(
        NUMBERS, "The port behind that address: 10.0.0.1:22, [fe80::1]:22, 10.0.0.1 port 22.",
        derived=True,
    ),
    "mof": Transform(
        WORDS, "Value of a property in a MOF listing: `Name = \"value\";`.", argument="text",
        derived=True,
    ),
    "binary_name": Transform(
        WORDS,
        "Binary data of an event that are UTF-16 text: that text, up to its last slash (the "
        "service control manager's \"name/state\").",
        derived=True,
    ),
    "binary_guid": Transform(
        WORDS, "{GUID} that binary data begin with as text, lower case.", derived=True
    ),
    "binary_state": Transform(
        (*WORDS, *NUMBERS, BOOL), "By a value map of the file: what stands behind that slash.",
        argument="map", derived=True,
    ),
    "digest": Transform(WORDS, "Hexadecimal digits of a hash in lower case; inverse: upper case."),
    "url_scheme": Transform(WORDS, "Scheme of a URL.", derived=True),
    "url_host": Transform(WORDS, "Host of a URL, without user and port.", derived=True),
    "host": Transform(
        WORDS,
        "Host of a URL, also of one without its scheme (example.com:443/a), and of a host alone.",
        derived=True,
    ),
    "url_path": Transform(WORDS, "Path of a URL, with its first slash.", derived=True),
    "url_query": Transform(WORDS, "Query of a URL, without the question mark.", derived=True),
    "resource_path": Transform(
        WORDS, "Path of the first file of Defender's `file:_C:\\a; process:_pid:1`.", derived=True
    ),
    "sockaddr_ip": Transform(
        WORDS, "Address of a SOCKADDR in hexadecimal digits, canonical.", derived=True
    ),
    "sockaddr_port": Transform(NUMBERS, "Its port, unless it is 0.", derived=True),
    "process_uid": Transform(
        (TEXT,),
        "host:pid:time of a process that has no unique id of its own: lower-case host name, "
        "decimal process id, microseconds since 1970 of the row's time, or of the time in another "
        "column of the row (when the process was made): `ProcessId | process_uid "
        "proc_created_time`.",
        argument="column?", derived=True,
    ),
    "path_join": Transform(
        WORDS,
        "A folder, and in it the name that another column of the row has: `FolderPath | path_join "
        "file_name`. Where the path ends with that name, it is the path already. Inverse of that: "
        "as it is.",
        argument="column",
    ),
    "techniques": Transform(
        (TEXTS,), "Numbers of ATT&CK techniques that stand in the text: T1059.001.", derived=True
    ),
}
"""All transforms by name. The native half is parsers/transforms.pyx."""

PAIRS = {"account": "domain", "reg_value": "reg_key"}
"""Transforms of what follows a backslash, and those of what stands before it."""

EPOCHS = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}
"""Unit of a time since 1970 -> its nanoseconds."""

HASHES = ("sha1", "md5", "sha256", "imphash")
"""In Sysmon's own order."""

DEFAULTS = (
    *((kind, "text") for kind in WORDS),
    *((kind, "number") for kind in NUMBERS),
    (BOOL, "truth"),
    (TIME, "time"),
    (DOUBLE, "decimal"),
)


def default_transform(kind: pa.DataType) -> str:
    """Transform of a column whose mapping names none; "" where it must name one."""
    return next((name for type_, name in DEFAULTS if type_ == kind), "")
