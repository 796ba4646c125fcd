"""Zeek's logs: which rows each one means. Names of fields stand in the columns' metadata."""

from tracelake.normalize.alias import Alias

WIRE = "conn_uid IS NOT NULL"
URI = (
    "coalesce(url, url_path || CASE WHEN url_query IS NULL THEN '' ELSE '?' || url_query END)"
)

LOGS: dict[str, Alias] = {
    "conn": Alias(
        "network_activity", WIRE,
        {"id.orig_p": "coalesce(src_port, icmp_type)",
         "id.resp_p": "coalesce(dst_port, icmp_code)"},
    ),
    "dns": Alias("dns_activity", WIRE),
    "http": Alias("http_activity", WIRE, {"uri": URI}),
    "websocket": Alias(
        "http_activity", f"{WIRE} AND lower(upgrade_protocol) = 'websocket'",
        {"uri": URI, "subprotocol": "ws_protocol[1]", "client_protocols": "ws_client_protocols",
         "server_extensions": "ws_server_extensions",
         "client_extensions": "ws_client_extensions"},
    ),
    "ssl": Alias("tls_activity", f"{WIRE} AND (quic_version IS NULL OR tls_history <> '')"),
    "quic": Alias(
        "tls_activity", f"{WIRE} AND quic_version IS NOT NULL",
        {"version": "quic_version", "server_name": "sni"},
    ),
    "x509": Alias("certificate"),
    "files": Alias("network_file_activity", WIRE, {"md5": "file_md5", "sha1": "file_sha1",
                                                   "sha256": "file_sha256"}),
    "smb_files": Alias("smb_activity", f"{WIRE} AND file_path IS NOT NULL"),
    # Zeek's own line has no command; a share without a name is one that was mapped unseen.
    "smb_mapping": Alias(
        "smb_activity", f"{WIRE} AND (command = 'TREE_CONNECT' OR command IS NULL "
        "AND file_path IS NULL AND dce_operation IS NULL AND share IS NOT NULL)"
    ),
    "dce_rpc": Alias("smb_activity", f"{WIRE} AND dce_operation IS NOT NULL"),
    "kerberos": Alias(
        "authentication", f"{WIRE} AND lower(auth_protocol) = 'kerberos'",
        {"client": "coalesce(user_name || '/', '') || user_domain", "success": "status_id = 1",
         "error_msg": "status_detail", "cipher": "ticket_cipher"},
    ),
    "ntlm": Alias(
        "authentication", f"{WIRE} AND lower(auth_protocol) = 'ntlm'",
        {"username": "user_name", "domainname": "user_domain", "hostname": "src_hostname",
         "success": "status_id = 1"},
    ),
    "rdp": Alias("remote_access_activity", f"{WIRE} AND class_uid = 4005"),
    "ssh": Alias("remote_access_activity", f"{WIRE} AND class_uid = 4007"),
    "tunnel": Alias("remote_access_activity", f"{WIRE} AND class_uid = 4014"),
    "dhcp": Alias("net_service_activity", f"{WIRE} AND class_uid = 4004"),
    "ftp": Alias("net_service_activity", f"{WIRE} AND class_uid = 4008"),
    "smtp": Alias(
        "net_service_activity", f"{WIRE} AND class_uid = 4009",
        {"date": "header_date", "reply_to": "header_reply_to"},
    ),
    "ntp": Alias("net_service_activity", f"{WIRE} AND class_uid = 4013"),
    "snmp": Alias("net_service_activity", f"{WIRE} AND protocol = 'snmp'"),
    "ldap": Alias(
        "net_service_activity", f"{WIRE} AND protocol = 'ldap' AND opcode <> 'search'",
        {"argument": "argument", "version": "CAST(protocol_version AS INTEGER)"},
    ),
    "ldap_search": Alias(
        "net_service_activity", f"{WIRE} AND protocol = 'ldap' AND opcode = 'search'",
        {"base_object": "base_object", "filter": "query"},
    ),
    "radius": Alias(
        "net_service_activity", f"{WIRE} AND protocol = 'radius'", {"username": "user_name"}
    ),
    "sip": Alias(
        "net_service_activity", f"{WIRE} AND protocol = 'sip'",
        {"method": "command", "status_code": "reply_code", "status_msg": "reply",
         "date": "date", "reply_to": "reply_to"},
    ),
    "syslog": Alias(
        "net_service_activity", f"{WIRE} AND protocol = 'syslog'",
        {"message": "message"},
    ),
    "mysql": Alias(
        "net_service_activity", f"{WIRE} AND protocol = 'mysql'",
        {"cmd": "command", "success": "status_id = 1", "response": "reply"},
    ),
    "irc": Alias("net_service_activity", f"{WIRE} AND protocol = 'irc'"),
    "mqtt_connect": Alias(
        "net_service_activity", f"{WIRE} AND protocol = 'mqtt' AND command = 'CONNECT'",
        {"proto_version": "protocol_version"},
    ),
    "mqtt_publish": Alias(
        "net_service_activity", f"{WIRE} AND protocol = 'mqtt' AND command = 'PUBLISH'"
    ),
    "mqtt_subscribe": Alias(
        "net_service_activity",
        f"{WIRE} AND protocol = 'mqtt' AND command IN ('SUBSCRIBE', 'UNSUBSCRIBE')",
        {"action": "'MQTT::' || command"},
    ),
    "socks": Alias(
        "remote_access_activity", f"{WIRE} AND protocol = 'socks'",
        {"user": "user_name", "status": "result", "version": "CAST(protocol_version AS INTEGER)"},
    ),
    "rfb": Alias(
        "remote_access_activity", f"{WIRE} AND protocol = 'rfb'",
        {"auth": "auth_success", "authentication_method": "auth_method",
         "width": "desktop_width", "height": "desktop_height"},
    ),
    "weird": Alias("network_weird"),
    "modbus": Alias("ics_activity", f"{WIRE} AND protocol = 'modbus'"),
    "dnp3": Alias("ics_activity", f"{WIRE} AND protocol = 'dnp3'",
                  {"fc_request": "function"}),
}
