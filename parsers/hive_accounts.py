"""Accounts of the host: SAM (users and groups) and SECURITY (policy, cached logons, secrets).

Nothing is decrypted: of what is secret, only that it is there and when it was set.
Layout of the values V, F and C: "Security Account Manager" (libyal, winreg-kb).
"""

import struct

from tracelake.parsers.hive_context import USER, Context, filetime_at, us
from tracelake.parsers.hive_keys import Key
from tracelake.parsers.hive_values import sid_text

MEMBERS_MOST = 65536


def accounts(key: Key, out: Context) -> None:
    """Users and groups of the host."""
    account = key.subkey("Account")
    domain = _domain_sid(account)
    groups = _groups(key, domain)
    for group in groups:
        out.fact("group", group.key, class_uid=USER, user_name=group.name, user_uid=group.sid,
                 user_comment=group.comment,
                 unmapped={"members": "\n".join(group.members)})
    users = account.subkey("Users") if account is not None else None
    if users is None:
        return
    made: dict[int, Key] = {}
    names = users.subkey("Names")
    for name in names.subkeys() if names is not None else []:
        default = name.value("")
        if default is not None:
            # The number of the account is the type of the value.
            made[default.kind] = name
    for user in users.subkeys():
        if len(user.name) == 8 and user.name.lower() != "names":
            _user(user, domain, groups, made, out)


class _Group:
    def __init__(self, key: Key, name: str, comment: str, sid: str, members: list[str]) -> None:
        self.key, self.name, self.comment, self.sid = key, name, comment, sid
        self.members = members


def _domain_sid(account: Key | None) -> str:
    data = account.data("V") if account is not None else b""
    if len(data) < 12:
        return ""
    return "S-1-5-21-{}-{}-{}".format(*struct.unpack("<III", data[-12:]))


def _user(
    user: Key, domain: str, groups: list[_Group], made: dict[int, Key], out: Context
) -> None:
    try:
        rid = int(user.name, 16)
    except ValueError:
        return
    f, v = user.data("F"), user.data("V")
    sid = f"{domain}-{rid}" if domain else ""
    texts = _texts(v)
    flags = struct.unpack_from("<H", f, 56)[0] if len(f) >= 58 else None
    fails, count = struct.unpack_from("<HH", f, 64) if len(f) >= 68 else (None, None)
    name = made.get(rid)
    expires = filetime_at(f, 32)
    value = user.value("F")
    out.fact(
        "user", user, value, class_uid=USER,
        user_name=texts.get("name") or (name.name if name is not None else ""), user_uid=sid,
        user_full_name=texts.get("full_name"), user_comment=texts.get("comment"),
        user_home=texts.get("home"), account_flags=flags,
        is_disabled=None if flags is None else bool(flags & 0x0401), logon_count=count,
        last_logon_time=us(filetime_at(f, 8)), password_set_time=us(filetime_at(f, 24)),
        last_failed_logon_time=us(filetime_at(f, 40)), account_expires_time=us(expires),
        account_created_time=us(name.modified) if name is not None else None,
        user_groups=[g.name for g in groups if sid and sid in g.members],
        unmapped={
            "rid": str(rid), "failed_logons": str(fails) if fails is not None else "",
            "user_comment": texts.get("user_comment", ""), "script": texts.get("script", ""),
            "profile_path": texts.get("profile", ""),
            "workstations": texts.get("workstations", ""),
            "password_hint": _wide(user.data("UserPasswordHint")),
            "internet_name": _wide(user.data("InternetUserName")),
            "given_name": _wide(user.data("GivenName")), "surname": _wide(user.data("Surname")),
            "in_f": str(struct.unpack_from("<I", f, 48)[0]) if len(f) >= 52 else "",
            "no_name_key": "true" if made and name is None else "",
        },
    )


_PARTS = (("name", 0x0C), ("full_name", 0x18), ("comment", 0x24), ("user_comment", 0x30),
          ("home", 0x48), ("home_drive", 0x54), ("script", 0x60), ("profile", 0x6C),
          ("workstations", 0x78))


def _texts(v: bytes) -> dict[str, str]:
    """The texts of a V value: offset and length of each stand in a table of 0xCC bytes."""
    found = {}
    for name, at in _PARTS:
        if at + 8 > len(v):
            break
        offset, length = struct.unpack_from("<II", v, at)
        if length and 0xCC + offset + length <= len(v):
            found[name] = _wide(v[0xCC + offset : 0xCC + offset + length])
    return found


def _wide(data: bytes) -> str:
    return data[: len(data) & ~1].decode("utf-16-le", "replace").rstrip("\0")


def _groups(domains: Key, domain: str) -> list[_Group]:
    found = []
    for part, prefix in (("Builtin", "S-1-5-32"), ("Account", domain)):
        aliases = domains.subkey(f"{part}\\Aliases")
        for key in aliases.subkeys() if aliases is not None else []:
            data = key.data("C")
            if len(key.name) != 8 or len(data) < 0x34:
                continue
            try:
                rid = int(key.name, 16)
            except ValueError:
                continue
            name, comment = (_part(data, at) for at in (0x10, 0x1C))
            found.append(_Group(key, _wide(name), _wide(comment),
                                f"{prefix}-{rid}" if prefix else "", _members(data)))
    return found


def _part(data: bytes, at: int) -> bytes:
    offset, length = struct.unpack_from("<II", data, at)
    return data[0x34 + offset : 0x34 + offset + length]


def _members(data: bytes) -> list[str]:
    offset, _, count = struct.unpack_from("<III", data, 0x28)
    at, found = 0x34 + offset, []
    for _ in range(min(count, MEMBERS_MOST)):
        sid = sid_text(data[at : at + 68])
        if not sid:
            break
        found.append(sid)
        at += 8 + 4 * data[at + 1]
    return found


def policy(key: Key, out: Context) -> None:
    """The host's own SID, its domain, and when they were set."""
    local = sid_text(_default(key, "PolAcDmS"))
    joined = sid_text(_default(key, "PolPrDmS"))
    name = _unicode(_default(key, "PolPrDmN"))
    host = _unicode(_default(key, "PolAcDmN"))
    dns = _unicode(_default(key, "PolDnDDN"))
    if local or joined or name or host:
        out.fact("domain", key, device_hostname=host, device_domain=dns or name,
                 unmapped={"machine_sid": local, "domain_sid": joined, "domain": name})
    audit = key.subkey("PolAdtEv")
    data = _default(key, "PolAdtEv")
    if audit is not None and data:
        out.fact("audit_policy", audit, unmapped={"data": data.hex()},
                 detail="enabled" if data[0] else "disabled")


def _default(key: Key, name: str) -> bytes:
    child = key.subkey(name)
    return child.data("") if child is not None else b""


def _unicode(data: bytes) -> str:
    """A UNICODE_STRING: length, room, offset; then the text."""
    if len(data) < 8:
        return ""
    length, _, offset = struct.unpack_from("<HHI", data, 0)
    return _wide(data[offset : offset + length])


def cached_logons(key: Key, out: Context) -> None:
    """Domain accounts that can log on while no domain controller is there: that they are."""
    for value in key.values():
        if not value.name.upper().startswith("NL$") or not value.name[3:].isdigit():
            continue
        data = value.data
        if len(data) < 96 or struct.unpack_from("<H", data, 0)[0] == 0:
            continue
        rid, group = struct.unpack_from("<II", data, 16)
        when = filetime_at(data, 32)
        out.trace("cached_logon", key, value, time=when, time_desc="last_written",
                  subject_name=value.name, detail=f"rid {rid}",
                  unmapped={"rid": str(rid), "primary_group": str(group)})


def lsa_secret(key: Key, out: Context) -> None:
    """A secret of the system (service password, machine account): that it is there."""
    times = {name: filetime_at(_default(key, name), 0) for name in ("CupdTime", "OupdTime")}
    when = times["CupdTime"] or key.modified
    out.trace("lsa_secret", key, time=when, subject_name=key.name,
              time_desc="updated" if times["CupdTime"] else "key_modified",
              unmapped={"old_updated_us": str(us(times["OupdTime"]) or ""),
                        "bytes": str(len(_default(key, "CurrVal")))})
