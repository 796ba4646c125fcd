"""Keys of the registry that mean something, and what: the one place to add another.

Patterns: see hive_patterns.py. The first part is the kind of hive (hive_roots.py).

AUTOSTARTS need no code: what a value there names is started by Windows, or by a program of it.
A line: what it is | names of the values, `*` for all | pattern. `(Default)` is the default value.
SETTINGS are lines of the same form: what weakens, hides or redirects, or has to be known.
DECODED are read by a function: its name (hive_meaning finds it) | pattern.
A line that begins with blanks goes on with the one before it.
"""

import re

SHORT = {
    "@explorer": r"NTUSER\Software\Microsoft\Windows\CurrentVersion\Explorer",
    "@nt": r"SOFTWARE\(Wow6432Node)\Microsoft\Windows NT\CurrentVersion",
    "@windows": r"SOFTWARE\(Wow6432Node)\Microsoft\Windows\CurrentVersion",
    "@nt64": r"SOFTWARE\Microsoft\Windows NT\CurrentVersion",
    "@windows64": r"SOFTWARE\Microsoft\Windows\CurrentVersion",
    "@user_nt": r"NTUSER\Software\Microsoft\Windows NT\CurrentVersion",
    "@user_windows": r"NTUSER\Software\(Wow6432Node)\Microsoft\Windows\CurrentVersion",
    "@user": r"NTUSER\Software\Microsoft\Windows\CurrentVersion",
    "@control": r"SYSTEM\ControlSet*\Control",
    "@services": r"SYSTEM\ControlSet*\Services",
    "@local": r"USRCLASS\Local Settings\Software\Microsoft\Windows",
    "@user_microsoft": r"NTUSER\Software\Microsoft",
    "@defender": r"Microsoft\Windows Defender",
}
"""What `@names` in the patterns stand for."""

AUTOSTARTS = r"""
run_key          | *  | @windows\Run
run_key          | *  | @user_windows\Run
run_once_key     | *  | @windows\RunOnce
run_once_key     | *  | @user_windows\RunOnce
run_once_ex      | *  | @windows\RunOnceEx\(*)
run_once_ex      | *  | @user\RunOnceEx\(*)
run_services     | *  | @windows64\RunServices
run_services     | *  | @windows64\RunServicesOnce
run_services     | *  | @user\RunServices
run_policy       | *  | @windows64\Policies\Explorer\Run
run_policy       | *  | @user\Policies\Explorer\Run
run_terminal     | *  | @nt\Terminal Server\Install\Software\Microsoft\Windows\CurrentVersion\Run
run_terminal     | *
                 | @nt\Terminal Server\Install\Software\Microsoft\Windows\CurrentVersion\RunOnce
windows_load     | Load,Run | @user_nt\Windows
winlogon         | Shell,Userinit,Taskman,VmApplet,System,GinaDLL,UIHost,AppSetup,
                 LsaStart,SaveDumpStart
                 | @nt\Winlogon
winlogon         | Shell,Userinit | @user_nt\Winlogon
winlogon_notify  | DLLName | @nt64\Winlogon\Notify\*
shell_policy     | Shell | @windows64\Policies\System
shell_policy     | Shell | @user\Policies\System
alternate_shell  | AlternateShell | @control\SafeBoot
appinit_dlls     | AppInit_DLLs | @nt\Windows
ifeo_debugger    | Debugger,VerifierDlls,GlobalFlag | @nt\Image File Execution Options\*
silent_exit      | MonitorProcess | @nt64\SilentProcessExit\*
active_setup     | StubPath | SOFTWARE\(Wow6432Node)\Microsoft\Active Setup\Installed Components\*
boot_execute     | BootExecute,SetupExecute,Execute,S0InitialCommand | @control\Session Manager
appcert_dlls     | *  | @control\Session Manager\AppCertDlls
known_dlls       | *  | @control\Session Manager\KnownDLLs
lsa_packages     | Authentication Packages,Notification Packages,Security Packages | @control\Lsa
lsa_packages     | Security Packages | @control\Lsa\OSConfig
lsa_extension    | Extensions | @control\LsaExtensionConfig\LsaSrv
security_provider | SecurityProviders | @control\SecurityProviders
print_monitor    | Driver | @control\Print\Monitors\*
print_provider   | Name | @control\Print\Providers\*
network_provider | ProviderPath | @services\*\NetworkProvider
time_provider    | DllName | @services\W32Time\TimeProviders\*
winsock_provider | LibraryPath | @services\WinSock2\Parameters\NameSpace_Catalog5\Catalog_Entries\*
winsock_autodial | AutodialDLL | @services\WinSock2\Parameters
netsh_helper     | *  | SOFTWARE\(Wow6432Node)\Microsoft\NetSh
terminal_program | InitialProgram | @control\Terminal Server\WinStations\*
terminal_startup | StartupPrograms | @control\Terminal Server\Wds\rdpwd
credential_provider | (Default) | @windows64\Authentication\Credential Providers\*
credential_provider | (Default) | @windows64\Authentication\Credential Provider Filters\*
browser_helper   | (Default) | @windows\Explorer\Browser Helper Objects\*
shell_service_object | * | @windows\ShellServiceObjectDelayLoad
shell_execute_hook | * | @windows\Explorer\ShellExecuteHooks
shared_scheduler | *  | @windows\Explorer\SharedTaskScheduler
startup_folder   | Startup,Common Startup | @windows64\Explorer\User Shell Folders
startup_folder   | Startup | @explorer\User Shell Folders
command_autorun  | AutoRun | SOFTWARE\(Wow6432Node)\Microsoft\Command Processor
command_autorun  | AutoRun | @user_microsoft\Command Processor
logon_script     | UserInitMprLogonScript | NTUSER\Environment
screen_saver     | SCRNSAVE.EXE | NTUSER\Control Panel\Desktop
office_test      | (Default) | SOFTWARE\(Wow6432Node)\Microsoft\Office test\Special\Perf
office_test      | (Default) | @user_microsoft\Office test\Special\Perf
office_addin     | Manifest,FriendlyName,LoadBehavior
                 | SOFTWARE\(Wow6432Node)\Microsoft\Office\*\Addins\*
office_addin     | Manifest,FriendlyName,LoadBehavior | @user_microsoft\Office\*\Addins\*
open_command     | (Default),DelegateExecute | USRCLASS\*\shell\*\command
com_hijack       | (Default) | USRCLASS\(Wow6432Node)\CLSID\*\InprocServer32
com_hijack       | (Default) | USRCLASS\(Wow6432Node)\CLSID\*\LocalServer32
com_hijack       | (Default) | USRCLASS\(Wow6432Node)\CLSID\*\InprocHandler32
com_hijack       | (Default) | USRCLASS\(Wow6432Node)\CLSID\*\TreatAs
com_hijack       | (Default) | USRCLASS\(Wow6432Node)\CLSID\*\ScriptletURL
com_hijack       | (Default) | NTUSER\Software\Classes\CLSID\*\InprocServer32
com_hijack       | (Default) | NTUSER\Software\Classes\CLSID\*\LocalServer32
gpo_script       | Script,Parameters | @windows64\Group Policy\State\Machine\Scripts\*\*\*
gpo_script       | Script,Parameters | @user\Group Policy\Scripts\*\*\*
clr_profiler     | COR_PROFILER,COR_PROFILER_PATH,COR_ENABLE_PROFILING | NTUSER\Environment
clr_profiler     | COR_PROFILER,COR_PROFILER_PATH,COR_ENABLE_PROFILING
                 | @control\Session Manager\Environment
error_debugger   | Debugger,Auto | @nt\AeDebug
error_debugger   | Debugger,ReflectDebugger
                 | SOFTWARE\Microsoft\Windows\Windows Error Reporting\Hangs
"""

SETTINGS = r"""
wdigest          | UseLogonCredential | @control\SecurityProviders\WDigest
pending_rename   | PendingFileRenameOperations,PendingFileRenameOperations2
                 | @control\Session Manager
defender_exclusion | * | SOFTWARE\(Policies)\@defender\Exclusions\*
defender_setting | DisableAntiSpyware,DisableAntiVirus,PUAProtection | SOFTWARE\(Policies)\@defender
defender_setting | DisableRealtimeMonitoring,DisableBehaviorMonitoring,DisableIOAVProtection,
                 DisableScriptScanning,DisableOnAccessProtection
                 | SOFTWARE\(Policies)\@defender\Real-Time Protection
firewall_rule    | *  | @services\SharedAccess\Parameters\FirewallPolicy\FirewallRules
firewall_rule    | *
                 | @services\SharedAccess\Parameters\FirewallPolicy\*\AuthorizedApplications\List
port_proxy       | *  | @services\PortProxy\*\tcp
remote_desktop   | fDenyTSConnections | @control\Terminal Server
script_logging   | *  | SOFTWARE\Policies\Microsoft\Windows\PowerShell\*
user_account_control | EnableLUA,ConsentPromptBehaviorAdmin,LocalAccountTokenFilterPolicy,
                 FilterAdministratorToken
                 | @windows64\Policies\System
lsa_setting      | RunAsPPL,LimitBlankPasswordUse,NoLMHash,LmCompatibilityLevel,
                 DisableRestrictedAdmin,DisableRestrictedAdminOutboundCreds,
                 everyoneincludesanonymous,RestrictAnonymous,RestrictAnonymousSAM,DisableDomainCreds
                 | @control\Lsa
remote_desktop   | PortNumber,UserAuthentication,SecurityLayer,Shadow
                 | @control\Terminal Server\WinStations\RDP-Tcp
remote_desktop   | Shadow,fDenyTSConnections
                 | SOFTWARE\Policies\Microsoft\Windows NT\Terminal Services
execution_policy | ExecutionPolicy | SOFTWARE\(Wow6432Node)\Microsoft\PowerShell\*\ShellIds\*
execution_policy | ExecutionPolicy | NTUSER\Software\Microsoft\PowerShell\*\ShellIds\*
execution_policy | ExecutionPolicy | SOFTWARE\Policies\Microsoft\Windows\PowerShell
firewall_profile | EnableFirewall,DoNotAllowExceptions,DisableNotifications
                 | @services\SharedAccess\Parameters\FirewallPolicy\*
defender_setting | SubmitSamplesConsent,SpynetReporting | SOFTWARE\(Policies)\@defender\Spynet
defender_threat  | *  | SOFTWARE\(Policies)\@defender\Threats\*
tamper_protection | TamperProtection | SOFTWARE\@defender\Features
event_log        | File,MaxSize,Retention,Enabled | @services\EventLog\*
event_log        | Enabled,MaxSize,ChannelAccess | @windows64\WINEVT\Channels\*
crash_control    | CrashDumpEnabled,DumpFile,MinidumpDir | @control\CrashControl
prefetch_setting | EnablePrefetcher,EnableSuperfetch
                 | @control\Session Manager\Memory Management\PrefetchParameters
paging_setting   | ClearPageFileAtShutdown,PagingFiles
                 | @control\Session Manager\Memory Management
file_system      | NtfsDisableLastAccessUpdate,NtfsDisable8dot3NameCreation,LongPathsEnabled
                 | @control\FileSystem
disabled_tool    | DisableTaskMgr,DisableRegistryTools,DisableCMD | @user\Policies\System
hidden_account   | *  | @nt64\Winlogon\SpecialAccounts\UserList
hidden_files     | Hidden,ShowSuperHidden,HideFileExt | @explorer\Advanced
proxy            | ProxyServer,ProxyEnable,AutoConfigURL,ProxyOverride
                 | @user\Internet Settings
last_key         | LastKey | @user\Applets\Regedit
time_source      | NtpServer,Type | @services\W32Time\Parameters
usb_policy       | WriteProtect,Start | @control\StorageDevicePolicies
"""

DECODED = r"""
service          | @services\*
shimcache        | @control\Session Manager\AppCompatCache
shimcache        | @control\Session Manager\AppCompatibility
bam              | @services\bam\(State)\UserSettings\*
dam              | @services\dam\(State)\UserSettings\*
usb_device       | SYSTEM\ControlSet*\Enum\USBSTOR\*\*
usb_device       | SYSTEM\ControlSet*\Enum\USB\*\*
usb_device       | SYSTEM\ControlSet*\Enum\SCSI\*\*
usb_device       | SYSTEM\ControlSet*\Enum\SWD\WPDBUSENUM\*
usb_device       | SYSTEM\ControlSet*\Enum\WpdBusEnumRoot\*\*
mounted_devices  | SYSTEM\MountedDevices
computer_name    | @control\ComputerName\ComputerName
time_zone        | @control\TimeZoneInformation
last_shutdown    | @control\Windows
hardware         | @control\SystemInformation
tcpip            | @services\Tcpip\Parameters
interface        | @services\Tcpip\Parameters\Interfaces\*
interface        | @services\Tcpip\Parameters\Interfaces\*\*
network_share    | @services\LanmanServer\Shares
control_set      | SYSTEM\Select
os               | @nt64
machine_uid      | SOFTWARE\Microsoft\Cryptography
profile          | @nt64\ProfileList\*
network_profile  | @nt64\NetworkList\Profiles\*
network_signature | @nt64\NetworkList\Signatures\*\*
network_card     | @nt64\NetworkCards\*
last_logon       | @windows64\Authentication\LogonUI
auto_logon       | @nt64\Winlogon
task_cache       | @nt64\Schedule\TaskCache
program          | @windows\Uninstall\*
program          | @user\Uninstall\*
app_path         | @windows\App Paths\*
portable_device  | SOFTWARE\Microsoft\Windows Portable Devices\Devices\*
volume_label     | SOFTWARE\Microsoft\Windows Search\VolumeInfoCache\*
ready_boost      | @nt64\EMDMgmt\*
compat_store     | @nt64\AppCompatFlags\Compatibility Assistant\Store
compat_store     | @nt64\AppCompatFlags\Compatibility Assistant\Persisted
compat_store     | @user_nt\AppCompatFlags\Compatibility Assistant\Store
compat_store     | @user_nt\AppCompatFlags\Compatibility Assistant\Persisted
compat_layers    | @nt64\AppCompatFlags\Layers
compat_layers    | @user_nt\AppCompatFlags\Layers
accounts         | SAM\SAM\Domains
policy           | SECURITY\Policy
cached_logons    | SECURITY\Cache
lsa_secret       | SECURITY\Policy\Secrets\*
userassist       | @explorer\UserAssist\*\Count
muicache         | @local\Shell\MuiCache
muicache         | USRCLASS\Local Settings\MuiCache\*\*
muicache         | @user_microsoft\Windows\ShellNoRoam\MUICache
muicache         | NTUSER\Software\Classes\Local Settings\Software\Microsoft\Windows\Shell\MuiCache
shellbags        | USRCLASS\(Wow6432Node)\Local Settings\Software\Microsoft\Windows\Shell\BagMRU
shellbags        | @local\ShellNoRoam\BagMRU
shellbags        | @user_microsoft\Windows\Shell\BagMRU
shellbags        | @user_microsoft\Windows\ShellNoRoam\BagMRU
shellbags        | @user_microsoft\Windows\StreamMRU
shellbags        | NTUSER\Software\Classes\Local Settings\Software\Microsoft\Windows\Shell\BagMRU
recent_docs      | @explorer\RecentDocs
recent_docs      | @explorer\RecentDocs\*
run_mru          | @explorer\RunMRU
typed_paths      | @explorer\TypedPaths
typed_urls       | @user_microsoft\Internet Explorer
typed_urls |
                 @local\CurrentVersion\AppContainer\Storage\microsoft.microsoftedge_8wekyb3d8bbwe\MicrosoftEdge
open_save_mru    | @explorer\ComDlg32\OpenSavePidlMRU\(*)
open_save_mru    | @explorer\ComDlg32\OpenSaveMRU\(*)
last_visited_mru | @explorer\ComDlg32\LastVisitedPidlMRU
last_visited_mru | @explorer\ComDlg32\LastVisitedPidlMRULegacy
last_visited_mru | @explorer\ComDlg32\LastVisitedMRU
word_wheel_query | @explorer\WordWheelQuery
word_wheel_query | @user_microsoft\Search Assistant\ACMru\*
mount_points     | @explorer\MountPoints2
network_drive_mru | @explorer\Map Network Drive MRU
network_drive    | NTUSER\Network\*
office_mru       | @user_microsoft\Office\*\*\File MRU
office_mru       | @user_microsoft\Office\*\*\Place MRU
office_mru       | @user_microsoft\Office\*\*\User MRU\*\File MRU
office_mru       | @user_microsoft\Office\*\*\User MRU\*\Place MRU
office_trust     | @user_microsoft\Office\*\*\Security\Trusted Documents\TrustRecords
terminal_client_mru | @user_microsoft\Terminal Server Client\Default
terminal_client_server | @user_microsoft\Terminal Server Client\Servers\*
feature_usage    | @explorer\FeatureUsage\*
startup_approved | @explorer\StartupApproved\*
startup_approved | @windows64\Explorer\StartupApproved\*
recent_list      | @user\Applets\*\Recent File List
recent_list      | NTUSER\Software\Microsoft\MediaPlayer\Player\RecentFileList
recent_list      | NTUSER\Software\Adobe\*\*\AVGeneral\cRecentFiles\*
winscp_session   | NTUSER\Software\Martin Prikryl\WinSCP 2\Sessions\*
recent_apps      | @user\Search\RecentApps\*
putty_session    | NTUSER\Software\SimonTatham\PuTTY\Sessions\*
putty_host_key   | NTUSER\Software\SimonTatham\PuTTY\SshHostKeys
winrar_history   | NTUSER\Software\WinRAR\ArcHistory
archive_history  | NTUSER\Software\7-Zip\FM
sysinternals_eula | NTUSER\Software\Sysinternals\*
shell_folder     | @explorer\Shell Folders
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


def _lines(text: str) -> list[str]:
    """The table's lines: one that begins with blanks goes on with the one before it."""
    found: list[str] = []
    for line in text.strip().splitlines():
        if line.startswith(" "):
            found[-1] += line.strip()
        else:
            found.append(line)
    return found


def _pattern(text: str) -> str:
    """A pattern with its short names written out."""
    return re.sub(r"@\w+", lambda name: SHORT[name.group(0)], text.strip())


Line = tuple[str, tuple[str, ...], str]
"""What it is, names of values in lower case or ("*",), pattern."""


def autostarts() -> list[Line]:
    """Every line of AUTOSTARTS."""
    return _named(AUTOSTARTS)


def settings() -> list[Line]:
    """Every line of SETTINGS."""
    return _named(SETTINGS)


def _named(text: str) -> list[Line]:
    found = []
    for line in _lines(text):
        what, names, pattern = line.split("|")
        wanted = tuple(name.strip().lower() for name in names.split(","))
        found.append((what.strip(), wanted, _pattern(pattern)))
    return found


def decoded() -> list[tuple[str, str]]:
    """(name of the decoder, pattern) of every line."""
    return [
        (name.strip(), _pattern(pattern))
        for name, pattern in (line.split("|") for line in _lines(DECODED))
    ]
