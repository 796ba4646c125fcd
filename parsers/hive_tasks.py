"""Scheduled tasks as the task scheduler's cache in SOFTWARE has them (since Windows Vista).

Layout of Actions and DynamicInfo: "Task Cache" (libyal, winreg-kb). A task whose entry in the
tree has no security descriptor is hidden from every tool of Windows; that is noted.
"""

import struct
from collections.abc import Iterator

from tracelake.parsers.hive_context import Context, filetime_at, us
from tracelake.parsers.hive_keys import Key
from tracelake.parsers.shell_names import guid_text

DEPTH_MOST = 64
ACTIONS_MOST = 64


def task_cache(key: Key, out: Context) -> None:
    """Every task, with what its place in the tree says."""
    tree = key.subkey("Tree")
    placed: dict[str, Key] = {}
    pending = [(tree, 0)] if tree is not None else []
    seen: set[int] = set()
    while pending:
        folder, depth = pending.pop()
        if folder.offset in seen or depth > DEPTH_MOST:
            continue
        seen.add(folder.offset)
        uid = folder.text("Id")
        if uid:
            placed[uid.lower()] = folder
        pending.extend((child, depth + 1) for child in folder.subkeys())
    tasks = key.subkey("Tasks")
    for task in tasks.subkeys() if tasks is not None else []:
        _task(task, placed.pop(task.name.lower(), None), tree is not None, out)
    for uid, folder in placed.items():
        path = folder.path.split("\\TaskCache\\Tree", 1)[-1]
        out.job(folder, time=folder.modified, time_desc="key_modified", job_name=path,
                unmapped={"id": uid, "note": "in the tree only"})


def _task(task: Key, place: Key | None, has_tree: bool, out: Context) -> None:
    info = task.data("DynamicInfo")
    created, ran = filetime_at(info, 4), filetime_at(info, 12)
    # Three times since Windows 10 1511: the last is when it ended.
    ended = filetime_at(info, 28) if len(info) >= 36 else None
    result = struct.unpack_from("<I", info, 24)[0] if len(info) >= 28 else None
    context = ""
    actions: list[str] = []
    try:
        context, actions = _actions(task.data("Actions"))
    except (struct.error, ValueError):
        actions = [f"[not understood] {task.data('Actions').hex()[:2048]}"]
    notes = {
        "id": task.name, "uri": task.text("URI"), "author": task.text("Author"),
        "source": task.text("Source"), "date": task.text("Date"),
        "ended_us": str(us(ended) or ""),
        "hash": task.data("Hash").hex(), "triggers": task.data("Triggers").hex()[:4096],
        "actions": "\n".join(actions) if len(actions) > 1 else "",
        "version": task.text("Version"),
    }
    if has_tree:
        if place is None:
            notes["hidden"] = "not in the tree"
        elif place.value("SD") is None:
            notes["hidden"] = "no security descriptor"
        elif place.number("Index") == 0:
            notes["hidden"] = "index 0"
    path = task.text("Path") or (
        place.path.split("\\TaskCache\\Tree", 1)[-1] if place is not None else "")
    out.job(
        task, time=ran or created or task.modified,
        time_desc="last_run" if ran else "created" if created else "key_modified",
        job_name=path or task.name, job_cmd_line="; ".join(actions),
        job_user=context, job_desc=task.text("Description"), job_created_time=us(created),
        job_last_run_time=us(ran), result_code=None if result is None else f"{result:#010x}",
        unmapped=notes,
    )


def _actions(data: bytes) -> tuple[str, list[str]]:
    """(name of the principal, what is run) of an Actions value."""
    if len(data) < 6:
        return "", []
    at = 2
    context, at = _text(data, at)
    found: list[str] = []
    while at + 2 <= len(data) and len(found) < ACTIONS_MOST:
        action, at = _action(data, at)
        found.append(action)
    return context, [text for text in found if text]


def _action(data: bytes, at: int) -> tuple[str, int]:
    magic = struct.unpack_from("<H", data, at)[0]
    _, at = _text(data, at + 2)
    if magic == 0x6666:
        command, at = _text(data, at)
        arguments, at = _text(data, at)
        _, at = _text(data, at)
        version = struct.unpack_from("<H", data, 0)[0]
        return f"{command} {arguments}".strip(), at + (2 if version >= 3 else 0)
    if magic == 0x7777:
        if at + 16 > len(data):
            raise ValueError("a COM handler is cut")
        clsid = guid_text(data[at : at + 16])
        text, at = _text(data, at + 16)
        return f"COM {{{clsid}}} {text}".strip(), at
    if magic in (0x8888, 0x9999):
        # A mail or a message: all of its parts are texts.
        texts = list(_rest(data, at))
        return ("mail " if magic == 0x8888 else "message ") + " | ".join(texts), len(data)
    raise ValueError(f"an action of type {magic:#x}")


def _rest(data: bytes, at: int) -> Iterator[str]:
    while at + 4 <= len(data):
        length = struct.unpack_from("<I", data, at)[0]
        if at + 4 + length > len(data):
            return
        text, at = _text(data, at)
        yield text


def _text(data: bytes, at: int) -> tuple[str, int]:
    length = struct.unpack_from("<I", data, at)[0]
    if at + 4 + length > len(data):
        raise ValueError("a text is cut")
    return data[at + 4 : at + 4 + length].decode("utf-16-le", "replace"), at + 4 + length
