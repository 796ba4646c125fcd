"""What a row of each table says in one line, whatever evidence it is from."""

USER = "CASE WHEN user_domain IS NULL THEN user_name ELSE user_domain || '\\' || user_name END"
FLOW = (
    "src_ip || coalesce(':' || src_port, '') || ' -> ' || coalesce(dst_ip, '?') || "
    "coalesce(':' || dst_port, '')"
)
BY = "'by ' || actor_path"
RECOVERED = "CASE WHEN parse_flags & 2 <> 0 THEN '(recovered)' END"
WHO = "'as ' || coalesce(user_name, user_uid)"


def _line(*parts: str) -> str:
    """SQL: the parts that are there, in one line."""
    return f"concat_ws(' ', {', '.join(parts)})"


def _activity(column: str = "activity_id", **names: str) -> str:
    cases = " ".join(f"WHEN {key[1:]} THEN '{value}'" for key, value in names.items())
    return f"CASE {column} {cases} ELSE 'activity ' || {column} END"


LINES: dict[str, str] = {
    "process_activity": _line(
        "'process'", _activity(_1="started", _2="ended", _3="opened", _4="injected"),
        "coalesce(proc_cmd_line, proc_path, proc_name)", "'pid ' || proc_pid",
        "'by ' || coalesce(parent_path, parent_name, actor_path)",
        f"'as ' || {USER}", "'exit code ' || exit_code",
    ),
    "file_activity": _line(
        "'file'",
        _activity(_1="created", _2="read", _3="written", _4="deleted", _5="renamed",
                  _6="given other attributes", _7="given other rights", _14="opened"),
        "coalesce(file_path, file_name)", "'from ' || file_prev_path", BY, RECOVERED,
    ),
    "file_query": _line(
        "CASE WHEN is_dir THEN 'folder' ELSE 'file' END",
        "coalesce(file_path, file_name, 'entry ' || mft_entry)",
        "CASE WHEN NOT in_use THEN '(deleted)' END", "CASE WHEN is_orphan THEN '(orphan)' END",
        "CASE WHEN NOT coalesce(is_dir, false) THEN file_size || ' bytes' END",
        "'streams ' || array_to_string(ads, ', ')", RECOVERED,
    ),
    "module_activity": _line(
        "CASE class_uid WHEN 1002 THEN 'driver loaded' ELSE 'library loaded' END", "module_path",
        BY, "'signed by ' || module_signer",
    ),
    "registry_activity": _line(
        "'registry'",
        "CASE WHEN class_uid IN (205004, 205005) THEN 'holds' WHEN class_uid = 201001 THEN "
        + _activity(_1="key created", _2="key read", _3="key changed", _4="key deleted",
                    _5="key renamed")
        + " ELSE " + _activity(_1="value read", _2="value set", _3="value changed",
                               _4="value deleted") + " END",
        "coalesce(nullif(reg_key_path, '') || coalesce('\\' || nullif(reg_value_name, ''), ''), "
        "nullif(reg_value_name, ''), '(a lost key)')",
        "'= ' || nullif(left(reg_value_data, 200), '')", RECOVERED, BY,
    ),
    "service_activity": _line(
        "'service'",
        _activity(_1="installed", _2="changed", _3="started", _4="stopped", _5="paused",
                  _6="continued", _7="deleted"),
        "coalesce(svc_name, svc_display_name)", "svc_cmd_line", "'as ' || svc_account",
    ),
    "job_activity": _line(
        "'task'",
        _activity(_1="created", _2="changed", _3="deleted", _4="enabled", _5="disabled",
                  _6="started"),
        "job_name", "left(job_cmd_line, 500)", "'as ' || job_user",
    ),
    "script_activity": _line(
        "coalesce(script_type, 'script')",
        "'part ' || part_no || ' of ' || part_total", "script_path",
        "left(replace(coalesce(script_content, host_application), chr(10), ' '), 500)",
    ),
    "event_log_activity": _line(
        "'log'",
        _activity(_1="cleared", _2="deleted", _3="exported", _4="archived", _5="rotated",
                  _6="started", _7="stopped", _8="restarted", _9="enabled", _10="disabled"),
        "coalesce(log_target, log_name)", "status_detail", f"'by ' || {USER}",
    ),
    "authentication": _line(
        _activity(_1="logon", _2="logoff", _3="ticket asked for", _4="service ticket asked for",
                  _5="ticket renewed", _6="pre-authentication", _99="access"),
        "CASE status_id WHEN 2 THEN 'failed' END", USER, "'type ' || logon_type_id",
        "'from ' || nullif(concat_ws(' ', src_hostname, src_ip), '')", "auth_protocol",
        "'to ' || coalesce(service_name, dst_hostname)", "status_code",
    ),
    "account_change": _line(
        "'account change'", "type_uid", USER, "'group ' || group_name",
        "'by ' || actor_user_name", "array_to_string(privileges, ', ')",
    ),
    "config_change": _line(
        "'configuration'",
        _activity(_1="created", _2="read", _3="changed", _4="deleted", _8="enabled",
                  _9="disabled", _10="activated", _11="deactivated"),
        "object_name", "'was ' || left(value_before, 200)", "'is ' || left(value_after, 200)",
        "'for ' || coalesce(app_path, service_name)", BY,
    ),
    "application_activity": _line(
        "CASE class_uid WHEN 6007 THEN 'scan ' || "
        + _activity(_1="started", _2="completed", _3="cancelled", _6="failed", _7="paused",
                    _8="resumed")
        + " ELSE 'program ' || "
        + _activity(_1="installed", _2="removed", _3="started", _4="stopped", _5="restarted",
                    _6="enabled", _7="disabled", _8="updated")
        + " END",
        "CASE status_id WHEN 2 THEN 'failed' END", "app_name", "app_version", "app_path",
        "scan_type", "scan_target", "'from ' || app_source", "status_code",
    ),
    "peripheral_activity": _line(
        "'device'",
        _activity(_1="connected", _2="disconnected", _3="enabled", _4="disabled", _5="ejected"),
        "periph_vendor", "periph_model", "periph_name", "'serial ' || periph_serial",
        "image_path", "periph_uid",
    ),
    "network_activity": _line(
        FLOW, "transport", "app_protocol", "conn_state", "bytes_out || ' out'",
        "bytes_in || ' in'", "'to ' || dst_hostname", BY,
    ),
    "dns_activity": _line(
        "coalesce(query_type || ' ', '') || query_hostname",
        "'= ' || array_to_string(answers, ', ')", "coalesce(rcode, status_code)",
        "'from ' || src_ip", BY,
    ),
    "http_activity": _line(
        "http_method",
        "coalesce(url_hostname, '') || coalesce(url_path, '') || coalesce('?' || url_query, '')",
        "status_code", FLOW, "left(user_agent, 200)",
    ),
    "cloud_activity": _line(
        "coalesce(user_name, user_email, user_uid, 'someone')", "api_operation", "api_service",
        "'from ' || src_ip", "api_error",
    ),
    "mail_activity": _line(
        "coalesce(header_from, mail_from)", "'to ' || rcpt_to", "left(subject, 200)", "url",
        "disposition",
    ),
    "tls_activity": _line("tls_version", "sni", FLOW, "cert_subject", "ja4"),
    "smb_activity": _line(
        "coalesce(command, dce_operation, 'smb')", "share", "file_path", "named_pipe", FLOW,
        "user_name", BY,
    ),
    "remote_access_activity": _line("protocol", FLOW, "client", "server", USER,
                                    "CASE WHEN auth_success THEN 'authenticated' "
                                    "WHEN NOT auth_success THEN 'not authenticated' END"),
    "net_service_activity": _line("protocol", "command", "argument", FLOW, "user_name",
                                  "hostname", "assigned_ip", "mail_from", "subject"),
    "network_weird": _line("'weird'", "name", "additional", FLOW),
    "certificate": _line("'certificate'", "cert_subject", "'by ' || cert_issuer", "cert_sha256"),
    "network_file_activity": _line("'file over'", "protocol", "file_name", "mime_type",
                                   "seen_bytes || ' bytes'", FLOW, "file_sha256"),
    "ics_activity": _line("protocol", "function", "CASE WHEN is_write THEN '(write)' END",
                          "'unit ' || unit_id", "'address ' || address", FLOW),
    "artifact_query": _line(
        "artifact", "coalesce(subject_path, subject_name, cmd_line, key_path)",
        "CASE WHEN subject_path IS NOT NULL AND NOT contains(lower(subject_path), "
        "lower(subject_name)) THEN subject_name END",
        "CASE WHEN coalesce(subject_path, subject_name) IS NOT NULL AND cmd_line IS DISTINCT FROM "
        "subject_path THEN left(cmd_line, 300) END",
        "CASE run_count WHEN 1 THEN 'run once' ELSE 'run ' || run_count || ' times' END",
        "bytes_out || ' out'", "bytes_in || ' in'", "'on ' || machine_uid", WHO,
        "left(detail, 500)", RECOVERED,
    ),
    "inventory": _line(
        "fact", "device_hostname", "device_uid", "'in ' || device_domain", "os_name", "os_version",
        "os_build", "time_zone", "coalesce(interface_name, interface_uid)", "interface_mac",
        "nullif(array_to_string(addresses, ', '), '')", "hardware_vendor", "hardware_model", USER,
        "user_uid", "user_home", "left(detail, 500)",
    ),
    "browser_activity": _line("browser", "record_type", "url", "title", "'to ' || file_path",
                              "'for ' || login_name", "'as ' || user_name"),
    "detection_finding": _line("analytic_type", "coalesce(title, analytic_name)", "threat_name",
                               "file_path", "array_to_string(attack_techniques, ', ')"),
    "raw_event": _line(
        "'event ' || event_code", "log_provider",
        "coalesce(message, left(array_to_string(list_transform(map_entries(unmapped), "
        "lambda e: e.key || '=' || coalesce(e.value, '')), ' '), 500))",
    ),
}
"""One line that says what the row says, per table."""
