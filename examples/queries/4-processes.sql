/* Processes with their parents: shells and tools, whatever log told of them (Sysmon 1, Security 4688) */
select time, device_hostname, user_name, parent_name, proc_name,
       left(proc_cmd_line, 90) as command_line, row_id
from process_activity
where activity_id = 1
  and lower(proc_name) in ('powershell.exe', 'cmd.exe', 'psexesvc.exe', 'psexec64.exe',
                           'bitsadmin.exe', 'schtasks.exe', 'rundll32.exe', 'net.exe', 'taskmgr.exe')
  and proc_cmd_line is not null
order by time
limit 15
