"""What a named value may be, by its name and by how its texts look: for proposing mapping files."""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache

import pyarrow as pa

from tracelake.normalize import TABLES
from tracelake.normalize.column import BOOL, DOUBLE, TEXTS, TIME
from tracelake.normalize.tables.common import COMMON
from tracelake.normalize.transforms import NUMBERS, WORDS
from tracelake.parsers.written_time import written_time

EXAMPLES = 3
LONGEST_EXAMPLE = 60
MOST_VALUES = 2000

FORMS = {
    "ip": re.compile(r"(?:(?:\d{1,3}\.){3}\d{1,3}|(?=.*:.*:)[0-9a-fA-F:.]{3,45}(?:%\w+)?)"),
    "sha256": re.compile(r"[0-9a-fA-F]{64}"),
    "sha1": re.compile(r"[0-9a-fA-F]{40}"),
    "md5": re.compile(r"[0-9a-fA-F]{32}"),
    "guid": re.compile(r"\{?[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\}?"),
    "epoch s": re.compile(r"1[0-9]{9}(?:\.\d+)?"),
    "epoch ms": re.compile(r"1[0-9]{12}"),
    "epoch us": re.compile(r"1[0-9]{15}"),
    "epoch ns": re.compile(r"1[0-9]{18}"),
    "epoch filetime": re.compile(r"13\d{16}"),
    "number": re.compile(r"-?\d{1,18}|0x[0-9a-fA-F]{1,16}"),
    "decimal": re.compile(r"-?\d+\.\d+(?:[eE][-+]?\d+)?"),
    "truth": re.compile(r"(?i:true|false)"),
    "date": re.compile(r"\d{4}[-/]\d\d[-/]\d\d"),
    "clock": re.compile(r"\d\d:\d\d:\d\d(?:[.,]\d+)?"),
    "time": re.compile(
        r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?\s?(?:Z|UTC|[-+]\d\d:?\d\d)?"
    ),
    "list": re.compile(r"\[.*\]", re.DOTALL),
    "object": re.compile(r"\{.*\}", re.DOTALL),
    "url": re.compile(r"[a-z][a-z0-9+.-]*://\S+"),
    "account": re.compile(r"[^\\/:\s][^\\/:]*\\[^\\/:]+"),
    "sid": re.compile(r"S-1-\d+(?:-\d+)+"),
    "path": re.compile(r"(?:[A-Za-z]:\\|\\\\|/)\S.*"),
}
"""Forms of texts, the narrowest first."""

NAMES: Mapping[str, str] = {
    "src_ip": "src srcip srcaddr source sourceip sourceaddress sourceipaddress clientip client "
    "cip saddr remoteaddr remoteip ipaddress callerip origip sourceipv4 ip clientaddress ipaddr",
    "src_port": "srcport sport spt sourceport clientport cport remoteport sourceportnumber",
    "dst_ip": "dst dstip dstaddr dest destip destinationip destinationaddress serverip daddr sip "
    "targetip respip dstipv4 destaddress",
    "dst_port": "dstport dport dpt destport destinationport serverport sport targetport",
    "src_hostname": "srchost shost sourcehost sourcehostname workstation workstationname "
    "clientname "
    "clienthostname srcname",
    "dst_hostname": "dsthost dhost desthost destinationhost destinationhostname servername dstname",
    "src_mac": "srcmac smac sourcemac", "dst_mac": "dstmac dmac destmac destinationmac",
    "user_name": "user username usr usrname login account accountname targetusername suser duser "
    "srcuser userid logonname subjectusername initiatinguser principal useraccount",
    "user_domain": "domain userdomain targetdomainname accountdomain subjectdomainname ntdomain",
    "user_uid": "usersid targetusersid sid subjectusersid uid",
    "transport": "proto protocol transport ipprotocol",
    "app_protocol": "app application appname service applicationname",
    "bytes_out": "sent sentbyte sentbytes bytessent bytesout outbytes srcbytes clientbytes",
    "bytes_in": "rcvd rcvdbyte recvbytes bytesreceived bytesin inbytes dstbytes serverbytes",
    "packets_out": "sentpkt sentpkts packetssent spkt srcpackets",
    "packets_in": "rcvdpkt recvpkts packetsreceived rpkt dstpackets",
    "duration_s": "duration elapsed",
    "rule_name": "rule rulename policyname", "rule_uid": "ruleid policyid",
    "action_id": "", "status_detail": "reason failurereason statusreason errormessage",
    "url": "url uri requesturl request", "url_hostname": "host urlhost hostheader domainname",
    "url_path": "path uripath csuristem", "http_method": "method requestmethod httpmethod verb",
    "user_agent": "useragent agent ua httpuseragent", "referrer": "referer referrer",
    "status_code": "status statuscode httpstatus responsecode result resultcode",
    "query_hostname": "query queryname dnsquery domainqueried qname question",
    "query_type": "querytype qtype recordtype", "answers": "answer answers response",
    "proc_path": "image newprocessname processpath imagefilename imagepath processimage exe "
    "processexecutable folderpath executable",
    "proc_name": "processname procname", "proc_pid": "processid pid newprocessid procid",
    "proc_cmd_line": "commandline cmdline processcommandline command cmd",
    "parent_path": "parentimage parentprocessname parentpath parentprocesspath creatorprocessname",
    "parent_pid": "parentprocessid ppid parentpid creatorprocessid",
    "parent_cmd_line": "parentcommandline parentcmdline", "parent_name": "parentname",
    "file_path": "file filepath targetfilename fullpath objectname filefullpath",
    "file_name": "filename fname", "file_size": "filesize fsize",
    "file_sha256": "sha256 filehash hash sha256hash", "file_md5": "md5 md5hash",
    "file_sha1": "sha1 sha1hash", "proc_sha256": "processsha256", "proc_md5": "processmd5",
    "reg_key_path": "registrykey keypath targetobject regkey objectname",
    "reg_value_name": "registryvaluename valuename", "reg_value_data": "registryvaluedata details",
    "severity": "severity level sev priority", "title": "title name alertname rulename signature "
    "threat attack displayname", "threat_name": "threatname malware virus virusname",
    "logon_type_id": "logontype", "auth_protocol": "authenticationpackage authpackage "
    "authenticationpackagename authprotocol", "session_uid": "logonid targetlogonid sessionid",
    "mail_from": "sender mailfrom from", "rcpt_to": "recipient recipients to rcptto",
    "subject": "subject", "job_name": "taskname jobname", "svc_name": "servicename",
}  # fmt: skip
"""Names that columns go by, beside those that the tables themselves tell."""

SYSTEM: Mapping[str, str] = {
    "device_hostname": "hostname host computer computername device devicename devname machinename "
    "dvchost dvc agenthostname hostidentifier sysloghost machine endpoint",
    "device_uid": "deviceid agentid aid sensorid hostid machineid endpointid devid",
    "message": "message msg description eventmessage renderedmessage rawmessage content "
    "logmessage text",
    "log_name": "channel logname logtype category log",
    "original_event_uid": "eventuuid uuid eventuid recordid logid messageid eventrecordid",
    "event_level": "",
}  # fmt: skip

CODE = re.compile(
    r"event|type|action|operation|category|code|kind|class|activity|signature|subtype|msgid|^m$",
    re.IGNORECASE,
)  # fmt: skip
TIMES = re.compile(r"time|date|_at$|^ts$|stamp|created|when|^rt$|start|end|epoch", re.IGNORECASE)


def plain(name: str) -> str:
    """A name without what separates its words."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


@dataclass(slots=True)
class Seen:
    """What a sample holds under one name.

    Attributes:
        count: records that have it. values: how often each text came, MOST_VALUES of them.
        forms: how many texts have the form.
    """

    name: str
    count: int = 0
    values: Counter[str] = field(default_factory=Counter)
    forms: Counter[str] = field(default_factory=Counter)

    def add(self, text: str) -> None:
        """Counts one more value."""
        self.count += 1
        if text in self.values or len(self.values) < MOST_VALUES:
            self.values[text] += 1
        self.forms[form_of(text)] += 1

    @property
    def form(self) -> str:
        """The form of nine in ten of its texts; "" where they have none in common."""
        said = Counter({form: n for form, n in self.forms.items() if form != "unset"})
        total = sum(said.values())
        if not total:
            return ""
        numbers = said["number"] + said["decimal"]
        if numbers * 10 >= total * 9 and said["decimal"]:
            return "decimal"
        best, n = said.most_common(1)[0]
        return best if n * 10 >= total * 9 else ""

    def examples(self) -> str:
        """Some texts, the most frequent first, for a comment."""
        shown = []
        for text, _ in self.values.most_common(EXAMPLES):
            text = " ".join(text.split())
            shown.append(text if len(text) <= LONGEST_EXAMPLE else text[:LONGEST_EXAMPLE] + "...")
        return " | ".join(shown)


@cache
def form_of(text: str) -> str:
    """The form of a text; "" none that is known, "unset" where it says nothing."""
    text = text.strip()
    if text in ("", "-", "N/A", "null", "None"):
        return "unset"
    return next((name for name, form in FORMS.items() if form.fullmatch(text)), "")


@cache
def _known() -> Mapping[str, Mapping[str, str]]:
    """By table: what a column may be called -> the column."""
    common = {column.name for column in COMMON}
    found: dict[str, dict[str, str]] = {}
    for table in TABLES.values():
        if not table.is_events or table.name == "raw_event":
            continue
        names: dict[str, str] = {}
        for column in table.schema:
            if column.name in common:
                continue
            called = [column.name]
            for key, value in (column.metadata or {}).items():
                if key.decode() in ("ecs", "zeek") or key.startswith((b"sigma.", b"ocsf.path")):
                    called += value.decode().split()
            called += NAMES.get(column.name, "").split()
            for name in called:
                names.setdefault(plain(name), column.name)
        found[table.name] = names
    return found


FITS: Mapping[str, frozenset[str]] = {
    "ip": frozenset({"ip"}), "url": frozenset({"url", "path", ""}),
    "sha256": frozenset({"sha256"}), "sha1": frozenset({"sha1"}), "md5": frozenset({"md5"}),
}  # fmt: skip


def column_of(table: str, seen: Seen) -> tuple[str, str]:
    """(column, how it is filled) of a table for what goes by a name; ("", "") where none fits."""
    names = _known()[table]
    whole = plain(seen.name)
    last = plain(seen.name.rpartition(".")[2])
    column = names.get(whole) or names.get(last)
    if column is None:
        return "", ""
    how = filled(column, TABLES[table].schema.field(column).type, seen)
    return (column, how) if how is not None else ("", "")


def filled(column: str, kind: pa.DataType, seen: Seen) -> str | None:
    """The transform that fills a column with these texts; None where none does."""
    form = seen.form
    if column.endswith("_ip"):
        return "ip" if form == "ip" else None
    if column.endswith(("_sha256", "_sha1", "_md5")):
        return "" if form == column.rpartition("_")[2] else None
    if kind == TIME:
        return how_timed(seen)[1:] or None
    if kind in NUMBERS:
        return "" if form in ("number", "epoch s") else None
    if kind == DOUBLE:
        return "" if form in ("decimal", "number") else None
    if kind == BOOL:
        return "" if form == "truth" else None
    if kind == TEXTS:
        return "items" if form == "list" else None
    if kind in WORDS:
        if column in ("user_name", "actor_user_name") and form == "account":
            return "account"
        return None if form in ("list", "object") else ""
    return None


def how_timed(seen: Seen) -> str:
    """` <clock>` of a member that is a time; "" where it is none."""
    form = seen.form
    if form == "time":
        return " zone"
    if form.startswith("epoch"):
        return f" {form}" if TIMES.search(seen.name) or form != "epoch s" else ""
    texts = [text for text in seen.values if form_of(text) != "unset"][:200]
    if not texts or form in ("number", "date", "ip", "decimal"):
        return ""
    for order in ("", "mdy", "dmy"):
        if all(written_time(text, order) for text in texts):
            return f" written {order}".rstrip()
    return ""


def table_of(seen: Iterable[Seen]) -> str:
    """The table that has columns for most of what is there; "" where none has two."""
    scores: dict[str, float] = defaultdict(float)
    names = list(seen)
    users = False
    for table in _known():
        columns = {column_of(table, one)[0] for one in names} - {""}
        # What tells one kind of event from another counts more than addresses and users.
        scores[table] = sum(_weight(table, column) for column in columns)
        if len(columns) < 2:
            scores[table] = 0
        users |= table == "authentication" and "user_name" in columns
    best = max(scores, key=lambda table: (scores[table], -_rank(table, users)))
    return best if scores[best] else ""


USUAL = ("network_activity", "authentication", "process_activity", "http_activity", "dns_activity",
         "file_activity", "detection_finding")


def _rank(table: str, users: bool) -> int:
    """Of tables that fit alike the one that such logs usually are; logons where there are users."""
    if users and table == "authentication":
        return -1
    return USUAL.index(table) if table in USUAL else len(USUAL)


@cache
def _weight(table: str, column: str) -> float:
    """How much a column says of a table: the fewer have it, the more."""
    having = sum(column in TABLES[name].columns for name in _known())
    begins = column.split("_")[0]
    own = begins in (table.split("_")[0][:4], PREFIX.get(table))
    return (2.0 if own else 1.0) / math.sqrt(having)


PREFIX = {
    "process_activity": "proc", "file_activity": "file", "registry_activity": "reg",
    "service_activity": "svc", "job_activity": "job", "http_activity": "url",
    "dns_activity": "query", "authentication": "logon", "module_activity": "module",
    "script_activity": "script", "network_activity": "bytes", "tls_activity": "tls",
}  # fmt: skip

__all__ = ["CODE", "SYSTEM", "TIMES", "Seen", "column_of", "how_timed", "plain", "table_of"]
