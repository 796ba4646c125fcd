"""Amcache: programs, files and drivers that the compatibility engine has taken stock of.

Two layouts: `Root\\Inventory*` with names for values (since Windows 10 1607), and `Root\\File`,
`Root\\Programs` with numbers (Windows 7 with updates, to Windows 10 1511). The key's own date is
when the entry was made; it is no proof that the program ran. A SHA-1 there covers the first
31,457,280 bytes of a file and has four zeros in front.
"""

import datetime
import re

from tracelake.parsers.hive_context import MODULE, SOFTWARE, Context, When, filetime_at, us
from tracelake.parsers.hive_keys import Key

_SHA1 = re.compile(r"0000([0-9a-fA-F]{40})")


def _sha1(text: str) -> str | None:
    found = _SHA1.fullmatch(text.strip())
    return found.group(1).lower() if found else None


def _date(text: str) -> When:
    """A date as Amcache writes it: "11/30/2017 19:20:01", UTC."""
    for form in ("%m/%d/%Y %H:%M:%S", "%m/%d/%Y", "%Y%m%d", "%m-%d-%Y"):
        try:
            when = datetime.datetime.strptime(text.strip(), form).replace(tzinfo=datetime.UTC)
        except ValueError:
            continue
        return int(when.timestamp()) * 1_000_000, 0
    return None


def _rest(key: Key, *used: str) -> dict[str, str]:
    """The values that have no column."""
    return {v.name: v.text or (v.data.hex()[:4096] if v.kind == 3 else "") for v in key.values()
            if v.name not in used}


def _number(key: Key, name: str) -> int | None:
    value = key.value(name)
    if value is None:
        return None
    if value.number is not None:
        return int(value.number) if value.number < 1 << 63 else None
    text = value.text
    try:
        return int(text, 16 if text.lower().startswith("0x") else 10)
    except ValueError:
        return None


def amcache_file(key: Key, out: Context) -> None:
    """A file that was on the host."""
    path = key.text("LowerCaseLongPath")
    out.trace(
        "amcache_file", key, time=key.modified, time_desc="key_modified", subject_path=path,
        subject_name=key.text("Name") or path.rsplit("\\", 1)[-1],
        subject_sha1=_sha1(key.text("FileId")), subject_size=_number(key, "Size"),
        subject_publisher=key.text("Publisher"), subject_version=key.text("Version"),
        detail=key.text("ProductName"),
        unmapped=_rest(key, "LowerCaseLongPath", "Name", "Size", "Publisher", "Version",
                       "ProductName")
        | {"link_date_us": str(us(_date(key.text("LinkDate"))) or "")},
    )


def amcache_program(key: Key, out: Context) -> None:
    """An installed program."""
    installed = _date(key.text("InstallDate"))
    out.trace(
        "amcache_program", key, class_uid=SOFTWARE, time=key.modified, time_desc="key_modified",
        subject_name=key.text("Name"), subject_path=key.text("RootDirPath"),
        subject_publisher=key.text("Publisher"), subject_version=key.text("Version"),
        subject_created_time=us(installed), cmd_line=key.text("UninstallString"),
        detail=key.text("Source"),
        unmapped=_rest(key, "Name", "RootDirPath", "Publisher", "Version", "UninstallString"),
    )


def amcache_shortcut(key: Key, out: Context) -> None:
    """A shortcut in the start menu."""
    path = key.text("ShortcutPath")
    out.trace("amcache_shortcut", key, time=key.modified, time_desc="key_modified",
              subject_path=path, subject_name=path.rsplit("\\", 1)[-1],
              detail=key.text("ShortcutTargetPath"),
              unmapped=_rest(key, "ShortcutPath", "ShortcutTargetPath"))


def amcache_driver(key: Key, out: Context) -> None:
    """A driver; the key is named by its path."""
    path = key.name.replace("/", "\\")
    written = _date(key.text("DriverLastWriteTime"))
    out.trace(
        "amcache_driver", key, class_uid=MODULE, time=key.modified, time_desc="key_modified",
        subject_path=path, subject_name=key.text("DriverName") or path.rsplit("\\", 1)[-1],
        subject_sha1=_sha1(key.text("DriverId")), subject_size=_number(key, "ImageSize"),
        subject_publisher=key.text("DriverCompany"), subject_version=key.text("DriverVersion"),
        subject_modified_time=us(written), detail=key.text("Product"),
        unmapped=_rest(key, "DriverName", "ImageSize", "DriverCompany", "DriverVersion",
                       "Product"),
    )


def amcache_driver_package(key: Key, out: Context) -> None:
    """A package of drivers."""
    out.trace(
        "amcache_driver_package", key, time=key.modified, time_desc="key_modified",
        subject_name=key.text("Inf") or key.name, subject_path=key.text("Directory"),
        subject_publisher=key.text("Provider"), subject_version=key.text("Version"),
        detail=key.text("Class"), unmapped=_rest(key, "Inf", "Directory", "Provider", "Version"),
    )


def amcache_device(key: Key, out: Context) -> None:
    """A device that was connected."""
    out.trace(
        "amcache_device", key, time=key.modified, time_desc="key_modified",
        subject_name=key.text("Model") or key.text("Description"),
        subject_path=key.name.replace("/", "\\"), subject_publisher=key.text("Manufacturer"),
        subject_version=key.text("DriverVerVersion"), detail=key.text("Description"),
        unmapped=_rest(key, "Model", "Manufacturer", "DriverVerVersion", "Description"),
    )


def amcache_container(key: Key, out: Context) -> None:
    """A device as people see it: all its functions together."""
    out.trace(
        "amcache_container", key, time=key.modified, time_desc="key_modified",
        subject_name=key.text("FriendlyName") or key.text("ModelName"),
        subject_publisher=key.text("Manufacturer"), detail=key.text("Categories"),
        unmapped=_rest(key, "FriendlyName", "Manufacturer", "Categories") | {"id": key.name},
    )


_OLD_FILE = {"0": "product", "1": "company", "2": "version_number", "3": "language",
             "4": "switchback_context", "5": "file_version", "6": "size", "7": "header_size",
             "8": "header_hash", "9": "checksum", "a": "unknown_a", "b": "unknown_b",
             "c": "description", "d": "unknown_d", "f": "link_time", "10": "unknown_10",
             "11": "modified", "12": "created", "15": "path", "16": "unknown_16",
             "17": "modified_2", "100": "program_id", "101": "sha1"}


def amcache_old_file(key: Key, out: Context) -> None:
    """A file, in the old layout: by its volume's GUID and its file reference."""
    path = key.text("15")
    modified = _filetime(key, "17") or _filetime(key, "11")
    created = _filetime(key, "12")
    used = ("0", "1", "5", "6", "15")
    notes = {_OLD_FILE.get(v.name.lower(), f"value_{v.name}"):
             v.text or (v.data.hex()[:4096] if v.kind == 3 else "")
             for v in key.values() if v.name not in used}
    reference = key.name
    if re.fullmatch(r"[0-9a-fA-F]{5,16}", reference):
        number = int(reference, 16)
        # The reference's upper 16 bits are the sequence number: "4000105bb".
        shift = 4 * (len(reference) - 12) if len(reference) > 12 else 0
        notes |= {"file_reference": reference,
                  "mft_entry": str(number & 0xFFFFFFFFFFFF if shift else number & 0xFFFFFFFF)}
    volume = key.path.split("\\")[-2].strip("{}")
    out.trace(
        "amcache_file", key, time=key.modified, time_desc="key_modified", subject_path=path,
        subject_name=path.rsplit("\\", 1)[-1], subject_sha1=_sha1(key.text("101")),
        subject_size=_number(key, "6"), subject_publisher=key.text("1"),
        subject_version=key.text("5"), subject_created_time=us(created),
        subject_modified_time=us(modified), detail=key.text("0"), volume_uid=volume.lower(),
        unmapped=notes,
    )


def _filetime(key: Key, name: str) -> When:
    value = key.value(name)
    if value is None:
        return None
    data = value.data
    return filetime_at(data, 0) if len(data) == 8 else None


def amcache_old_program(key: Key, out: Context) -> None:
    """A program, in the old layout."""
    installed = key.number("a")
    out.trace(
        "amcache_program", key, class_uid=SOFTWARE, time=key.modified, time_desc="key_modified",
        subject_name=key.text("0"), subject_version=key.text("1"), subject_publisher=key.text("2"),
        subject_path=key.text("d").split("\n", 1)[0],
        subject_created_time=installed * 1_000_000 if installed and installed < 1 << 40 else None,
        unmapped={("language" if v.name == "3" else "source" if v.name == "6" else
                   "uninstall_key" if v.name == "7" else f"value_{v.name}"):
                  v.text or (v.data.hex()[:4096] if v.kind == 3 else "")
                  for v in key.values() if v.name not in ("0", "1", "2", "d")} | {"id": key.name},
    )
