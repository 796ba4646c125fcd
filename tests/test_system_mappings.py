"""Events of the System and Application logs, RDP, tasks and WMI that no sample has: what becomes
of them. Names and order of the values are those of the providers' manifests; what there are
samples of is in tests/golden/windows."""

from typing import Any

import pytest

from tracelake.normalize import mapping
from tracelake.normalize.rebuild import pairs
from tracelake.parsers.events import Events

SCM = "Service Control Manager"
LSM = "Microsoft-Windows-TerminalServices-LocalSessionManager"
RCM = "Microsoft-Windows-TerminalServices-RemoteConnectionManager"
CLIENT = "Microsoft-Windows-TerminalServices-ClientActiveXCore"
CORE = "Microsoft-Windows-RemoteDesktopServices-RdpCoreTS"
TASKS = "Microsoft-Windows-TaskScheduler"
WINRM = "Microsoft-Windows-WinRM"
GATEWAY = "Microsoft-Windows-TerminalServices-Gateway"
UMDF = "Microsoft-Windows-DriverFrameworks-UserMode"
GUID = "2d4a8ea0-e867-5f64-1300-000000000800"
LOADED = mapping.load()


def row_of(provider: str, code: str, named: dict[str, str]) -> tuple[str, dict[str, Any]]:
    """(table, row) of an event; every pair of it has been rebuilt from the row."""
    events = Events(LOADED)
    events.add(provider, code, [(name, "text", text.encode()) for name, text in named.items()])
    ((table, batch),) = events.take(True)
    (row,) = batch.to_pylist()
    event = LOADED.events[provider, code].section(named)
    assert pairs(row, event) == named
    return table, row


def binary(text: str) -> str:
    return text.encode("utf-16-le").hex().upper()


@pytest.mark.parametrize(
    ("provider", "code", "named", "table", "columns"),
    [
        (SCM, "7036", {"param1": "Windows Update", "param2": "läuft", "Binary":
                       binary("wuauserv/4\0")}, "service_activity",
         {"activity_id": 3, "svc_name": "wuauserv", "svc_display_name": "Windows Update",
          "svc_state": "läuft"}),
        (SCM, "7036", {"param1": "BITS", "param2": "stopped"}, "service_activity",
         {"activity_id": 4, "svc_name": None, "svc_display_name": "BITS"}),
        (SCM, "7036", {"param1": "BITS", "param2": "?"}, "service_activity", {"activity_id": 99}),
        (SCM, "7000", {"param1": "Evil", "param2": "%%1053"}, "service_activity",
         {"activity_id": 3, "status_id": 2, "status_code": "%%1053",
          "status_detail": "ERROR_SERVICE_REQUEST_TIMEOUT"}),
        (SCM, "7034", {"param1": "Spooler", "param2": "2", "Binary": binary("Spooler\0")},
         "service_activity", {"activity_id": 4, "status_id": 2, "svc_name": "Spooler"}),
        ("User32", "1074", {"param1": "C:\\Windows\\x.exe (HOST)", "param5": "Neustart",
                            "param7": "CORP\\bob"}, "event_log_activity",
         {"activity_id": 8, "actor_path": "C:\\Windows\\x.exe", "user_name": "bob",
          "user_domain": "CORP"}),
        ("User32", "1074", {"param5": "power off"}, "event_log_activity", {"activity_id": 7}),
        ("EventLog", "6008", {"Data": "10:00:00", "Data[2]": "1/1/2024"}, "event_log_activity",
         {"activity_id": 7, "status_id": 2}),
        ("Microsoft-Windows-Eventlog", "104",
         {"SubjectUserName": "bob", "SubjectDomainName": "CORP", "Channel": "System",
          "BackupPath": "c:\\s.evtx"}, "event_log_activity",
         {"activity_id": 1, "log_target": "System", "log_file": "c:\\s.evtx", "user_name": "bob"}),
        (LSM, "25", {"User": "CORP\\bob", "SessionID": "3", "Address": "10.0.0.9"},
         "authentication", {"activity_id": 1, "user_name": "bob", "src_ip": "10.0.0.9",
                            "terminal": "3", "is_remote": None}),
        (RCM, "20506", {"Param1": "CORP\\eve", "Param2": "WS9", "Param3": "CORP\\bob",
                        "Param4": "2"}, "remote_access_activity",
         {"class_uid": 4005, "activity_id": 3, "user_name": "eve", "src_hostname": "WS9",
          "session_uid": "2", "protocol": "rdp"}),
        (CLIENT, "1024", {"Name": "Server Name", "Value": "dc1.corp", "CustomLevel": "Info"},
         "remote_access_activity", {"activity_id": 1, "dst_hostname": "dc1.corp"}),
        (CLIENT, "1102", {"Name": "Server Address", "Value": "10.0.0.5"},
         "remote_access_activity", {"activity_id": 1, "dst_ip": "10.0.0.5"}),
        (CLIENT, "1029", {"TraceMessage": "AbC=-"}, "remote_access_activity",
         {"activity_id": 99, "user_name_hash": "AbC=-"}),
        (CORE, "131", {"ConnType": "TCP", "ClientIP": "10.0.0.9:50123"},
         "remote_access_activity", {"activity_id": 1, "src_ip": "10.0.0.9", "src_port": 50123}),
        (CORE, "131", {"ConnType": "UDP", "ClientIP": "[fe80::1]:50123"},
         "remote_access_activity", {"src_ip": "fe80::1", "src_port": 50123}),
        (CORE, "140", {"IPString": "10.0.0.9"}, "authentication",
         {"activity_id": 6, "status_id": 2, "src_ip": "10.0.0.9"}),
        (GATEWAY, "303", {"Username": "CORP\\bob", "IpAddress": "1.2.3.4", "AuthType": "NTLM",
                          "Resource": "pc1", "BytesReceived": "5", "SessionDuration": "7"},
         "remote_access_activity", {"activity_id": 7, "user_name": "bob", "dst_hostname": "pc1",
                                    "src_ip": "1.2.3.4"}),
        (TASKS, "140", {"TaskName": "\\T", "UserName": "CORP\\bob"}, "job_activity",
         {"activity_id": 2, "job_name": "\\T", "user_name": "bob", "user_domain": "CORP"}),
        (TASKS, "141", {"TaskName": "\\T", "UserName": "CORP\\bob"}, "job_activity",
         {"activity_id": 3}),
        (TASKS, "200", {"TaskName": "\\T", "ActionName": "C:\\x.exe", "EnginePID": "77",
                        "TaskInstanceId": "{2d4a8ea0-e867-5f64-1300-000000000800}"},
         "job_activity", {"activity_id": 6, "job_cmd_line": "C:\\x.exe", "job_pid": 77,
                          "job_instance_uid": "{2d4a8ea0-e867-5f64-1300-000000000800}"}),
        (TASKS, "201", {"TaskName": "\\T", "ActionName": "x", "ResultCode": "2147942402"},
         "job_activity", {"activity_id": 99, "result_code": "2147942402",
                          "result_detail": "ERROR_FILE_NOT_FOUND"}),
        ("Microsoft-Windows-WMI-Activity", "5861",
         {"Namespace": "//./root/subscription", "ESS": "F", "CONSUMER":
          'CommandLineEventConsumer="C"', "PossibleCause":
          'instance of CommandLineEventConsumer\n{\n\tCommandLineTemplate = "cmd /c \\"x\\"";\n};'},
         "artifact_query", {"class_uid": 5022, "artifact": "wmi_subscription",
                            "subject_name": "F", "cmd_line": 'cmd /c "x"'}),
        (WINRM, "6", {"connection": "dc1.corp/wsman?PSVersion=5.1"}, "remote_access_activity",
         {"class_uid": 4001, "activity_id": 1, "dst_hostname": "dc1.corp", "protocol": "winrm"}),
        ("OpenSSH", "4", {"process": "sshd", "payload":
                          "Accepted publickey for bob from 10.0.0.9 port 50123 ssh2: ED25519 x"},
         "remote_access_activity",
         {"class_uid": 4007, "activity_id": 1, "auth_success": True, "auth_method": "publickey",
          "src_ip": "10.0.0.9", "src_port": 50123, "protocol": "ssh"}),
        ("OpenSSH", "4", {"process": "sshd", "payload": "Server listening on :: port 22."},
         "remote_access_activity", {"activity_id": 7, "auth_success": None}),
        ("MSSQLSERVER", "18456", {"Data": "sa", "Data[2]": " Reason: x", "Data[3]":
                                  " [CLIENT: 10.0.0.9]"}, "authentication",
         {"activity_id": 1, "status_id": 2, "user_name": "sa", "src_ip": "10.0.0.9",
          "service_name": "MSSQLSERVER"}),
        ("MSSQLSERVER", "15457", {"Data": "xp_cmdshell", "Data[2]": "0", "Data[3]": "1"},
         "config_change", {"activity_id": 3, "object_name": "xp_cmdshell", "value_before": "0",
                           "value_after": "1"}),
        ("ESENT", "216", {"Data": "lsass", "Data[2]": "628", "Data[3]": "", "Data[4]":
                          "C:\\Windows\\NTDS\\ntds.dit", "Data[5]": "\\\\?\\x\\ntds.dit"},
         "file_activity", {"activity_id": 99, "actor_name": "lsass", "actor_pid": 628,
                           "file_path": "\\\\?\\x\\ntds.dit", "file_name": "ntds.dit",
                           "file_prev_path": "C:\\Windows\\NTDS\\ntds.dit"}),
        ("NetLogon", "5829", {"Data": "WS1$", "Data[2]": "CORP"}, "authentication",
         {"status_id": 1, "user_name": "WS1$", "user_domain": "CORP"}),
        (UMDF, "2003", {"UMDFHostDeviceArrivalBegin.instance": "WPDBUSENUMROOT\\x",
                        "UMDFHostDeviceArrivalBegin.lifetime": f"{{{GUID}}}"},
         "peripheral_activity", {"activity_id": 1, "periph_uid": "WPDBUSENUMROOT\\x",
                                 "lifetime_uid": f"{{{GUID}}}"}),
        (UMDF, "2102", {"InstanceId": "USB\\y", "LifetimeId": f"{{{GUID}}}", "Status": "0",
                        "RequestMajorCode": "27", "RequestMinorCode": "23"},
         "peripheral_activity", {"activity_id": 2, "periph_uid": "USB\\y",
                                 "status_code": "0"}),
        ("PowerShellCore", "4104", {"MessageNumber": "1", "MessageTotal": "2", "ScriptBlockText":
                                    "x", "ScriptBlockId": "u", "Path": ""}, "script_activity",
         {"activity_id": 1, "part_no": 1, "part_total": 2, "script_content": "x"}),
        ("Microsoft-Windows-PowerShell", "4103", {"ContextInfo":
                                                  "        Nombre de host = H\r\n"
                                                  "        Aplicación host = p.exe -c \"a\r\nb\""
                                                  "\r\n        Usuario = CORP\\bob\r\n"},
         "script_activity", {"host_name": "H", "host_application": 'p.exe -c "a\r\nb"',
                             "user_name": "bob", "user_domain": "CORP"}),
    ],
)
def test_what_becomes_of_an_event(
    provider: str, code: str, named: dict[str, str], table: str, columns: dict[str, Any]
) -> None:
    found, row = row_of(provider, code, named)
    assert found == table
    assert {name: row.get(name) for name in columns} == columns
