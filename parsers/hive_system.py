"""What the registry says of the host itself: names, system, zone, networks, programs."""

import re
import struct

from tracelake.parsers.hive_context import (
    SOFTWARE,
    STARTUP,
    USER,
    ZONE_ASSUMED,
    Context,
    filetime_at,
    system_time,
    unix_time,
    us,
)
from tracelake.parsers.hive_keys import Key


def computer_name(key: Key, out: Context) -> None:
    """The host's name."""
    value = key.value("ComputerName")
    if value is not None and value.text and out.is_current(key):
        out.fact("computer_name", key, value, device_hostname=value.text)


def control_set(key: Key, out: Context) -> None:
    """Which control set was used."""
    out.fact("control_set", key, detail=", ".join(
        f"{v.name} {v.number}" for v in key.values() if v.number is not None))


def time_zone(key: Key, out: Context) -> None:
    """The host's zone, by its Windows name where it has one."""
    if not out.is_current(key):
        return
    name = key.text("TimeZoneKeyName") or key.text("StandardName")
    bias, active = key.number("Bias"), key.number("ActiveTimeBias")
    out.fact(
        "time_zone", key, time_zone=name, time_zone_bias=_signed(bias),
        unmapped={v.name: str(_signed(v.number)) if v.number is not None else v.text
                  for v in key.values() if v.number is not None or v.text}
        | {"active_bias": str(_signed(active)) if active is not None else ""},
    )


def _signed(number: int | None) -> int | None:
    return None if number is None else number - (1 << 32) if number >= 1 << 31 else number


def last_shutdown(key: Key, out: Context) -> None:
    """When the host was shut down last."""
    value = key.value("ShutdownTime")
    when = filetime_at(value.data, 0) if value is not None else None
    if value is not None and when is not None and out.is_current(key):
        out.fact("shutdown", key, value, shutdown_time=when[0])


def hardware(key: Key, out: Context) -> None:
    """Who made the machine."""
    if key.text("SystemManufacturer") or key.text("SystemProductName"):
        out.fact("hardware", key, hardware_vendor=key.text("SystemManufacturer"),
                 hardware_model=key.text("SystemProductName"),
                 unmapped={"bios": key.text("BIOSVersion"),
                           "bios_date": key.text("BIOSReleaseDate"),
                           "hardware_id": key.text("ComputerHardwareId")})


def tcpip(key: Key, out: Context) -> None:
    """The host's name and domain in DNS."""
    if out.is_current(key):
        name = key.text("NV Hostname") or key.text("Hostname")
        domain = key.text("NV Domain") or key.text("Domain") or key.text("DhcpDomain")
        if name or domain:
            out.fact("domain", key, device_hostname=name, device_domain=domain)


def interface(key: Key, out: Context) -> None:
    """A network interface, and the addresses it has or had."""
    if not out.is_current(key) or not key.values():
        return
    found = re.search(r"\{[0-9A-Fa-f-]{36}\}", key.path.rsplit("\\Interfaces\\", 1)[-1])
    addresses = [a for name in ("IPAddress", "DhcpIPAddress") for a in _texts(key, name)
                 if a and a != "0.0.0.0"]
    obtained, ends = key.number("LeaseObtainedTime"), key.number("LeaseTerminatesTime")
    network = _ssid(key)
    out.fact(
        "interface", key, interface_uid=found.group(0) if found else key.name,
        addresses=list(dict.fromkeys(addresses)),
        gateways=[g for n in ("DefaultGateway", "DhcpDefaultGateway") for g in _texts(key, n) if g],
        name_servers=[s for n in ("NameServer", "DhcpNameServer")
                      for s in re.split(r"[ ,]+", key.text(n)) if s],
        dhcp_server=key.text("DhcpServer"), lease_obtained_time=us(unix_time(obtained)),
        device_domain=key.text("Domain") or key.text("DhcpDomain"), detail=network,
        unmapped={"lease_ends_us": str(us(unix_time(ends)) or ""),
                  "dhcp": str(key.number("EnableDHCP") if key.number("EnableDHCP") is not None
                              else ""),
                  "gateway_hardware": key.data("DhcpGatewayHardware").hex()},
    )


def _texts(key: Key, name: str) -> list[str]:
    value = key.value(name)
    return value.texts if value is not None else []


def _ssid(key: Key) -> str:
    """The wireless network's name: the key's own, each byte's hexadecimal digits swapped."""
    value = key.value("DhcpNetworkHint")
    hint = value.text if value is not None else ""
    if not hint or len(hint) % 2 or not re.fullmatch(r"[0-9A-Fa-f]+", hint):
        return ""
    swapped = "".join(hint[i + 1] + hint[i] for i in range(0, len(hint), 2))
    return bytes.fromhex(swapped).decode("utf-8", "replace")


def network_share(key: Key, out: Context) -> None:
    """Folders that the host shares."""
    for value in key.values():
        facts = dict(t.split("=", 1) for t in value.texts if "=" in t)
        out.trace("network_share", key, value, subject_name=value.name,
                  subject_path=facts.get("Path"), detail=facts.get("Remark"), unmapped=facts)


def network_card(key: Key, out: Context) -> None:
    """What a network interface is called."""
    out.fact("interface", key, interface_uid=key.text("ServiceName"),
             interface_name=key.text("Description"))


def os(key: Key, out: Context) -> None:
    """Which Windows it is."""
    name = key.text("ProductName")
    build = key.text("CurrentBuildNumber") or key.text("CurrentBuild")
    if not name and not build:
        return
    # Windows 11 still calls itself 10 here; its builds begin at 22000.
    if build.isdigit() and int(build) >= 22000 and name.startswith("Windows 10"):
        name = "Windows 11" + name[len("Windows 10"):]
    major = key.number("CurrentMajorVersionNumber")
    minor = key.number("CurrentMinorVersionNumber")
    version = f"{major}.{minor}" if major is not None and minor is not None else (
        key.text("CurrentVersion"))
    revision = key.number("UBR")
    installed = filetime_at(key.data("InstallTime"), 0) or unix_time(key.number("InstallDate"))
    out.fact(
        "os", key, os_name=name, os_version=version,
        os_build=f"{build}.{revision}" if revision is not None else build,
        os_edition=key.text("EditionID"), os_install_time=us(installed),
        unmapped={n: key.text(n) for n in (
            "DisplayVersion", "ReleaseId", "CSDVersion", "BuildLabEx", "InstallationType",
            "ProductId", "RegisteredOwner", "RegisteredOrganization", "SystemRoot", "PathName",
            "ProductName")},
    )


def machine_uid(key: Key, out: Context) -> None:
    """The host's own id."""
    value = key.value("MachineGuid")
    if value is not None and value.text:
        out.fact("machine_uid", key, value, device_uid=value.text)


def profile(key: Key, out: Context) -> None:
    """A user who has a profile on the host."""
    home = key.text("ProfileImagePath")
    if not home:
        return
    loaded, unloaded = (_halves(key, f"LocalProfile{n}Time") for n in ("Load", "Unload"))
    out.fact("profile", key, class_uid=USER, user_uid=key.name.removesuffix(".bak"),
             user_home=home, user_name=home.rsplit("\\", 1)[-1],
             unmapped={"loaded_us": str(loaded or ""), "unloaded_us": str(unloaded or ""),
                       "state": str(key.number("State") or "")})


def _halves(key: Key, name: str) -> int | None:
    high, low = key.number(f"{name}High"), key.number(f"{name}Low")
    if high is None or low is None:
        return None
    return us(filetime_at(struct.pack("<II", low, high), 0))


_NETWORKS = {6: "wired", 23: "broadband", 53: "vpn", 71: "wireless", 243: "mobile broadband"}
_CATEGORIES = {0: "public", 1: "private", 2: "domain"}


def network_profile(key: Key, out: Context) -> None:
    """A network that the host was in. Its times are local, in a zone that this hive does not
    tell: they are taken as UTC and flagged."""
    created, created_text = system_time(key.data("DateCreated"))
    last, last_text = system_time(key.data("DateLastConnected"))
    kind, category = key.number("NameType"), key.number("Category")
    out.trace(
        "network_profile", key, time=last or created,
        time_desc="last_connected" if last else "created", flags=ZONE_ASSUMED,
        subject_name=key.text("ProfileName"), subject_created_time=us(created),
        subject_accessed_time=us(last), detail=_NETWORKS.get(kind or 0, str(kind or "")),
        unmapped={"profile_guid": key.name, "description": key.text("Description"),
                  "created_local": created_text, "last_connected_local": last_text,
                  "category": _CATEGORIES.get(category if category is not None else -1, ""),
                  "managed": str(key.number("Managed") or 0)},
    )


def network_signature(key: Key, out: Context) -> None:
    """The gateway by which a network is known again."""
    mac = key.data("DefaultGatewayMac")
    out.trace("network_signature", key, time=key.modified, time_desc="key_modified",
              subject_name=key.text("FirstNetwork") or key.text("Description"),
              machine_mac=":".join(f"{b:02x}" for b in mac[:6]) if len(mac) >= 6 else None,
              unmapped={"profile_guid": key.text("ProfileGuid"),
                        "dns_suffix": key.text("DnsSuffix")})


def last_logon(key: Key, out: Context) -> None:
    """Who logged on at the console last."""
    user, sid = key.text("LastLoggedOnUser"), key.text("LastLoggedOnUserSID")
    if user or sid:
        domain, _, name = user.rpartition("\\")
        out.fact("last_logon", key, class_uid=USER, user_name=name, user_domain=domain,
                 user_uid=sid, user_full_name=key.text("LastLoggedOnDisplayName"),
                 unmapped={"sam_user": key.text("LastLoggedOnSAMUser")})


def auto_logon(key: Key, out: Context) -> None:
    """The account that logs on by itself; whether its password stands there in the clear."""
    name = key.text("DefaultUserName")
    if name and (key.text("AutoAdminLogon") == "1" or key.value("DefaultPassword") is not None):
        out.trace("auto_logon", key, class_uid=STARTUP, time=key.modified,
                  time_desc="key_modified", subject_name=name,
                  detail=f"domain {key.text('DefaultDomainName')}",
                  unmapped={"enabled": key.text("AutoAdminLogon"), "password": "present"
                            if key.value("DefaultPassword") is not None else ""})


def program(key: Key, out: Context) -> None:
    """An installed program."""
    name = key.text("DisplayName")
    if not name and not key.text("UninstallString"):
        return
    date = key.text("InstallDate")
    out.trace(
        "program", key, class_uid=SOFTWARE, time=key.modified, time_desc="key_modified",
        subject_name=name or key.name, subject_path=key.text("InstallLocation"),
        subject_publisher=key.text("Publisher"), subject_version=key.text("DisplayVersion"),
        cmd_line=key.text("UninstallString"),
        detail=f"installed {date}" if date else "",
        unmapped={"key": key.name, "source": key.text("InstallSource"),
                  "estimated_kib": str(key.number("EstimatedSize") or "")},
    )


def app_path(key: Key, out: Context) -> None:
    """A program that is found by its name alone."""
    path = key.text("")
    if path:
        out.trace("app_path", key, time=key.modified, time_desc="key_modified",
                  subject_name=key.name, subject_path=path.strip('"'))


def shell_folder(key: Key, out: Context) -> None:
    """The user's home, by the folders of the shell."""
    home = key.text("Personal") or key.text("Desktop")
    found = re.match(r"([A-Za-z]:\\(?:Users|Documents and Settings)\\([^\\]+))", home)
    if found:
        out.fact("profile", key, class_uid=USER, user_uid=out.root.user_uid,
                 user_home=found.group(1), user_name=found.group(2))


__all__ = [
    "app_path", "auto_logon", "computer_name", "control_set", "hardware", "interface",
    "last_logon", "last_shutdown", "machine_uid", "network_card", "network_profile",
    "network_share", "network_signature", "os", "profile", "program", "shell_folder", "tcpip",
    "time_zone",
]
