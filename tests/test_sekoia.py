"""Fields that the Sekoia intake formats' expectations hold for EDR events are in our columns.

Each sample is a vendor's record as it was received, and what another normalizer made of it. Which
column answers for which field stands in `sekoia_fields.py`. What stands only in `unmapped` counts
as not found.

    python -m tests.test_sekoia [FORMAT]        # found, expected and what was missed, per format
"""

import ipaddress
import json
import re
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.conftest import SHARED
from tests.json_lines import read
from tests.sekoia_fields import FIELDS, LEFT_OUT, OWN, THEIRS, WORDS
from tracelake.normalize import mapping, shapes

FORMATS = {
    "crowdstrike-telemetry": "CrowdStrike", "crowdstrike_falcon": "CrowdStrike",
    "sentinelone": "SentinelOne", "cloud_funnel2.0": "SentinelOne",
    "harfanglab": "HarfangLab", "microsoft-365-defender": "Defender",
}
# Share of the ECS fields that must be found.
WANTED = {"CrowdStrike": 0.97, "SentinelOne": 0.95, "HarfangLab": 0.96, "Defender": 0.97}

Row = dict[str, Any]


def flat(value: dict[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    """(name with dots, value) of everything expected."""
    for key, item in value.items():
        name = f"{path}.{key}" if path else key
        if isinstance(item, dict):
            yield from flat(item, name)
        else:
            yield name, item


def left_out(name: str) -> str | None:
    """Why a field is not counted; None where it is."""
    for key, why in LEFT_OUT.items():
        if name == key or (key.endswith(".") and name.startswith(key)):
            return why
        if "." not in key and name.endswith(f".{key}"):
            return why
    return None


# --- how values are compared ------------------------------------------------------------------


def text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def moment(value: Any) -> datetime | None:
    if isinstance(value, datetime):
        return value.astimezone(UTC)
    if isinstance(value, int | float) or re.fullmatch(r"\d{9,19}(\.\d+)?", str(value)):
        number = float(value)
        while number > 1e11:
            number /= 1000
        return datetime.fromtimestamp(number, UTC)
    try:
        made = datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", str(value)))
    except ValueError:
        return None
    return made if made.tzinfo else made.replace(tzinfo=UTC)


def address(value: Any) -> str:
    try:
        found = ipaddress.ip_address(text(value))
    except ValueError:
        return text(value).lower()
    mapped = getattr(found, "ipv4_mapped", None)
    return str(mapped or found)


def parts(path: Any) -> tuple[str, str]:
    """Folder and name of a path."""
    found = re.fullmatch(r"(?s)(.*)[\\/]([^\\/]*)", text(path))
    return (found[1], found[2]) if found else ("", text(path))


def key_of(path: str) -> str:
    """A registry path below its hive, without the names that loggers give to the hive."""
    return re.sub(r"(?i)^\\?(REGISTRY\\)?", "", path)


def same(kind: str, wanted: Any, row: Row, columns: tuple[str, ...]) -> bool:
    """Whether one of the columns says what is wanted."""
    if kind == "account":
        return any(
            text(wanted).lower() in (
                text(row.get(f"{user}_name")).lower(),
                f"{row.get(f'{user}_domain')}\\{row.get(f'{user}_name')}".lower(),
            )
            for user in columns
        )
    if kind == "key":
        key = key_of(row.get("reg_key_path") or "")
        whole = "\\".join([key, *(row.get(name) or "" for name in columns[1:])]).rstrip("\\")
        return key_of(text(wanted)) in (whole, whole.partition("\\")[2])
    return any(
        one(kind, wanted, row[column]) for column in columns if row.get(column) is not None
    )


def one(kind: str, wanted: Any, ours: Any) -> bool:
    """Whether a column's value says what is wanted."""
    if kind in WORDS:
        return bool(WORDS[kind].get(text(wanted).lower()) == ours)
    if kind == "list":
        items = wanted if isinstance(wanted, list) else [wanted]
        return sorted(map(text, items)) == sorted(map(text, ours))
    if kind == "item":
        items = wanted if isinstance(wanted, list) else [wanted]
        theirs = ours if isinstance(ours, list) else [ours]
        return set(map(text, items)) <= set(map(text, theirs))
    if kind == "subset":
        return {address(item) for item in wanted} <= {address(item) for item in ours}
    if kind == "answers":
        return {address(item["name"]) for item in wanted} == {address(item) for item in ours}
    if kind == "groups":
        return {json.loads(item)["id"] for item in wanted} == set(ours)
    if kind == "roles":
        return text(wanted) == ",".join(ours)
    if kind == "args":
        # Some formats name the words in order, some in the alphabet's, some without the first.
        have = "".join(text(ours).split()).replace('"', "")
        return all("".join(text(word).split()).replace('"', "") in have for word in wanted)
    if isinstance(wanted, list):
        return len(wanted) == 1 and one(kind, wanted[0], ours)
    if kind == "time":
        a, b = moment(wanted), moment(ours)
        # Sekoia's times of some formats end at the millisecond.
        return a is not None and b is not None and abs((a - b).total_seconds()) < 0.001
    if kind == "ip":
        return address(wanted) == address(ours)
    if kind == "fold":
        return text(wanted).lower() == text(ours).lower()
    if kind == "name":
        return text(wanted) in (text(ours), parts(ours)[1])
    if kind == "folder":
        return text(wanted).rstrip("\\/") in (text(ours).rstrip("\\/"), parts(ours)[0])
    if kind == "maker":
        return text(ours).lower().startswith(text(wanted).lower())
    if kind == "platform":
        return text(ours).removesuffix("os").startswith(text(wanted)[:3]) or ours == wanted
    if kind == "hive":
        return key_of(text(ours)).startswith(text(wanted))
    if kind.startswith("url_"):
        return text(wanted) == text(ours) or text(wanted) in url_part(kind, text(ours))
    return text(wanted) == text(ours)


def url_part(kind: str, url: str) -> tuple[str, ...]:
    try:
        found = urlsplit(url)
        port = found.port or {"https": 443, "http": 80}.get(found.scheme)
    except ValueError:
        return ()
    return {
        "url_path": (found.path,), "url_port": (str(port),), "url_query": (found.query,),
        "url_scheme": (found.scheme,),
    }[kind]


# --- one sample -------------------------------------------------------------------------------


def filled_from(provider: str, member: str) -> set[str]:
    """Columns that a vendor's mapping takes a member of the record to."""
    found = {
        column
        for shape in shapes.load() if shape.vendor == provider
        for column, sources in shape.system.items() if any(s.field == member for s in sources)
    }
    for event in mapping.load().sections:
        if event.provider == provider:
            for column, sources in event.columns.items():
                if any(source.field == member for source in sources):
                    found.add(column)
    return found


def is_own(name: str) -> bool:
    """Whether a field is the vendor's in Sekoia's format, and not one of ECS."""
    return name in THEIRS or name.split(".")[0] in {
        "action", "crowdstrike", "deepvisibility", "harfanglab", "microsoft", "sentinelone",
    }


def found(name: str, wanted: Any, row: Row) -> bool:
    """Whether a row has what is expected of it under a name."""
    if name in FIELDS and same(FIELDS[name][0], wanted, row, FIELDS[name][1]):
        return True
    # Who started a process is its parent.
    of_process = name.replace("process.parent.", "process.") if row.get("proc_path") else name
    if of_process != name and of_process in FIELDS:
        kind, columns = FIELDS[of_process]
        if same(kind, wanted, row, tuple(c for c in columns if c.startswith("actor_"))):
            return True
    if name in THEIRS and same(THEIRS[name][0], wanted, row, THEIRS[name][1]):
        return True
    for prefix, folders in OWN.items():
        if name.startswith(f"{prefix}."):
            for folder in folders:
                member = folder + name.removeprefix(f"{prefix}.")
                columns = tuple(filled_from(row.get("log_provider", ""), member))
                for kind in ("text", "time", "fold", "item", "account"):
                    if kind != "account" and same(kind, wanted, row, columns):
                        return True
                names = tuple(c.removesuffix("_name") for c in columns if c.endswith("user_name"))
                if same("account", wanted, row, names):
                    return True
    return False


@dataclass
class Score:
    """What was found of what was expected."""

    standard: Counter[bool] = field(default_factory=Counter)
    own: Counter[bool] = field(default_factory=Counter)
    missed: list[str] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)

    @property
    def all(self) -> Counter[bool]:
        return self.standard + self.own

    def add(self, other: "Score") -> None:
        self.standard += other.standard
        self.own += other.own
        self.missed += other.missed
        self.left_out += other.left_out


def share(counts: Counter[bool]) -> float:
    return counts[True] / max(1, counts.total())


def score(path: Path) -> Score:
    """Compares one sample. Every record must be one row."""
    sample = json.loads(path.read_text("utf-8"))
    rows, account = read(sample["input"]["message"].encode())
    assert (account.damaged, len(rows)) == (0, 1), path.name
    table, row = rows[0]
    result = Score()
    for name, wanted in flat(sample["expected"]):
        why = left_out(name)
        if why is not None:
            result.left_out[why] += 1
            continue
        hit = found(name, wanted, row)
        (result.own if is_own(name) else result.standard)[hit] += 1
        if not hit:
            result.missed.append(f"{path.stem} [{table}] {name} = {text(wanted)[:90]}")
    return result


def of_format(folder: Path) -> Score:
    total = Score()
    for path in sorted(folder.glob("*.json")):
        total.add(score(path))
    return total


# --- tests ------------------------------------------------------------------------------------


@pytest.mark.parametrize("vendor", sorted(set(FORMATS.values())))
def test_expected_fields_are_in_columns(vendor: str, shared: Path) -> None:
    total = Score()
    for name, of in FORMATS.items():
        if of == vendor:
            total.add(of_format(shared / "oracles" / "sekoia-edr" / name))
    assert total.standard.total() > 50
    misses = "\n".join(total.missed)
    assert share(total.standard) >= WANTED[vendor], f"{vendor}: {dict(total.standard)}\n{misses}"


def test_what_is_compared_can_fail() -> None:
    row = {"src_ip": "::1", "time": datetime(2024, 1, 1, tzinfo=UTC), "direction_id": 1}
    assert same("ip", "0:0:0:0:0:0:0:1", row, ("src_ip",))
    assert not same("ip", "::2", row, ("src_ip",))
    assert same("time", "2024-01-01T00:00:00Z", row, ("time",))
    assert not same("time", "2024-01-01T00:00:01Z", row, ("time",))
    assert same("direction", "inbound", row, ("direction_id",))
    assert not same("direction", "outbound", row, ("direction_id",))
    assert not found("source.port", 53, row)
    assert left_out("url.registered_domain")
    assert not left_out("url.domain")


def main(only: str = "") -> None:
    for name in FORMATS:
        if only in name:
            total = of_format(SHARED / "oracles" / "sekoia-edr" / name)
            every = total.all
            print(
                f"{name}: {total.standard[True]} of {total.standard.total()} ECS fields "
                f"({share(total.standard):.1%}), with the vendor's own {every[True]} of "
                f"{every.total()} ({share(every):.1%}); left out {total.left_out.total()}"
            )
            for line in total.missed:
                print(f"    {line}")


if __name__ == "__main__":
    main(*sys.argv[1:])
