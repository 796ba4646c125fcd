"""Which column a field of an audit record goes to, by table, and what record types mean.

Sources: the Linux audit documentation project's field and message dictionaries
(github.com/linux-audit/audit-documentation), <linux/audit.h>, libaudit's tables of system calls.
Fields that are not named here are in `unmapped`. Names in capitals are what auditd adds when it
is asked for enriched logs (UID="root").
"""

_ACTOR = {
    "pid": "actor_pid", "comm": "actor_name", "exe": "actor_path", "uid": "user_uid",
    "UID": "user_name", "ses": "session_uid",
}
_SUBJECT = {
    "pid": "actor_pid", "comm": "actor_name", "exe": "actor_path", "uid": "actor_user_uid",
    "UID": "actor_user_name",
}
FIELDS: dict[str, dict[str, str]] = {
    "process_activity": {
        "pid": "proc_pid", "ppid": "parent_pid", "comm": "proc_name", "exe": "proc_path",
        "uid": "user_uid", "UID": "user_name", "auid": "actor_user_uid",
        "AUID": "actor_user_name", "ses": "session_uid", "exit": "exit_code", "key": "rule_name",
        "cwd": "proc_cwd",
    },
    "command": {**_SUBJECT, "cmd": "proc_cmd_line", "cwd": "proc_cwd", "ses": "session_uid"},
    "file_activity": _ACTOR,
    "network_activity": _ACTOR,
    "authentication": {
        **_SUBJECT, "acct": "user_name", "addr": "src_ip", "hostname": "src_hostname",
        "terminal": "terminal", "id": "user_uid", "ID": "user_name", "ses": "session_uid",
        "laddr": "dst_ip", "lport": "dst_port", "rport": "src_port",
    },
    "account_change": {
        **_SUBJECT, "acct": "user_name", "id": "user_uid", "ID": "user_name", "grp": "group_name",
        "op": "operation", "addr": "src_ip", "hostname": "src_hostname",
        "ses": "actor_session_uid",
    },
    "service_activity": {**_ACTOR, "unit": "svc_name"},
    "raw_event": {"pid": "event_pid", "uid": "event_user_uid"},
}
"""`command`: of `process_activity`, for commands that a program reports (USER_CMD)."""

ENCODED = frozenset(
    ("exe", "comm", "cwd", "name", "cmd", "acct", "proctitle", "data", "key", "path", "grp",
     "dir", "sw", "file", "vm", "unit")
)
"""Fields whose values are hexadecimal digits where they are not in quotes."""

TYPES: dict[str, tuple[str, dict[str, int]]] = {
    "USER_LOGIN": ("authentication", {"activity_id": 1}),
    "USER_AUTH": ("authentication", {"activity_id": 6}),
    "USER_START": ("authentication", {"activity_id": 1}),
    "USER_END": ("authentication", {"activity_id": 2}),
    "USER_LOGOUT": ("authentication", {"activity_id": 2}),
    "USER_ERR": ("authentication", {"activity_id": 1}),
    "USER_ACCT": ("authentication", {"activity_id": 99}),
    "CRED_ACQ": ("authentication", {"activity_id": 99}),
    "CRED_DISP": ("authentication", {"activity_id": 99}),
    "CRED_REFR": ("authentication", {"activity_id": 99}),
    "ANOM_LOGIN_FAILURES": ("authentication", {"activity_id": 1, "status_id": 2}),
    "USER_CMD": ("command", {"activity_id": 1}),
    "ADD_USER": ("account_change", {"activity_id": 1}),
    "DEL_USER": ("account_change", {"activity_id": 6}),
    "USER_MGMT": ("account_change", {"activity_id": 99}),
    "USER_CHAUTHTOK": ("account_change", {"activity_id": 3}),
    "ACCT_LOCK": ("account_change", {"activity_id": 9}),
    "ACCT_UNLOCK": ("account_change", {"activity_id": 12}),
    "ADD_GROUP": ("account_change", {"class_uid": 3006, "activity_id": 6}),
    "DEL_GROUP": ("account_change", {"class_uid": 3006, "activity_id": 5}),
    "GRP_MGMT": ("account_change", {"class_uid": 3006, "activity_id": 99}),
    "GRP_CHAUTHTOK": ("account_change", {"class_uid": 3006, "activity_id": 99}),
    "SERVICE_START": ("service_activity", {"activity_id": 3}),
    "SERVICE_STOP": ("service_activity", {"activity_id": 4}),
}
"""Record types that stand for themselves."""

X86_64, I386, AARCH64, ARM = "c000003e", "40000003", "c00000b7", "40000028"
CALLS: dict[str, tuple[str, int]] = {
    "execve": ("process_activity", 1), "execveat": ("process_activity", 1),
    "ptrace": ("process_activity", 3),
    "connect": ("network_activity", 1), "bind": ("network_activity", 7),
    "accept": ("network_activity", 1), "accept4": ("network_activity", 1),
    "rename": ("file_activity", 5), "renameat": ("file_activity", 5),
    "renameat2": ("file_activity", 5),
    "chmod": ("file_activity", 7), "fchmod": ("file_activity", 7),
    "fchmodat": ("file_activity", 7), "chown": ("file_activity", 7),
    "fchown": ("file_activity", 7), "lchown": ("file_activity", 7),
    "fchownat": ("file_activity", 7), "setxattr": ("file_activity", 6),
    "fsetxattr": ("file_activity", 6), "lsetxattr": ("file_activity", 6),
    "truncate": ("file_activity", 3), "ftruncate": ("file_activity", 3),
    "mount": ("file_activity", 12), "umount2": ("file_activity", 13),
}
"""System calls with a meaning of their own; of others the files that they name say it."""

NUMBERS: dict[str, dict[int, str]] = {
    X86_64: {
        42: "connect", 43: "accept", 288: "accept4", 49: "bind", 59: "execve", 322: "execveat",
        101: "ptrace", 82: "rename", 264: "renameat", 316: "renameat2", 90: "chmod",
        91: "fchmod", 268: "fchmodat", 92: "chown", 93: "fchown", 94: "lchown", 260: "fchownat",
        188: "setxattr", 189: "lsetxattr", 190: "fsetxattr", 76: "truncate", 77: "ftruncate",
        165: "mount", 166: "umount2", 2: "open", 257: "openat", 87: "unlink", 263: "unlinkat",
        85: "creat", 83: "mkdir", 84: "rmdir", 86: "link", 88: "symlink", 105: "setuid",
        313: "finit_module", 175: "init_module", 176: "delete_module", 41: "socket",
    },
    I386: {
        11: "execve", 358: "execveat", 26: "ptrace", 362: "connect", 361: "bind", 38: "rename",
        302: "renameat", 353: "renameat2", 15: "chmod", 94: "fchmod", 306: "fchmodat",
        5: "open", 295: "openat", 10: "unlink", 301: "unlinkat", 102: "socketcall",
        21: "mount", 52: "umount2", 92: "truncate", 93: "ftruncate",
    },
    AARCH64: {
        221: "execve", 281: "execveat", 117: "ptrace", 203: "connect", 200: "bind",
        202: "accept", 242: "accept4", 38: "renameat", 276: "renameat2", 52: "fchmod",
        53: "fchmodat", 54: "fchownat", 55: "fchown", 56: "openat", 35: "unlinkat",
        45: "truncate", 46: "ftruncate", 40: "mount", 39: "umount2", 5: "setxattr",
    },
    ARM: {11: "execve", 387: "execveat", 26: "ptrace", 283: "connect", 282: "bind",
          38: "rename", 329: "renameat", 382: "renameat2", 5: "open", 322: "openat"},
}  # fmt: skip
"""Names of system calls by the machine (`arch`), where auditd did not write them."""
