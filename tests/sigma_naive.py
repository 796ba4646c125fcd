"""Sigma rules once more, the slow way: a witness that shares nothing with `sigma_rules`.

Rules become Python functions over events as the Rust `evtx` package gives them in JSON; which
events a log source means, and how values are compared, is written down here a second time.
"""

import base64
import ipaddress
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

SYSMON: dict[str, set[int]] = {
    "process_creation": {1}, "file_change": {2}, "network_connection": {3},
    "sysmon_status": {4, 16}, "process_termination": {5}, "driver_load": {6}, "image_load": {7},
    "create_remote_thread": {8}, "raw_access_thread": {9}, "process_access": {10},
    "file_event": {11}, "registry_add": {12}, "registry_delete": {12}, "registry_set": {13},
    "registry_rename": {14}, "registry_event": {12, 13, 14}, "create_stream_hash": {15},
    "pipe_created": {17, 18}, "wmi_event": {19, 20, 21}, "dns_query": {22},
    "file_delete": {23, 26}, "clipboard_capture": {24}, "process_tampering": {25},
    "file_delete_detected": {26}, "file_block_executable": {27}, "file_block_shredding": {28},
    "file_executable_detected": {29}, "sysmon_error": {255},
}  # fmt: skip
POWERSHELL = {"ps_module": 4103, "ps_script": 4104}
CLASSIC = {"ps_classic_start": 400, "ps_classic_provider_start": 600, "ps_classic_script": 800}
CHANNELS: dict[str, str] = {
    "security": "Security", "system": "System", "application": "Application",
    "windefend": "Microsoft-Windows-Windows Defender/Operational",
    "codeintegrity-operational": "Microsoft-Windows-CodeIntegrity/Operational",
    "appxdeployment-server": "Microsoft-Windows-AppXDeploymentServer/Operational",
    "firewall-as": "Microsoft-Windows-Windows Firewall With Advanced Security/Firewall",
    "bits-client": "Microsoft-Windows-Bits-Client/Operational",
    "msexchange-management": "MSExchange Management",
    "dns-client": "Microsoft-Windows-DNS-Client/Operational",
    "iis-configuration": "Microsoft-IIS-Configuration/Operational",
    "taskscheduler": "Microsoft-Windows-TaskScheduler/Operational",
    "ntlm": "Microsoft-Windows-NTLM/Operational",
    "security-mitigations": "Microsoft-Windows-Security-Mitigations/*",
    "wmi": "Microsoft-Windows-WMI-Activity/Operational",
    "applocker": "Microsoft-Windows-AppLocker/*",
    "dns-server": "DNS Server",
    "appxpackaging-om": "Microsoft-Windows-AppxPackaging/Operational",
    "microsoft-servicebus-client": "Microsoft-ServiceBus-Client*",
    "terminalservices-localsessionmanager":
        "Microsoft-Windows-TerminalServices-LocalSessionManager/Operational",
    "shell-core": "Microsoft-Windows-Shell-Core/Operational",
    "certificateservicesclient-lifecycle-system":
        "Microsoft-Windows-CertificateServicesClient-Lifecycle-System/Operational",
    "driver-framework": "Microsoft-Windows-DriverFrameworks-UserMode/Operational",
    "ldap": "Microsoft-Windows-LDAP-Client/Debug",
    "appmodel-runtime": "Microsoft-Windows-AppModel-Runtime/Admin",
    "smbclient-security": "Microsoft-Windows-SmbClient/Security",
    "smbserver-connectivity": "Microsoft-Windows-SMBServer/Connectivity",
    "diagnosis-scripted": "Microsoft-Windows-Diagnosis-Scripted/Operational",
    "lsa-server": "Microsoft-Windows-LSA/Operational",
    "openssh": "OpenSSH/Operational",
    "capi2": "Microsoft-Windows-CAPI2/Operational",
    "powershell": "Microsoft-Windows-PowerShell/Operational",
    "powershell-classic": "Windows PowerShell",
}

Values = dict[str, list[str]]
Test = Callable[["Event"], bool]


def _texts(value: Any) -> list[str]:
    if value is None:
        return []
    if isinstance(value, bool):
        return ["true" if value else "false"]
    if isinstance(value, list):
        return [text for part in value for text in _texts(part)]
    if isinstance(value, dict):
        return [text for key, part in value.items() if key != "#attributes"
                for text in _texts(part)]
    return [str(value)]


class Event:
    """One event: its log, its code, and its fields by name, in lower case and without blanks."""

    def __init__(self, record: Mapping[str, Any]) -> None:
        system = record["System"]
        code = system["EventID"]
        self.code = int(code["#text"] if isinstance(code, dict) else code)
        self.channel: str | None = system.get("Channel")
        provider = (system.get("Provider") or {}).get("#attributes", {})
        self.provider: str | None = provider.get("Name")
        self.record_id = system.get("EventRecordID")
        self.data: Values = {}
        for name, value in (record.get("EventData") or {}).items():
            self.add(name, value)
        for name, wrapper in (record.get("UserData") or {}).items():
            if not isinstance(wrapper, dict):
                self.add(name, wrapper)
            for inner, value in (wrapper if isinstance(wrapper, dict) else {}).items():
                self.add(inner, value)
        # What the text of an event is made of.
        self.everything = "\n".join(text for texts in self.data.values() for text in texts).lower()
        if "channel" not in self.data:
            self.add("Channel", self.channel)
        self.data["eventid"] = [str(self.code)]
        self.data["provider_name"] = _texts(self.provider)
        self.data["computer"] = _texts(system.get("Computer"))
        self.data["level"] = _texts(system.get("Level"))
        self.data["message"] = [self.everything]
        if self.provider == "Microsoft-Windows-Security-Auditing" and self.code == 4688:
            self.as_process()

    def add(self, name: str, value: Any) -> None:
        if not name.startswith("#"):
            texts = _texts(value)
            if texts or value is not None:
                self.data.setdefault(name.lower().replace(" ", ""), []).extend(texts or [""])

    def as_process(self) -> None:
        """A new process of the Security log under the names of the category, too."""
        self.process = dict(self.data)
        for theirs, ours in (("newprocessname", "image"), ("parentprocessname", "parentimage"),
                             ("mandatorylabel", "integritylevel"),
                             ("subjectlogonid", "logonid")):
            if theirs in self.data:
                self.process[ours] = self.data[theirs]
        target = self.data.get("targetusername", ["-"])[0] != "-"
        who = "target" if target else "subject"
        names = [self.data.get(f"{who}{part}", [""])[0] for part in ("domainname", "username")]
        self.process["user"] = ["\\".join(names)]


def applies(logsource: Mapping[str, str]) -> Callable[[Event], Values | None]:
    """What a log source makes of an event: its fields, or None where it is not one of its own."""
    category, service = logsource.get("category"), logsource.get("service")
    if category:
        def of_category(event: Event) -> Values | None:
            if event.provider == "Microsoft-Windows-Sysmon":
                if event.code not in SYSMON.get(category, ()):
                    return None
                kind = event.data.get("eventtype", [""])[0]
                if category == "registry_add" and not kind.startswith("Create"):
                    return None
                if category == "registry_delete" and not kind.startswith("Delete"):
                    return None
                return event.data
            if category == "process_creation" and hasattr(event, "process"):
                return event.process
            if event.code == POWERSHELL.get(category) and "PowerShell" in (event.channel or ""):
                return event.data
            if event.code == CLASSIC.get(category) and event.channel == "Windows PowerShell":
                return event.data
            return None
        return of_category
    if not service:
        return lambda event: event.data
    channel = re.compile(_regex(CHANNELS[service]))
    return lambda event: event.data if channel.fullmatch(event.channel or "") else None


# ---- values


def _regex(text: str) -> str:
    r"""Sigma's wildcards as a regular expression: \*, \? and \\ are themselves."""
    out = re.sub(
        r"\\([*?\\])|([*?])|(.)",
        lambda m: re.escape(m[1]) if m[1] else {"*": ".*", "?": "."}[m[2]] if m[2]
        else re.escape(m[3]),
        text, flags=re.S,
    )
    return out


def _offsets(data: bytes) -> list[str]:
    """What base64 has in common whatever stands before and behind."""
    found = []
    for shift in range(3):
        texts = [
            base64.b64encode(before * shift + data + behind).decode()
            for before in (b"\0", b"\xff", b"a") for behind in (b"\0\0\0", b"\xff\xff\xff", b"abc")
        ]
        same = [len(set(chars)) == 1 for chars in zip(*texts, strict=True)]
        first = same.index(True)
        length = next((i for i, one in enumerate(same[first:]) if not one), len(same) - first)
        found.append(texts[0][first : first + length])
    return found


def _one(modifiers: list[str], value: Any, fields: Callable[[], Values]) -> Callable[[str], bool]:
    if "re" in modifiers:
        flags = sum({"i": re.I, "m": re.M, "s": re.S}[m] for m in modifiers if m in "ims")
        compiled = re.compile(value, flags)
        return lambda text: compiled.search(text) is not None
    if "cidr" in modifiers:
        network = ipaddress.ip_network(value, strict=False)

        def inside(text: str) -> bool:
            try:
                return ipaddress.ip_address(text) in network
            except ValueError:
                return False
        return inside
    for name, holds in (("gte", float.__ge__), ("gt", float.__gt__), ("lte", float.__le__),
                        ("lt", float.__lt__)):
        if name in modifiers:
            def compare(text: str, holds: Callable[[float, float], bool] = holds) -> bool:
                try:
                    return holds(float(text), float(value))
                except ValueError:
                    return False
            return compare
    if "fieldref" in modifiers:
        return lambda text: text.lower() in [
            other.lower() for other in fields().get(value.lower(), [])
        ]
    texts = [str(value).lower() if isinstance(value, bool) else str(value)]
    for modifier in modifiers:
        if modifier in ("wide", "utf16le"):
            texts = [text.encode("utf-16-le").decode("latin-1") for text in texts]
        elif modifier == "base64":
            texts = [base64.b64encode(text.encode("latin-1")).decode() for text in texts]
        elif modifier == "base64offset":
            texts = [made for text in texts for made in _offsets(text.encode("latin-1"))]
    made = [_regex(text) for text in texts]
    if "windash" in modifiers:
        dashes = "[-/\N{EN DASH}\N{EM DASH}\N{HORIZONTAL BAR}]"
        made = [re.sub(r"(?<!\w)(\\-|/)(?=\w)", dashes, text) for text in made]
    if "contains" in modifiers:
        made = [f".*{text}.*" for text in made]
    if "startswith" in modifiers:
        made = [f"{text}.*" for text in made]
    if "endswith" in modifiers:
        made = [f".*{text}" for text in made]
    whole = re.compile("|".join(made), re.S if "cased" in modifiers else re.S | re.I)
    return lambda text: whole.fullmatch(text) is not None


def _item(key: str, given: Any) -> Callable[[Event, Values], bool]:
    name, *modifiers = key.split("|")
    name = name.lower().replace("_", "") if name == "Feature_Name" else name.lower()
    now: list[Values] = [{}]
    if "exists" in modifiers:
        return lambda event, values: (name in values) is bool(given)
    if not name:
        modifiers = [*modifiers, "contains"]
    listed = given if isinstance(given, list) else [given]
    tests = [None if one is None else _one(modifiers, one, lambda: now[0]) for one in listed]
    join = all if "all" in modifiers else any

    def matches(event: Event, values: Values) -> bool:
        now[0] = values
        texts = values.get(name) if name else [event.everything]
        # Data without a name is one text: what contains it does not say in which.
        texts = ["\n".join(texts)] if name == "data" and texts else texts
        return join(
            not texts if test is None else any(map(test, texts or ())) for test in tests
        )
    return matches


def _search(given: Any) -> Callable[[Event, Values], bool]:
    if isinstance(given, dict):
        parts = [_item(key, value) for key, value in given.items()]
        return lambda event, values: all(part(event, values) for part in parts)
    parts = [
        _search(one) if isinstance(one, dict) else _item("", one)
        for one in (given if isinstance(given, list) else [given])
    ]
    return lambda event, values: any(part(event, values) for part in parts)


def compiled(rule: Mapping[str, Any]) -> Callable[[Event, Values], bool]:
    """The rule as a function of an event and its fields."""
    searches = {
        name: _search(value) for name, value in rule["detection"].items()
        if name not in ("condition", "timeframe")
    }

    def some(match: re.Match[str]) -> str:
        glob = match[2].replace("*", ".*")
        names = [name for name in searches if
                 (not name.startswith("_") if match[2] == "them" else re.fullmatch(glob, name))]
        word = "all" if match[1] == "all" else "any"
        return f" {word}(S(n) for n in {names!r}) "

    def python(condition: str) -> str:
        found = re.sub(r"\b(1|any|all) of ([\w*]+)", some, condition)
        # What is left beside Python's own words and what stands in quotes is a search.
        return re.sub(
            r"'[^']*'|\b(?!(?:and|or|not|all|any|for|in|n|S)\b)[A-Za-z_]\w*",
            lambda m: m[0] if m[0].startswith("'") else f"S({m[0]!r})", found,
        )

    conditions = rule["detection"]["condition"]
    listed = conditions if isinstance(conditions, list) else [conditions]
    code = compile(" or ".join(f"({python(one)})" for one in listed), rule["title"], "eval")

    def matches(event: Event, values: Values) -> bool:
        return bool(eval(code, {"S": lambda name: searches[name](event, values)}))
    return matches


def hits(
    rules: list[Mapping[str, Any]], events: list[Event]
) -> Iterator[tuple[Mapping[str, Any], Event]]:
    """Every (rule, event) that fit."""
    groups: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for rule in rules:
        source = rule["logsource"]
        groups.setdefault((source.get("category", ""), source.get("service", "")), []).append(rule)
    for members in groups.values():
        own = applies(members[0]["logsource"])
        seen = [(event, values) for event in events if (values := own(event)) is not None]
        for rule in members:
            test = compiled(rule)
            for event, values in seen:
                if test(event, values):
                    yield rule, event
