"""What programs say in syslog, as patterns (see linepatterns.pyx for their language).

Each rule: the programs (lower case, without path), the table, the columns that all its rows have,
and the messages. The first pattern that matches a message takes it; everything else that is logged
is in `raw_event` with its whole text.

Sources of the messages: OpenSSH's auth.c, auth2.c, log messages of packet.c; sudo's logging.c;
util-linux' su and login, shadow's useradd, usermod, groupadd, passwd, chage; Linux-PAM's pam_unix;
systemd's logind; cronie and Debian's cron; BusyBox; vsftpd; Dropbear.
"""

from typing import Any

Rule = tuple[tuple[str, ...], str, dict[str, Any], tuple[str, ...]]

SUCCESS, FAILURE = 1, 2
LOGON, LOGOFF, PREAUTH, SWITCH = 1, 2, 6, 7
NETWORK, INTERACTIVE, BATCH = 3, 2, 4
OPEN, CLOSE, FAIL, REFUSE = 1, 2, 4, 5
SSH = 4007
CREATE, PASSWORD_CHANGE, DELETE, LOCK, UNLOCK, ENABLE = 1, 3, 6, 9, 12, 2
GROUP = 3006
ADD_USER, REMOVE_USER, DELETE_GROUP, CREATE_GROUP = 3, 4, 5, 6
SSHD = ("sshd", "sshd-session", "sshd-auth")
ANY_PAM = (
    *SSHD, "su", "sudo", "login", "cron", "crond", "crontab", "systemd", "gdm", "gdm-password",
    "gdm-launch-environment", "gdm-session-worker", "lightdm", "sddm", "sddm-helper", "polkitd",
    "polkit-agent-helper-1", "vsftpd", "ftpd", "proftpd", "runuser", "atd", "remote", "kdm", "xdm",
    "unix_chkpwd", "pkexec", "passwd", "chpasswd", "samba", "dovecot", "auth", "smtpd", "imapd",
    "xrdp-sesman", "cockpit-session", "sshd(pam_unix)", "su(pam_unix)", "login(pam_unix)",
)  # fmt: skip
REMOTE = {"is_remote": 1, "logon_type_id": NETWORK, "auth_protocol": "ssh"}


def _accepted(**more: Any) -> dict[str, Any]:
    return {"activity_id": LOGON, "status_id": SUCCESS, **more}


def _refused(**more: Any) -> dict[str, Any]:
    return {"activity_id": LOGON, "status_id": FAILURE, **more}


RULES: tuple[Rule, ...] = (
    # --- sshd: who came in, and who did not
    (SSHD, "authentication", _accepted(**REMOTE), (
        "Accepted {auth_package} for {user_name} from {addr} port {src_port} ssh2: "
        "{key_type} {key_fingerprint}",
        "Accepted {auth_package} for {user_name} from {addr} port {src_port} ssh2",
        "Accepted {auth_package} for {user_name} from {addr} port {src_port} {protocol}",
    )),
    (SSHD, "authentication", _refused(**REMOTE, status_name="invalid user"), (
        "Failed {auth_package} for invalid user {user_name*} from {addr} port {src_port} ssh2: "
        "{key_type} {key_fingerprint}",
        "Failed {auth_package} for invalid user {user_name*} from {addr} port {src_port} "
        "{protocol}",
        "Failed {auth_package} for illegal user {user_name*} from {addr} port {src_port} "
        "{protocol}",
        "Invalid user {user_name*} from {addr} port {src_port}",
        "Invalid user {user_name*} from {addr}",
        "Illegal user {user_name*} from {addr}",
        "Illegal user from {addr}",
        "input_userauth_request: invalid user {user_name*} [preauth]",
        "input_userauth_request: invalid user {user_name*}",
    )),
    (SSHD, "authentication", _refused(**REMOTE), (
        "Failed {auth_package} for {user_name*} from {addr} port {src_port} ssh2: "
        "{key_type} {key_fingerprint}",
        "Failed {auth_package} for {user_name*} from {addr} port {src_port} {protocol}",
        "error: maximum authentication attempts exceeded for invalid user {user_name*} from {addr} "
        "port {src_port} {protocol} [preauth]",
        "error: maximum authentication attempts exceeded for {user_name*} from {addr} "
        "port {src_port} {protocol} [preauth]",
        "User {user_name*} from {addr} not allowed because {status_detail}",
        "ROOT LOGIN REFUSED FROM {addr} port {src_port}",
        "ROOT LOGIN REFUSED FROM {addr}",
        "error: PAM: {status_detail} for illegal user {user_name*} from {addr}",
        "error: PAM: {status_detail} for {user_name*} from {addr}",
        "Authentication refused: {status_detail}",
    )),
    (SSHD, "authentication", {**REMOTE, "activity_id": PREAUTH}, (
        "Postponed {auth_package} for invalid user {user_name*} from {addr} port {src_port} "
        "{protocol} [preauth]",
        "Postponed {auth_package} for {user_name*} from {addr} port {src_port} "
        "{protocol} [preauth]",
        "Postponed {auth_package} for invalid user {user_name*} from {addr} port {src_port} "
        "{protocol}",
        "Postponed {auth_package} for {user_name*} from {addr} port {src_port} {protocol}",
        "Partial {auth_package} for {user_name*} from {addr} port {src_port} {protocol}",
    )),
    # --- sshd: connections
    (SSHD, "remote_access_activity",
     {"class_uid": SSH, "activity_id": OPEN, "protocol": "SSH"}, (
        "Connection from {src_ip} port {src_port} on {dst_ip} port {dst_port} rdomain {rdomain}",
        "Connection from {src_ip} port {src_port} on {dst_ip} port {dst_port}",
        "Connection from {src_ip} port {src_port}",
    )),
    (SSHD, "remote_access_activity",
     {"class_uid": SSH, "activity_id": CLOSE, "protocol": "SSH"}, (
        "Connection closed by authenticating user {user_name} {src_ip} port {src_port} [preauth]",
        "Connection closed by invalid user {user_name*} {src_ip} port {src_port} [preauth]",
        "Connection closed by {src_ip} port {src_port} [preauth]",
        "Connection closed by {src_ip} port {src_port}",
        "Connection closed by {src_ip} [preauth]",
        "Connection closed by {src_ip}",
        "Connection reset by authenticating user {user_name} {src_ip} port {src_port} [preauth]",
        "Connection reset by invalid user {user_name*} {src_ip} port {src_port} [preauth]",
        "Connection reset by {src_ip} port {src_port} [preauth]",
        "Connection reset by {src_ip} port {src_port}",
        "Disconnected from authenticating user {user_name} {src_ip} port {src_port} [preauth]",
        "Disconnected from invalid user {user_name*} {src_ip} port {src_port} [preauth]",
        "Disconnected from user {user_name*} {src_ip} port {src_port}",
        "Disconnected from {src_ip} port {src_port} [preauth]",
        "Disconnected from {src_ip} port {src_port}",
        "Disconnecting authenticating user {user_name} {src_ip} port {src_port}: "
        "{result} [preauth]",
        "Disconnecting invalid user {user_name*} {src_ip} port {src_port}: {result} [preauth]",
        "Received disconnect from {src_ip} port {src_port}:{reason_code}: {result} [preauth]",
        "Received disconnect from {src_ip} port {src_port}:{reason_code}: {result}",
        "Received disconnect from {src_ip}: {reason_code}: {result} [preauth]",
        "Received disconnect from {src_ip}: {reason_code}: {result}",
        "Close session: user {user_name} from {src_ip} port {src_port} id {session_uid}",
    )),
    (SSHD, "remote_access_activity",
     {"class_uid": SSH, "activity_id": FAIL, "protocol": "SSH"}, (
        "Did not receive identification string from {src_ip} port {src_port}",
        "Did not receive identification string from {src_ip}",
        "Bad protocol version identification {client*} from {src_ip} port {src_port}",
        "Unable to negotiate with {src_ip} port {src_port}: {result} [preauth]",
        "banner exchange: Connection from {src_ip} port {src_port}: {result}",
        "refused connect from {src_hostname} ({src_ip})",
    )),
    # --- PAM: sessions and failures, in whatever program
    (ANY_PAM, "authentication", _accepted(), (
        "pam_unix({service_name}:session): session opened for user {user_name}(uid={user_uid}) by "
        "{actor_user_name}(uid={actor_user_uid})",
        "pam_unix({service_name}:session): session opened for user {user_name}(uid={user_uid}) by "
        "(uid={actor_user_uid})",
        "pam_unix({service_name}:session): session opened for user {user_name} by "
        "{actor_user_name}(uid={actor_user_uid})",
        "session opened for user {user_name} by {actor_user_name}(uid={actor_user_uid})",
    )),
    (ANY_PAM, "authentication", {"activity_id": LOGOFF, "status_id": SUCCESS}, (
        "pam_unix({service_name}:session): session closed for user {user_name}",
        "session closed for user {user_name}",
    )),
    (ANY_PAM, "authentication", _refused(), (
        "pam_unix({service_name}:auth): authentication failure; logname={logname} "
        "uid={actor_user_uid} euid={euid} tty={terminal} ruser={actor_user_name} rhost={addr}  "
        "user={user_name}",
        "pam_unix({service_name}:auth): authentication failure; logname={logname} "
        "uid={actor_user_uid} euid={euid} tty={terminal} ruser={actor_user_name} rhost={addr} "
        "user={user_name}",
        "pam_unix({service_name}:auth): authentication failure; logname={logname} "
        "uid={actor_user_uid} euid={euid} tty={terminal} ruser={actor_user_name} rhost={addr}",
        "pam_sss({service_name}:auth): authentication failure; logname={logname} "
        "uid={actor_user_uid} euid={euid} tty={terminal} ruser={actor_user_name} rhost={addr} "
        "user={user_name}",
        "authentication failure; logname={logname} uid={actor_user_uid} euid={euid} tty={terminal} "
        "ruser={actor_user_name} rhost={addr}  user={user_name}",
        "authentication failure; logname={logname} uid={actor_user_uid} euid={euid} tty={terminal} "
        "ruser={actor_user_name} rhost={addr} ",
        "authentication failure; logname={logname} uid={actor_user_uid} euid={euid} tty={terminal} "
        "ruser={actor_user_name} rhost={addr}",
        "pam_unix({service_name}:auth): check pass; user unknown",
        "PAM {attempts} more authentication failures; logname={logname} uid={actor_user_uid} "
        "euid={euid} tty={terminal} ruser={actor_user_name} rhost={addr}  user={user_name}",
        "PAM {attempts} more authentication failures; logname={logname} uid={actor_user_uid} "
        "euid={euid} tty={terminal} ruser={actor_user_name} rhost={addr}",
        "password check failed for user ({user_name})",
    )),
    (ANY_PAM, "account_change", {"activity_id": PASSWORD_CHANGE, "status_id": SUCCESS}, (
        "pam_unix({service_name}:chauthtok): password changed for {user_name}",
        "password changed for {user_name}",
        "password for '{user_name}' changed by '{actor_user_name}'",
    )),
    # --- sudo and doas: commands of another user
    (("sudo", "sudo-rs"), "process_activity", {"activity_id": 1, "status_id": FAILURE}, (
        "{actor_user_name} : {sudo_reason} ; TTY={terminal} ; PWD={proc_cwd} ; USER={user_name} ; "
        "GROUP={group} ; TSID={tsid} ; COMMAND={proc_cmd_line}",
    )),
    (("sudo", "sudo-rs"), "process_activity", {"activity_id": 1, "status_id": SUCCESS}, (
        "{actor_user_name} : TTY={terminal} ; PWD={proc_cwd} ; USER={user_name} ; "
        "TSID={tsid} ; ENV={env} ; COMMAND={proc_cmd_line}",
        "{actor_user_name} : TTY={terminal} ; PWD={proc_cwd} ; USER={user_name} ; "
        "TSID={tsid} ; COMMAND={proc_cmd_line}",
        "{actor_user_name} : TTY={terminal} ; PWD={proc_cwd} ; USER={user_name} ; "
        "ENV={env} ; COMMAND={proc_cmd_line}",
        "{actor_user_name} : TTY={terminal} ; PWD={proc_cwd} ; USER={user_name} ; "
        "GROUP={group} ; COMMAND={proc_cmd_line}",
        "{actor_user_name} : TTY={terminal} ; PWD={proc_cwd} ; USER={user_name} ; "
        "COMMAND={proc_cmd_line}",
        "{actor_user_name} : PWD={proc_cwd} ; USER={user_name} ; COMMAND={proc_cmd_line}",
        "{actor_user_name} : (command continued) {proc_cmd_line}",
    )),
    # "3 incorrect password attempts", "user NOT in sudoers", "command not allowed".
    (("sudo", "sudo-rs"), "process_activity", {"activity_id": 1, "status_id": FAILURE}, (
        "{actor_user_name} : {sudo_reason} ; TTY={terminal} ; PWD={proc_cwd} ; USER={user_name} ; "
        "COMMAND={proc_cmd_line}",
        "{actor_user_name} : {sudo_reason} ; PWD={proc_cwd} ; USER={user_name} ; "
        "COMMAND={proc_cmd_line}",
    )),
    (("doas",), "process_activity", {"activity_id": 1, "status_id": SUCCESS}, (
        "{actor_user_name} ran command {proc_cmd_line} as {user_name} from {proc_cwd}",
    )),
    # --- su and login
    (("su",), "authentication", {"activity_id": SWITCH, "status_id": SUCCESS}, (
        "(to {user_name}) {actor_user_name} on {terminal}",
        "Successful su for {user_name} by {actor_user_name}",
        "+ {terminal} {actor_user_name}:{user_name}",
        "'su {user_name}' succeeded for {actor_user_name} on {terminal}",
    )),
    (("su",), "authentication", {"activity_id": SWITCH, "status_id": FAILURE}, (
        "FAILED SU (to {user_name}) {actor_user_name} on {terminal}",
        "FAILED su for {user_name} by {actor_user_name}",
        "- {terminal} {actor_user_name}:{user_name}",
        "'su {user_name}' failed for {actor_user_name} on {terminal}",
    )),
    (("login",), "authentication", _accepted(logon_type_id=INTERACTIVE), (
        "ROOT LOGIN ON {terminal} FROM {addr}",
        "ROOT LOGIN  on '{terminal}' from '{addr}'",
        "ROOT LOGIN  on '{terminal}'",
        "ROOT LOGIN ON {terminal}",
        "LOGIN ON {terminal} BY {user_name} FROM {addr}",
        "LOGIN ON {terminal} BY {user_name}",
        "DIALUP AT {terminal} BY {user_name}",
    )),
    (("login",), "authentication", _refused(logon_type_id=INTERACTIVE), (
        "FAILED LOGIN {attempts} FROM {addr} FOR {user_name}, {status_detail}",
        "FAILED LOGIN ({attempts}) on '{terminal}' from '{addr}' FOR '{user_name}', "
        "{status_detail}",
        "FAILED LOGIN ({attempts}) on '{terminal}' FOR '{user_name}', {status_detail}",
        "FAILED LOGIN SESSION FROM {addr} FOR {user_name}, {status_detail}",
        "invalid password for '{user_name}' on '{terminal}' from '{addr}'",
        "invalid password for '{user_name}' on '{terminal}'",
        "invalid password for {user_name} on {terminal}",
    )),
    # --- systemd-logind
    (("systemd-logind",), "authentication", _accepted(), (
        "New session {session_uid} of user {user_name} with class '{session_class}' and type "
        "'{session_type}'.",
        "New session {session_uid} of user {user_name}.",
        "New session '{session_uid}' of user '{user_name}' with class '{session_class}' and type "
        "'{session_type}'.",
    )),
    (("systemd-logind",), "authentication", {"activity_id": LOGOFF, "status_id": SUCCESS}, (
        "Removed session {session_uid}.",
        "Session {session_uid} logged out. Waiting for processes to exit.",
    )),
    # --- accounts
    (("useradd", "adduser"), "account_change", {"activity_id": CREATE, "status_id": SUCCESS}, (
        "new user: name={user_name}, UID={user_uid}, GID={group_uid}, home={home}, shell={shell}, "
        "from={from}",
        "new user: name={user_name}, UID={user_uid}, GID={group_uid}, home={home}, shell={shell}",
        "new user: name={user_name}, uid={user_uid}, gid={group_uid}, home={home}, shell={shell}",
    )),
    (("useradd", "adduser"), "account_change", {"activity_id": CREATE, "status_id": FAILURE}, (
        "failed adding user '{user_name}', exit code: {status_code}",
        "failed adding user '{user_name}', data deleted",
    )),
    (("useradd", "groupadd", "addgroup"), "account_change",
     {"class_uid": GROUP, "activity_id": CREATE_GROUP, "status_id": SUCCESS}, (
        "new group: name={group_name}, GID={group_uid}",
        "group added to /etc/group: name={group_name}, GID={group_uid}",
    )),
    (("useradd", "usermod", "gpasswd"), "account_change",
     {"class_uid": GROUP, "activity_id": ADD_USER, "status_id": SUCCESS}, (
        "add '{user_name}' to group '{group_name}'",
        "add '{user_name}' to shadow group '{group_name}'",
        "user {user_name} added by {actor_user_name} to group {group_name}",
    )),
    (("usermod", "gpasswd", "userdel"), "account_change",
     {"class_uid": GROUP, "activity_id": REMOVE_USER, "status_id": SUCCESS}, (
        "delete '{user_name}' from group '{group_name}'",
        "delete '{user_name}' from shadow group '{group_name}'",
        "user {user_name} removed by {actor_user_name} from group {group_name}",
    )),
    (("userdel", "deluser"), "account_change", {"activity_id": DELETE, "status_id": SUCCESS}, (
        "delete user '{user_name}'",
    )),
    (("groupdel", "userdel", "delgroup"), "account_change",
     {"class_uid": GROUP, "activity_id": DELETE_GROUP, "status_id": SUCCESS}, (
        "group '{group_name}' removed from /etc/group",
        "group '{group_name}' removed",
        "removed group '{group_name}' owned by '{user_name}'",
    )),
    (("usermod",), "account_change", {"activity_id": 99, "status_id": SUCCESS}, (
        "change user '{user_name}' {operation} from '{before}' to '{attribute_value}'",
        "change user '{user_name}' {operation}",
    )),
    (("usermod",), "account_change", {"activity_id": LOCK, "status_id": SUCCESS}, (
        "lock user '{user_name}' password",
    )),
    (("usermod",), "account_change", {"activity_id": UNLOCK, "status_id": SUCCESS}, (
        "unlock user '{user_name}' password",
    )),
    (("chage", "chsh", "chfn"), "account_change", {"activity_id": 99, "status_id": SUCCESS}, (
        "changed password expiry for {user_name}",
        "changed user '{user_name}' shell to '{attribute_value}'",
        "changed user '{user_name}' information",
    )),
    # --- jobs
    (("cron", "crond", "/usr/sbin/cron", "anacron", "fcron"), "job_activity", {"activity_id": 6}, (
        "({user_name}) CMD ({job_cmd_line})",
        "({user_name}) CMD ({job_cmd_line}",
        "({user_name}) CMDEND ({job_cmd_line})",
        "Job `{job_name}' started",
    )),
    (("crond",), "job_activity", {"activity_id": 6}, (
        "USER {user_name} pid {job_pid} cmd {job_cmd_line}",
    )),
    (("crontab",), "job_activity", {"activity_id": 2}, (
        "({actor_user}) REPLACE ({user_name})",
        "({actor_user}) BEGIN EDIT ({user_name})",
        "({actor_user}) END EDIT ({user_name})",
    )),
    (("crontab",), "job_activity", {"activity_id": 3}, ("({actor_user}) DELETE ({user_name})",)),
    (("atd",), "job_activity", {"activity_id": 6}, (
        "Starting job {job_instance_uid} ({job_name}) for user '{user_name}' ({user_uid})",
    )),
    # --- other daemons that let people in
    (("dropbear",), "authentication", _accepted(**REMOTE), (
        "Password auth succeeded for '{user_name}' from {src_ip}:{src_port}",
        "Pubkey auth succeeded for '{user_name}' with {key_type} key {key_fingerprint} from "
        "{src_ip}:{src_port}",
    )),
    (("dropbear",), "authentication", _refused(**REMOTE), (
        "Bad password attempt for '{user_name}' from {src_ip}:{src_port}",
        "Login attempt for nonexistent user from {src_ip}:{src_port}",
        "Login attempt for nonexistent user '{user_name}' from {src_ip}:{src_port}",
    )),
    (("polkitd",), "authentication", _accepted(), (
        "Operator of {_} successfully authenticated as {user_name} to gain {_} authorization for "
        "action {service_name} for {status_detail}",
    )),
)
"""In the order in which they are tried."""
