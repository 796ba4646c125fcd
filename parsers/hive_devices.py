"""Devices that were connected: USB and other storage, portable devices, volumes, drive letters.

Times of a device are device properties of the group {83da6326-...}: 0x64 installed, 0x65 first
installed, 0x66 last arrival, 0x67 last removal (since Windows 7; the last two since 8).
"""

import re
import struct

from tracelake.parsers.hive_context import Context, When, filetime_at, us
from tracelake.parsers.hive_keys import Key, Value
from tracelake.parsers.shell_names import guid_text

_TIMES = "{83da6326-97a6-4088-9453-a1923f573b29}"
_CLOCKS = (("arrived", 0x66), ("removed", 0x67), ("first_installed", 0x65), ("installed", 0x64))


def usb_device(key: Key, out: Context) -> None:
    """A device below Enum: what it is, its serial number and when it was connected."""
    parts = key.path.split("\\")
    bus = next((p for p in reversed(parts[:-1]) if p.upper() in (
        "USBSTOR", "USB", "SCSI", "WPDBUSENUM", "WPDBUSENUMROOT")), "")
    device = parts[-2]
    times = device_times(key)
    kind, vendor, product, revision = _described(device)
    serial = key.name
    name = key.text("FriendlyName") or _plain(key.text("DeviceDesc")) or product
    when: When = None
    clock = ""
    for label, _ in _CLOCKS:
        if times.get(label) is not None:
            when, clock = times[label], label
            break
    if when is None:
        when, clock = key.modified, "key_modified"
    first = times.get("first_installed") or times.get("installed")
    out.trace(
        "usb_device" if bus != "SCSI" else "scsi_device", key, time=when, time_desc=clock,
        subject_name=name, subject_path=f"{bus}\\{device}\\{serial}", subject_publisher=vendor,
        subject_version=revision, subject_created_time=us(first),
        subject_accessed_time=us(times.get("arrived")), detail=f"serial {serial}",
        unmapped={
            "bus": bus, "kind": kind, "product": product, "serial": serial,
            # Windows makes up a serial number where the device has none: its second character.
            "serial_is_own": str(serial[1:2] != "&").lower(),
            "service": key.text("Service"), "class": key.text("Class"),
            "class_guid": key.text("ClassGUID"), "driver": key.text("Driver"),
            "manufacturer": _plain(key.text("Mfg")), "container_id": key.text("ContainerID"),
            "parent_id_prefix": key.text("ParentIdPrefix"),
            "hardware_ids": key.text("HardwareID"), "location": key.text("LocationInformation"),
        } | {f"{label}_us": str(t[0]) for label, t in times.items() if t is not None},
    )


def device_times(key: Key) -> dict[str, When]:
    """Times of a device by name."""
    found: dict[str, When] = {}
    group = key.subkey(f"Properties\\{_TIMES}")
    if group is None:
        return found
    for child in group.subkeys():
        try:
            number = int(child.name, 16)
        except ValueError:
            continue
        label = next((name for name, n in _CLOCKS if n == number), "")
        if not label:
            continue
        inner = child.subkey("00000000")
        data = child.data("") or (inner.data("Data") if inner is not None else b"")
        when = filetime_at(data, 0)
        if when is not None:
            found[label] = when
    return found


def _plain(text: str) -> str:
    """The text of "@usbstor.inf,%generic_mfg%;Compatible USB device"."""
    return text.rsplit(";", 1)[-1] if text.startswith("@") else text


def _described(device: str) -> tuple[str, str, str, str]:
    """(kind, vendor, product, revision) of "Disk&Ven_SanDisk&Prod_Cruzer&Rev_1.20"."""
    found = re.match(r"(?:(.*?)&)?Ven_(.*?)&Prod_(.*?)(?:&Rev_(.*))?$", device, re.IGNORECASE)
    if found:
        kind, vendor, product, revision = (part or "" for part in found.groups())
        return kind, vendor, product, revision
    found = re.match(r"VID_([0-9A-F]{4})&PID_([0-9A-F]{4})", device, re.IGNORECASE)
    if found:
        return "", f"VID_{found.group(1)}", f"PID_{found.group(2)}", ""
    return "", "", "", ""


def mounted_devices(key: Key, out: Context) -> None:
    """Which volume had which drive letter and GUID."""
    for value in key.values():
        target, notes = _mounted(value)
        found = re.search(r"\{([0-9A-Fa-f-]{36})\}", value.name)
        out.trace("mounted_device", key, value, subject_name=value.name, subject_path=target,
                  volume_uid=found.group(1).lower() if found else None, unmapped=notes)


def _mounted(value: Value) -> tuple[str, dict[str, str]]:
    data = value.data
    if len(data) == 12:
        signature, start = struct.unpack_from("<IQ", data, 0)
        return "", {"disk_signature": f"{signature:08x}", "partition_offset": str(start)}
    if len(data) == 24 and data[:8] == b"DMIO:ID:":
        return "", {"partition_guid": guid_text(data[8:24])}
    if len(data) >= 8 and data[1] == 0:
        return data[: len(data) & ~1].decode("utf-16-le", "replace").rstrip("\0"), {}
    return "", {"data": data.hex()}


def portable_device(key: Key, out: Context) -> None:
    """A portable device and the label or letter that it was shown with."""
    out.trace("portable_device", key, time=key.modified, time_desc="key_modified",
              subject_name=key.text("FriendlyName"), subject_path=key.name.replace("#", "\\"))


def volume_label(key: Key, out: Context) -> None:
    """The label of the volume that had a drive letter (Windows Search)."""
    out.trace("volume_label", key, time=key.modified, time_desc="key_modified",
              subject_path=key.name, subject_name=key.text("VolumeLabel"),
              unmapped={"drive_type": str(key.number("DriveType") or "")})


def ready_boost(key: Key, out: Context) -> None:
    """A volume that ReadyBoost has tried: its label and serial number end the key's name."""
    head, _, serial = key.name.rpartition("_")
    number = f"{int(serial) & 0xFFFFFFFF:08X}" if serial.isdigit() else ""
    label = head.rsplit("}", 1)[-1] if "}" in head else head.rsplit("#", 1)[-1]
    out.trace("ready_boost", key, time=key.modified, time_desc="key_modified",
              subject_path=head, subject_name=label, volume_uid=number)
