/* One timeline across all sources: an attack in theshire.local, from captures and telemetry */
select time, device_hostname, left(message, 100) as message,
       regexp_extract(src_path, '[^/]+$') as source, row_id
from timeline
where time >= '2020-09-21 04:14' and time < '2020-09-22 19:00'
  and row_id in (
    select row_id from network_activity where parser = 'pcap' and bytes_in > 0 and dst_port <> 53
    union all select row_id from dns_activity
    union all select row_id from process_activity where activity_id = 1 and event_code = '1'
    union all select row_id from authentication where activity_id = 1 and user_name not like '%$'
  )
order by time
limit 40
