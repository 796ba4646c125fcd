"""JA3, JA3S and JA4 beside what nDPI and Arkime say of the same flows."""

import json
import re
from pathlib import Path
from typing import Any

from tests.zeek_compare import tables

FLOW = re.compile(r"\t(?:TCP|UDP) (\[?[\w.:]+\]?):(\d+) <?->? (\[?[\w.:]+\]?):(\d+) ")
# nDPI's JA4 differs from FoxIO's description in two places, which are left out: it writes d also
# where no name is asked for, and another second character for long names of protocols.


def ends(match: re.Match[str]) -> tuple[str, int, str, int]:
    return match[1].strip("[]"), int(match[2]), match[3].strip("[]"), int(match[4])


def ndpi(path: Path) -> dict[Any, dict[str, str]]:
    found = {}
    for line in path.read_text("utf-8", "replace").splitlines():
        match = FLOW.search(line)
        if match:
            found[ends(match)] = dict(re.findall(r"\[(JA3C|JA3S|JA4): ([0-9a-z_]+)", line))
    return found


def test_ndpi(shared: Path) -> None:
    same: dict[str, int] = {"JA3C": 0, "JA3S": 0, "JA4": 0}
    wrong: list[str] = []
    for out in sorted((shared / "oracles/ndpi/result").glob("*.out")):
        said = ndpi(out)
        capture = shared / "oracles/ndpi/pcap" / out.stem
        if not any(said.values()) or not capture.is_file():
            continue
        own = {
            (r["src_ip"], r["src_port"], r["dst_ip"], r["dst_port"]): r
            for r in tables(capture.read_bytes()).get("tls_activity", [])
        }
        for key, theirs in said.items():
            row = own.get(key) or own.get((key[2], key[3], key[0], key[1]))
            if row is None:
                continue
            for kind, column in (("JA3C", "ja3"), ("JA3S", "ja3s"), ("JA4", "ja4")):
                there, here = theirs.get(kind), row.get(column)
                if there is None or here is None:
                    continue
                if kind == "JA4":
                    there = there[:3] + there[4:8] + there[10:]
                    here = here[:3] + here[4:8] + here[10:]
                if there == here:
                    same[kind] += 1
                else:
                    wrong.append(f"{out.name} {key} {kind} {there} {here}")
    assert not wrong, wrong
    assert min(same.values()) >= 10, same


def values(node: Any, name: str) -> list[Any]:
    if isinstance(node, dict):
        return [v for k, each in node.items()
                for v in ([each] if k == name else values(each, name))]
    if isinstance(node, list):
        return [v for each in node for v in values(each, name)]
    return []


def test_arkime(shared: Path) -> None:
    compared = 0
    for path in sorted((shared / "oracles/arkime").glob("*.test")):
        capture = path.with_suffix(".pcap")
        said = json.loads(path.read_text("utf-8", "replace"))
        wanted = {
            name: {
                v for each in values(said, name)
                for v in (each if isinstance(each, list) else [each])
            }
            for name in ("ja3", "ja3s")
        }
        if not capture.is_file() or not any(wanted.values()):
            continue
        rows = tables(capture.read_bytes()).get("tls_activity", [])
        for column, theirs in wanted.items():
            own = {row[column] for row in rows if row.get(column)}
            assert own <= theirs or not theirs, (path.name, column, own - theirs)
            compared += len(own & theirs)
    assert compared >= 5
