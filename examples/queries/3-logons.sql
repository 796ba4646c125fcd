/* Logons: who came how, from event logs and forwarded JSON alike (Security 4624, 4625) */
select device_hostname, user_name, logon_type_id,
       case status_id when 1 then 'ok' when 2 then 'FAILED' end as outcome,
       auth_protocol, src_ip, count(*) as logons, min(time) as first_time,
       string_agg(distinct parser, ' ' order by parser) as seen_by
from authentication
where event_code in ('4624', '4625')
  and user_uid like 'S-1-5-21-%'   -- people and computers; not services, desktops, fonts
group by all
order by logons desc, first_time
limit 12
