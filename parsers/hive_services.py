"""Services and drivers, and what Windows starts by a value of the registry."""

from tracelake.parsers.hive_context import (
    SERVICE,
    STARTUP,
    Context,
    filetime_at,
    program_of,
)
from tracelake.parsers.hive_keys import Key

_TYPES = {1: "kernel driver", 2: "file system driver", 4: "adapter", 8: "recognizer driver",
          0x10: "own process", 0x20: "share process", 0x50: "user own process template",
          0x60: "user share process template", 0xD0: "user own process instance",
          0xE0: "user share process instance"}
_STARTS = {0: "boot", 1: "system", 2: "auto", 3: "demand", 4: "disabled"}


def service(key: Key, out: Context) -> None:
    """A service or driver as it is configured."""
    kind, start = key.number("Type"), key.number("Start")
    image = key.text("ImagePath")
    if kind is None and start is None and not image:
        return
    parameters = key.subkey("Parameters")
    dll = parameters.text("ServiceDll") if parameters is not None else ""
    dll = dll or key.text("ServiceDll")
    trigger = key.subkey("TriggerInfo")
    type_text = "" if kind is None else _TYPES.get(kind & ~0x100, f"{kind:#x}")
    start_text = "" if start is None else _STARTS.get(start, str(start))
    if start == 2 and key.number("DelayedAutostart"):
        start_text = "delayed auto"
    account = key.text("ObjectName")
    detail = ", ".join(part for part in (
        type_text, f"start {start_text}" if start_text else "",
        f"as {account}" if account else "", f"dll {dll}" if dll else "") if part)
    out.trace(
        "service", key, class_uid=SERVICE, time=key.modified, time_desc="key_modified",
        subject_name=key.name, subject_path=dll or program_of(image), cmd_line=image,
        detail=detail,
        unmapped={
            "display_name": key.text("DisplayName"), "description": key.text("Description"),
            "type": type_text, "start": start_text, "account": account, "service_dll": dll,
            "group": key.text("Group"), "depends_on": key.text("DependOnService"),
            "failure_command": key.text("FailureCommand"),
            "failure_actions": key.data("FailureActions").hex(),
            "required_privileges": key.text("RequiredPrivileges"),
            "triggers": str(len(trigger.subkeys())) if trigger is not None else "",
        },
    )


def setting(what: str, names: tuple[str, ...], key: Key, out: Context) -> None:
    """Values that say how the host or a program is set.

    Args:
        what: kind of the row.
        names: of the values in lower case; "*" for all.
    """
    for value in key.values():
        name = value.name.lower() or "(default)"
        if names == ("*",) or name in names:
            out.trace(
                what, key, value, time=key.modified, time_desc="key_modified",
                subject_name=value.name or "(Default)",
                detail=value.text or value.data.hex()[:4096],
                subject_path=value.name if "\\" in value.name else None,
            )


def startup_approved(key: Key, out: Context) -> None:
    """Autostarts that the task manager lists, and since when those are off that are."""
    for value in key.values():
        if value.kind != 3 or len(value.data) < 12:
            continue
        is_off = bool(value.data[0] & 1)
        when = filetime_at(value.data, 4)
        out.trace("startup_approved", key, value, class_uid=STARTUP, time=when,
                  time_desc="disabled", subject_name=value.name,
                  detail=f"{key.name}, {'off' if is_off else 'on'}")


def autostart(what: str, names: tuple[str, ...], key: Key, out: Context) -> None:
    """Values that name what is started.

    Args:
        what: kind of the row.
        names: of the values in lower case; "*" for all that have text.
    """
    for value in key.values():
        name = value.name.lower() or "(default)"
        if names != ("*",) and name not in names:
            continue
        is_text = value.kind in (1, 2, 4, 6, 7, 11)
        for text in value.texts if is_text else [value.data.hex()[:4096]]:
            if not text.strip():
                continue
            shown = value.name or "(Default)"
            # Of keys by the name of what they are for, that name says more than the value's.
            subject = shown if names == ("*",) else f"{key.name}\\{shown}"
            out.trace(
                what, key, value, class_uid=STARTUP, time=key.modified, time_desc="key_modified",
                subject_name=subject, subject_path=program_of(text), cmd_line=text,
            )
