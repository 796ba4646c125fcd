"""A mapping file proposed for a sample of records, in the form of the vendors' files.

It is a beginning: every member is named with how many records have it and what it holds; those
whose name and texts tell what they are, are mapped; the others stand there as comments to be
finished.
"""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

from tracelake.guess import (
    CODE,
    SYSTEM,
    TIMES,
    Seen,
    column_of,
    how_timed,
    plain,
    table_of,
)
from tracelake.normalize.tables import ALL

Record = Mapping[str, str]

MOST_CODES = 60
MOST_HAS = 5
ACTIVITIES = {table.name: table.class_uid for table in ALL}
MAKER = re.compile("vendor|product|provider|device.?type", re.IGNORECASE)
SPREAD = re.compile(r"\[\d+\]$")


def quoted(text: str) -> str:
    """A text as TOML writes it."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def look(records: Iterable[Record]) -> dict[str, Seen]:
    """What the records hold, by name, in the order in which names come."""
    found: dict[str, Seen] = {}
    for record in records:
        for name, text in record.items():
            if not SPREAD.search(name):
                found.setdefault(name, Seen(name)).add(text)
    return found


def _codes(seen: Mapping[str, Seen], total: int) -> list[Seen]:
    """Members that may say what kind of event a record is, the likeliest first."""
    fit = [
        one for one in seen.values()
        if len(one.values) <= MOST_CODES and one.count * 10 >= total * 9
        and one.form in ("", "number") and not one.name.startswith("syslog.")
        and all(len(text) <= 64 for text in one.values)
    ]  # fmt: skip

    def score(one: Seen) -> tuple[int, int]:
        last = one.name.rpartition(".")[2]
        if re.search(r"event.?(?:type|id|code|name)$|action.?type|^operation", last, re.IGNORECASE):
            return -2, -len(one.values)
        return -int(bool(CODE.search(last)) and len(one.values) > 1), -len(one.values)

    return sorted((one for one in fit if score(one)[0]), key=score)


def _has(seen: Mapping[str, Seen], total: int, most: int) -> list[str]:
    """Members that tell records of this kind from others: those that all have, and that say who
    wrote them."""
    always = [
        one for one in seen.values()
        if one.count == total and not one.name.startswith(("syslog.", "column ")) and "=" not in
        one.name and "|" not in one.name
    ]  # fmt: skip
    said = [
        one for one in always
        if len(one.values) == 1 and MAKER.search(one.name)
    ]
    named = [f"{one.name}={next(iter(one.values))}" for one in said
             if "|" not in next(iter(one.values))]
    # Long names are rarer than short ones.
    others = sorted((one for one in always if one not in said), key=lambda one: -len(one.name))
    if not always:
        # Records of several kinds: the member that most of them have, for the analyst to choose.
        others = sorted(
            (one for one in seen.values() if not one.name.startswith(("syslog.", "column "))),
            key=lambda one: -one.count,
        )[:1]
    return (named[:2] + [one.name for one in others])[:most]


def _times(seen: Mapping[str, Seen]) -> list[str]:
    """Clocks, the likeliest first."""
    found = []
    for one in seen.values():
        how = how_timed(one)
        if how and (TIMES.search(one.name) or how != " zone"):
            found.append((one, how.strip()))
    dates = [one for one in seen.values() if one.form == "date"]
    clocks = [one for one in seen.values() if one.form == "clock"]
    joined = []
    if dates and clocks:
        joined.append(quoted(f"{dates[0].name} + {clocks[0].name} | written"))

    def rank(item: tuple[Seen, str]) -> tuple[int, int]:
        name = plain(item[0].name)
        late = any(word in name for word in ("receiv", "ingest", "index", "modif", "updat", "end"))
        return (2 if name.startswith("syslog") else int(late), -item[0].count)

    found.sort(key=rank)
    return [quoted(f"{one.name} | {how}") for one, how in found[:2]] + joined + [
        quoted(f"{one.name} | {how}") for one, how in found[2:4]
    ]


def _system(seen: Mapping[str, Seen], taken: set[str]) -> dict[str, str]:
    """Columns that every table has."""
    found: dict[str, str] = {}
    for column, names in SYSTEM.items():
        for wanted in names.split():
            for one in seen.values():
                if wanted in (plain(one.name), plain(one.name.rpartition(".")[2])) and (
                    one.name not in taken and column not in found and one.form not in ("ip", "list")
                ):
                    found[column] = one.name
                    taken.add(one.name)
    return found


def _columns(
    table: str, seen: Sequence[Seen], taken: set[str]
) -> dict[str, list[tuple[Seen, str]]]:
    """The members of each column of a table."""
    found: dict[str, list[tuple[Seen, str]]] = defaultdict(list)
    for one in sorted(seen, key=lambda one: -one.count):
        column, how = column_of(table, one)
        if column and one.name not in taken:
            found[column].append((one, how))
    return dict(sorted(found.items()))


def _spec(one: Seen, how: str) -> str:
    return quoted(f"{one.name} | {how}" if how else one.name)


def _note(one: Seen, total: int) -> str:
    share = f"{one.count * 100 // total} %" if one.count < total else "all"
    more = "+" if len(one.values) >= 2000 else ""
    return f"{share}, {len(one.values)}{more} values: {one.examples()}"


def _section(
    title: str, codes: Sequence[str], table: str, seen: Sequence[Seen], total: int, taken: set[str]
) -> list[str]:
    """A section of the file, its members as comments beside the columns."""
    head = quoted(title)
    lines = ["", f"[{head}]"]
    if codes:
        lines.append(f"events = [{', '.join(map(quoted, codes))}]")
    if not table:
        lines += ["# None of the tables has columns for what these records hold: take one of",
                  "# docs/tables.md, or leave them complete in raw_event.", 'table = "raw_event"']
        rest = [one for one in seen if one.name not in taken]
        return lines + [f"# {quoted(one.name)}: {_note(one, total)}" for one in rest]
    lines += [f"table = {quoted(table)}",
              f"activity_id = 99        # TODO: what was done; see docs/tables.md, {table}",
              '# message = "{user_name} did {status_detail}"     # one line of what a row says',
              f"[{head}.columns]"]
    columns = _columns(table, seen, taken)
    done = set(taken)
    for column, members in columns.items():
        for one, _ in members:
            lines.append(f"# {one.name}: {_note(one, total)}")
            done.add(one.name)
        specs = [_spec(one, how) for one, how in members]
        lines.append(f"{column} = {specs[0] if len(specs) == 1 else '[' + ', '.join(specs) + ']'}")
        if members[0][1] == "account" and len(members) == 1 and column == "user_name" and (
            "user_domain" not in columns
        ):
            lines.append(f"user_domain = {quoted(members[0][0].name + ' | domain')}")
    rest = [one for one in seen if one.name not in done]
    if rest:
        lines += ["", "# Not mapped: these stay in `unmapped` under their own names. Columns of",
                  f"# {table}: docs/tables.md."]
        lines += [f"# ... = {quoted(one.name)}    # {_note(one, total)}" for one in rest]
    return lines


def propose(records: Sequence[Record], provider: str, least: int, about: Sequence[str]) -> str:
    """The text of a mapping file.

    Args:
        records: what each record says, by name, as text.
        provider: who writes them.
        least: members that the shape must ask for, to come before the one that takes them now.
        about: lines for its top.
    """
    total = len(records)
    seen = look(records)
    codes = _codes(seen, total)
    code = codes[0] if codes else None
    times = _times(seen)
    taken = {code.name} if code else set()
    for time in times:
        taken |= set(json.loads(time).partition(" | ")[0].split(" + "))
    taken |= {name for name in seen if name.startswith("syslog.")}
    system = _system(seen, taken - {"syslog.host"})
    taken |= set(system.values())
    lines = [f"# {line}".rstrip() for line in about]
    lines += ["", f"provider = {quoted(provider)}", "", "[[shapes]]",
              "# A record is of this file where it has all of these members (`name=text`: with",
              "# that text). Others must not have them all."]
    if not any(one.count == total for one in seen.values()):
        lines.append("# TODO: the sample holds records of several kinds, and no member is in all.")
    has = _has(seen, total, max(MOST_HAS, least))
    lines.append(f"has = [{', '.join(map(quoted, has))}]")
    if code:
        lines += ["# What kind of event it is; sections below are named after its values."]
        lines.append(f"event = {quoted(code.name)}")
        lines += [f"# or: event = {quoted(one.name)}    # {one.examples()}" for one in codes[1:4]]
    else:
        lines.append("# No member was found that tells kinds of events apart.")
    texts = [one.name for one in seen.values() if one.form == "object"]
    if texts:
        lines += ["# These hold JSON as text: their members get names of their own.",
                  f"json_text = [{', '.join(map(quoted, texts))}]"]
    if times:
        lines += ["# The first of these that is a time is the row's.",
                  f"time = [{', '.join(times)}]"]
    else:
        lines += ["# TODO: no member looks like a time. Clocks: docs/logs.md.",
                  "# time = \"...\""]
    if system:
        lines.append("[shapes.system]")
        lines += [f"{column} = {quoted(name)}    # {_note(seen[name], total)}"
                  for column, name in system.items()]
    lines += _sections(records, seen, code, total, taken)
    return "\n".join(lines) + "\n"


def _sections(
    records: Sequence[Record], seen: Mapping[str, Seen], code: Seen | None, total: int,
    taken: set[str],
) -> list[str]:
    """A section for each table that events go to; the last is for all others."""
    whole = table_of(one for one in seen.values() if one.name not in taken)
    by_table: dict[str, list[str]] = defaultdict(list)
    counts: Counter[str] = Counter()
    held: dict[str, list[Record]] = defaultdict(list)
    if code is not None:
        for record in records:
            text = record.get(code.name, "")
            counts[text] += 1
            if len(held[text]) < 500:
                held[text].append(record)
        for text, count in counts.most_common(MOST_CODES):
            if text:
                inside = look(held[text])
                table = table_of(one for one in inside.values() if one.name not in taken)
                by_table[table if count > 1 or table == whole else whole].append(text)
    lines: list[str] = []
    for table, texts in sorted(by_table.items(), key=lambda item: item[0] == whole):
        inside = look(record for text in texts for record in held[text])
        told = ", ".join(f"{text} ({counts[text]})" for text in texts[:12])
        if table != whole:
            lines += ["", f"# {told}"]
            lines += _section(table or "others", texts, table, list(inside.values()),
                              sum(len(held[text]) for text in texts), taken)
        elif told:
            lines += ["", f"# All others: {told}"]
    return lines + _section("*", (), whole, list(seen.values()), total, taken)
