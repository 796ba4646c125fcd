/* One timeline across all sources: 2020-09-21 to 22 in theshire.local, captures and telemetry */
select time, device_hostname, message, src_path, row_id
from timeline
where time >= '2020-09-21 04:13' and time < '2020-09-22 19:00'
  and row_id in (
    select row_id from network_activity where parser = 'pcap'
    union select row_id from dns_activity
    union select row_id from process_activity where activity_id = 1
    union select row_id from authentication where activity_id = 1
  )
order by time
limit 40
