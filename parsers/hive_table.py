"""Keys of the registry that mean something, and what: the one place to add another.

Patterns: see hive_patterns.py. The first part is the kind of hive (hive_roots.py).

AUTOSTARTS need no code: what a value there names is started by Windows, or by a program of it.
A line: what it is | names of the values, `*` for all | pattern. `(Default)` is the default value.
DECODED are read by a function: its name in hive_meaning.DECODERS | pattern.
"""

AUTOSTARTS = r"""
run_key          | *  | SOFTWARE\(Wow6432Node)\Microsoft\Windows\CurrentVersion\Run
run_key          | *  | NTUSER\Software\(Wow6432Node)\Microsoft\Windows\CurrentVersion\Run
run_once_key     | *  | SOFTWARE\(Wow6432Node)\Microsoft\Windows\CurrentVersion\RunOnce
run_once_key     | *  | NTUSER\Software\(Wow6432Node)\Microsoft\Windows\CurrentVersion\RunOnce
run_once_ex      | *  | SOFTWARE\(Wow6432Node)\Microsoft\Windows\CurrentVersion\RunOnceEx\(*)
run_once_ex      | *  | NTUSER\Software\Microsoft\Windows\CurrentVersion\RunOnceEx\(*)
run_services     | *  | SOFTWARE\Microsoft\Windows\CurrentVersion\RunServices
run_services     | *  | SOFTWARE\Microsoft\Windows\CurrentVersion\RunServicesOnce
run_services     | *  | NTUSER\Software\Microsoft\Windows\CurrentVersion\RunServices
run_policy       | *  | SOFTWARE\Microsoft\Windows\CurrentVersion\Policies\Explorer\Run
run_policy       | *  | NTUSER\Software\Microsoft\Windows\CurrentVersion\Policies\Explorer\Run
run_terminal     | *  | SOFTWARE\(Wow6432Node)\Microsoft\Windows NT\CurrentVersion\Terminal Server\Install\Software\Microsoft\Windows\CurrentVersion\Run
run_terminal     | *  | SOFTWARE\(Wow6432Node)\Microsoft\Windows NT\CurrentVersion\Terminal Server\Install\Software\Microsoft\Windows\CurrentVersion\RunOnce
windows_load     | Load,Run | NTUSER\Software\Microsoft\Windows NT\CurrentVersion\Windows
winlogon         | Shell,Userinit,Taskman,VmApplet,System,GinaDLL,UIHost,AppSetup,LsaStart,SaveDumpStart | SOFTWARE\(Wow6432Node)\Microsoft\Windows NT\CurrentVersion\Winlogon
winlogon         | Shell,Userinit | NTUSER\Software\Microsoft\Windows NT\CurrentVersion\Winlogon
winlogon_notify  | DLLName | SOFTWARE\Microsoft\Windows NT\CurrentVersion\Winlogon\Notify\*
shell_policy     | Shell | SOFTWARE\Microsoft\Windows\CurrentVersion\Policies\System
shell_policy     | Shell | NTUSER\Software\Microsoft\Windows\CurrentVersion\Policies\System
alternate_shell  | AlternateShell | SYSTEM\ControlSet*\Control\SafeBoot
appinit_dlls     | AppInit_DLLs | SOFTWARE\(Wow6432Node)\Microsoft\Windows NT\CurrentVersion\Windows
ifeo_debugger    | Debugger,VerifierDlls,GlobalFlag | SOFTWARE\(Wow6432Node)\Microsoft\Windows NT\CurrentVersion\Image File Execution Options\*
silent_exit      | MonitorProcess | SOFTWARE\Microsoft\Windows NT\CurrentVersion\SilentProcessExit\*
active_setup     | StubPath | SOFTWARE\(Wow6432Node)\Microsoft\Active Setup\Installed Components\*
boot_execute     | BootExecute,SetupExecute,Execute,S0InitialCommand | SYSTEM\ControlSet*\Control\Session Manager
appcert_dlls     | *  | SYSTEM\ControlSet*\Control\Session Manager\AppCertDlls
known_dlls       | *  | SYSTEM\ControlSet*\Control\Session Manager\KnownDLLs
lsa_packages     | Authentication Packages,Notification Packages,Security Packages | SYSTEM\ControlSet*\Control\Lsa
lsa_packages     | Security Packages | SYSTEM\ControlSet*\Control\Lsa\OSConfig
lsa_extension    | Extensions | SYSTEM\ControlSet*\Control\LsaExtensionConfig\LsaSrv
security_provider | SecurityProviders | SYSTEM\ControlSet*\Control\SecurityProviders
wdigest          | UseLogonCredential | SYSTEM\ControlSet*\Control\SecurityProviders\WDigest
print_monitor    | Driver | SYSTEM\ControlSet*\Control\Print\Monitors\*
print_provider   | Name | SYSTEM\ControlSet*\Control\Print\Providers\*
network_provider | ProviderPath | SYSTEM\ControlSet*\Services\*\NetworkProvider
time_provider    | DllName | SYSTEM\ControlSet*\Services\W32Time\TimeProviders\*
winsock_provider | LibraryPath | SYSTEM\ControlSet*\Services\WinSock2\Parameters\NameSpace_Catalog5\Catalog_Entries\*
winsock_autodial | AutodialDLL | SYSTEM\ControlSet*\Services\WinSock2\Parameters
netsh_helper     | *  | SOFTWARE\(Wow6432Node)\Microsoft\NetSh
terminal_program | InitialProgram | SYSTEM\ControlSet*\Control\Terminal Server\WinStations\*
terminal_startup | StartupPrograms | SYSTEM\ControlSet*\Control\Terminal Server\Wds\rdpwd
credential_provider | (Default) | SOFTWARE\Microsoft\Windows\CurrentVersion\Authentication\Credential Providers\*
credential_provider | (Default) | SOFTWARE\Microsoft\Windows\CurrentVersion\Authentication\Credential Provider Filters\*
browser_helper   | (Default) | SOFTWARE\(Wow6432Node)\Microsoft\Windows\CurrentVersion\Explorer\Browser Helper Objects\*
shell_service_object | * | SOFTWARE\(Wow6432Node)\Microsoft\Windows\CurrentVersion\ShellServiceObjectDelayLoad
shell_execute_hook | * | SOFTWARE\(Wow6432Node)\Microsoft\Windows\CurrentVersion\Explorer\ShellExecuteHooks
shared_scheduler | *  | SOFTWARE\(Wow6432Node)\Microsoft\Windows\CurrentVersion\Explorer\SharedTaskScheduler
startup_folder   | Startup,Common Startup | SOFTWARE\Microsoft\Windows\CurrentVersion\Explorer\User Shell Folders
startup_folder   | Startup | NTUSER\Software\Microsoft\Windows\CurrentVersion\Explorer\User Shell Folders
command_autorun  | AutoRun | SOFTWARE\(Wow6432Node)\Microsoft\Command Processor
command_autorun  | AutoRun | NTUSER\Software\Microsoft\Command Processor
logon_script     | UserInitMprLogonScript | NTUSER\Environment
screen_saver     | SCRNSAVE.EXE | NTUSER\Control Panel\Desktop
office_test      | (Default) | SOFTWARE\(Wow6432Node)\Microsoft\Office test\Special\Perf
office_test      | (Default) | NTUSER\Software\Microsoft\Office test\Special\Perf
office_addin     | Manifest,FriendlyName,LoadBehavior | SOFTWARE\(Wow6432Node)\Microsoft\Office\*\Addins\*
office_addin     | Manifest,FriendlyName,LoadBehavior | NTUSER\Software\Microsoft\Office\*\Addins\*
open_command     | (Default),DelegateExecute | USRCLASS\*\shell\*\command
com_hijack       | (Default) | USRCLASS\(Wow6432Node)\CLSID\*\InprocServer32
com_hijack       | (Default) | USRCLASS\(Wow6432Node)\CLSID\*\LocalServer32
com_hijack       | (Default) | USRCLASS\(Wow6432Node)\CLSID\*\InprocHandler32
com_hijack       | (Default) | USRCLASS\(Wow6432Node)\CLSID\*\TreatAs
com_hijack       | (Default) | USRCLASS\(Wow6432Node)\CLSID\*\ScriptletURL
com_hijack       | (Default) | NTUSER\Software\Classes\CLSID\*\InprocServer32
com_hijack       | (Default) | NTUSER\Software\Classes\CLSID\*\LocalServer32
gpo_script       | Script,Parameters | SOFTWARE\Microsoft\Windows\CurrentVersion\Group Policy\State\Machine\Scripts\*\*\*
gpo_script       | Script,Parameters | NTUSER\Software\Microsoft\Windows\CurrentVersion\Group Policy\Scripts\*\*\*
clr_profiler     | COR_PROFILER,COR_PROFILER_PATH,COR_ENABLE_PROFILING | NTUSER\Environment
clr_profiler     | COR_PROFILER,COR_PROFILER_PATH,COR_ENABLE_PROFILING | SYSTEM\ControlSet*\Control\Session Manager\Environment
error_debugger   | Debugger,Auto | SOFTWARE\(Wow6432Node)\Microsoft\Windows NT\CurrentVersion\AeDebug
error_debugger   | Debugger,ReflectDebugger | SOFTWARE\Microsoft\Windows\Windows Error Reporting\Hangs
pending_rename   | PendingFileRenameOperations,PendingFileRenameOperations2 | SYSTEM\ControlSet*\Control\Session Manager
defender_exclusion | * | SOFTWARE\(Policies)\Microsoft\Windows Defender\Exclusions\*
defender_setting | DisableAntiSpyware,DisableAntiVirus,PUAProtection | SOFTWARE\(Policies)\Microsoft\Windows Defender
defender_setting | DisableRealtimeMonitoring,DisableBehaviorMonitoring,DisableIOAVProtection,DisableScriptScanning,DisableOnAccessProtection | SOFTWARE\(Policies)\Microsoft\Windows Defender\Real-Time Protection
firewall_rule    | *  | SYSTEM\ControlSet*\Services\SharedAccess\Parameters\FirewallPolicy\FirewallRules
firewall_rule    | *  | SYSTEM\ControlSet*\Services\SharedAccess\Parameters\FirewallPolicy\*\AuthorizedApplications\List
port_proxy       | *  | SYSTEM\ControlSet*\Services\PortProxy\*\tcp
remote_desktop   | fDenyTSConnections | SYSTEM\ControlSet*\Control\Terminal Server
script_logging   | *  | SOFTWARE\Policies\Microsoft\Windows\PowerShell\*
"""

DECODED = r"""
service          | SYSTEM\ControlSet*\Services\*
shimcache        | SYSTEM\ControlSet*\Control\Session Manager\AppCompatCache
shimcache        | SYSTEM\ControlSet*\Control\Session Manager\AppCompatibility
bam              | SYSTEM\ControlSet*\Services\bam\(State)\UserSettings\*
dam              | SYSTEM\ControlSet*\Services\dam\(State)\UserSettings\*
usb_device       | SYSTEM\ControlSet*\Enum\USBSTOR\*\*
usb_device       | SYSTEM\ControlSet*\Enum\USB\*\*
usb_device       | SYSTEM\ControlSet*\Enum\SCSI\*\*
usb_device       | SYSTEM\ControlSet*\Enum\SWD\WPDBUSENUM\*
usb_device       | SYSTEM\ControlSet*\Enum\WpdBusEnumRoot\*\*
mounted_devices  | SYSTEM\MountedDevices
computer_name    | SYSTEM\ControlSet*\Control\ComputerName\ComputerName
time_zone        | SYSTEM\ControlSet*\Control\TimeZoneInformation
last_shutdown    | SYSTEM\ControlSet*\Control\Windows
hardware         | SYSTEM\ControlSet*\Control\SystemInformation
tcpip            | SYSTEM\ControlSet*\Services\Tcpip\Parameters
interface        | SYSTEM\ControlSet*\Services\Tcpip\Parameters\Interfaces\*
interface        | SYSTEM\ControlSet*\Services\Tcpip\Parameters\Interfaces\*\*
network_share    | SYSTEM\ControlSet*\Services\LanmanServer\Shares
control_set      | SYSTEM\Select
os               | SOFTWARE\Microsoft\Windows NT\CurrentVersion
machine_uid      | SOFTWARE\Microsoft\Cryptography
profile          | SOFTWARE\Microsoft\Windows NT\CurrentVersion\ProfileList\*
network_profile  | SOFTWARE\Microsoft\Windows NT\CurrentVersion\NetworkList\Profiles\*
network_signature | SOFTWARE\Microsoft\Windows NT\CurrentVersion\NetworkList\Signatures\*\*
network_card     | SOFTWARE\Microsoft\Windows NT\CurrentVersion\NetworkCards\*
last_logon       | SOFTWARE\Microsoft\Windows\CurrentVersion\Authentication\LogonUI
auto_logon       | SOFTWARE\Microsoft\Windows NT\CurrentVersion\Winlogon
task_cache       | SOFTWARE\Microsoft\Windows NT\CurrentVersion\Schedule\TaskCache
program          | SOFTWARE\(Wow6432Node)\Microsoft\Windows\CurrentVersion\Uninstall\*
program          | NTUSER\Software\Microsoft\Windows\CurrentVersion\Uninstall\*
app_path         | SOFTWARE\(Wow6432Node)\Microsoft\Windows\CurrentVersion\App Paths\*
portable_device  | SOFTWARE\Microsoft\Windows Portable Devices\Devices\*
volume_label     | SOFTWARE\Microsoft\Windows Search\VolumeInfoCache\*
ready_boost      | SOFTWARE\Microsoft\Windows NT\CurrentVersion\EMDMgmt\*
compat_store     | SOFTWARE\Microsoft\Windows NT\CurrentVersion\AppCompatFlags\Compatibility Assistant\Store
compat_store     | SOFTWARE\Microsoft\Windows NT\CurrentVersion\AppCompatFlags\Compatibility Assistant\Persisted
compat_store     | NTUSER\Software\Microsoft\Windows NT\CurrentVersion\AppCompatFlags\Compatibility Assistant\Store
compat_store     | NTUSER\Software\Microsoft\Windows NT\CurrentVersion\AppCompatFlags\Compatibility Assistant\Persisted
compat_layers    | SOFTWARE\Microsoft\Windows NT\CurrentVersion\AppCompatFlags\Layers
compat_layers    | NTUSER\Software\Microsoft\Windows NT\CurrentVersion\AppCompatFlags\Layers
accounts         | SAM\SAM\Domains
policy           | SECURITY\Policy
cached_logons    | SECURITY\Cache
lsa_secret       | SECURITY\Policy\Secrets\*
userassist       | NTUSER\Software\Microsoft\Windows\CurrentVersion\Explorer\UserAssist\*\Count
muicache         | USRCLASS\Local Settings\Software\Microsoft\Windows\Shell\MuiCache
muicache         | USRCLASS\Local Settings\MuiCache\*\*
muicache         | NTUSER\Software\Microsoft\Windows\ShellNoRoam\MUICache
muicache         | NTUSER\Software\Classes\Local Settings\Software\Microsoft\Windows\Shell\MuiCache
shellbags        | USRCLASS\(Wow6432Node)\Local Settings\Software\Microsoft\Windows\Shell\BagMRU
shellbags        | USRCLASS\Local Settings\Software\Microsoft\Windows\ShellNoRoam\BagMRU
shellbags        | NTUSER\Software\Microsoft\Windows\Shell\BagMRU
shellbags        | NTUSER\Software\Microsoft\Windows\ShellNoRoam\BagMRU
shellbags        | NTUSER\Software\Microsoft\Windows\StreamMRU
shellbags        | NTUSER\Software\Classes\Local Settings\Software\Microsoft\Windows\Shell\BagMRU
recent_docs      | NTUSER\Software\Microsoft\Windows\CurrentVersion\Explorer\RecentDocs
recent_docs      | NTUSER\Software\Microsoft\Windows\CurrentVersion\Explorer\RecentDocs\*
run_mru          | NTUSER\Software\Microsoft\Windows\CurrentVersion\Explorer\RunMRU
typed_paths      | NTUSER\Software\Microsoft\Windows\CurrentVersion\Explorer\TypedPaths
typed_urls       | NTUSER\Software\Microsoft\Internet Explorer
typed_urls       | USRCLASS\Local Settings\Software\Microsoft\Windows\CurrentVersion\AppContainer\Storage\microsoft.microsoftedge_8wekyb3d8bbwe\MicrosoftEdge
open_save_mru    | NTUSER\Software\Microsoft\Windows\CurrentVersion\Explorer\ComDlg32\OpenSavePidlMRU\(*)
open_save_mru    | NTUSER\Software\Microsoft\Windows\CurrentVersion\Explorer\ComDlg32\OpenSaveMRU\(*)
last_visited_mru | NTUSER\Software\Microsoft\Windows\CurrentVersion\Explorer\ComDlg32\LastVisitedPidlMRU
last_visited_mru | NTUSER\Software\Microsoft\Windows\CurrentVersion\Explorer\ComDlg32\LastVisitedPidlMRULegacy
last_visited_mru | NTUSER\Software\Microsoft\Windows\CurrentVersion\Explorer\ComDlg32\LastVisitedMRU
word_wheel_query | NTUSER\Software\Microsoft\Windows\CurrentVersion\Explorer\WordWheelQuery
word_wheel_query | NTUSER\Software\Microsoft\Search Assistant\ACMru\*
mount_points     | NTUSER\Software\Microsoft\Windows\CurrentVersion\Explorer\MountPoints2
network_drive_mru | NTUSER\Software\Microsoft\Windows\CurrentVersion\Explorer\Map Network Drive MRU
network_drive    | NTUSER\Network\*
office_mru       | NTUSER\Software\Microsoft\Office\*\*\File MRU
office_mru       | NTUSER\Software\Microsoft\Office\*\*\Place MRU
office_mru       | NTUSER\Software\Microsoft\Office\*\*\User MRU\*\File MRU
office_mru       | NTUSER\Software\Microsoft\Office\*\*\User MRU\*\Place MRU
office_trust     | NTUSER\Software\Microsoft\Office\*\*\Security\Trusted Documents\TrustRecords
terminal_client_mru | NTUSER\Software\Microsoft\Terminal Server Client\Default
terminal_client_server | NTUSER\Software\Microsoft\Terminal Server Client\Servers\*
feature_usage    | NTUSER\Software\Microsoft\Windows\CurrentVersion\Explorer\FeatureUsage\*
recent_apps      | NTUSER\Software\Microsoft\Windows\CurrentVersion\Search\RecentApps\*
putty_session    | NTUSER\Software\SimonTatham\PuTTY\Sessions\*
putty_host_key   | NTUSER\Software\SimonTatham\PuTTY\SshHostKeys
winrar_history   | NTUSER\Software\WinRAR\ArcHistory
archive_history  | NTUSER\Software\7-Zip\FM
sysinternals_eula | NTUSER\Software\Sysinternals\*
shell_folder     | NTUSER\Software\Microsoft\Windows\CurrentVersion\Explorer\Shell Folders
amcache_file     | AMCACHE\Root\InventoryApplicationFile\*
amcache_program  | AMCACHE\Root\InventoryApplication\*
amcache_shortcut | AMCACHE\Root\InventoryApplicationShortcut\*
amcache_driver   | AMCACHE\Root\InventoryDriverBinary\*
amcache_driver_package | AMCACHE\Root\InventoryDriverPackage\*
amcache_device   | AMCACHE\Root\InventoryDevicePnp\*
amcache_container | AMCACHE\Root\InventoryDeviceContainer\*
amcache_old_file | AMCACHE\Root\File\*\*
amcache_old_program | AMCACHE\Root\Programs\*
"""


def autostarts() -> list[tuple[str, tuple[str, ...], str]]:
    """(what, names of values in lower case or ("*",), pattern) of every line."""
    found = []
    for line in AUTOSTARTS.strip().splitlines():
        what, names, pattern = (part.strip() for part in line.split("|"))
        found.append((what, tuple(name.lower() for name in names.split(",")), pattern))
    return found


def decoded() -> list[tuple[str, str]]:
    """(name of the decoder, pattern) of every line."""
    return [
        (name.strip(), pattern.strip())
        for name, pattern in (line.split("|") for line in DECODED.strip().splitlines())
    ]
