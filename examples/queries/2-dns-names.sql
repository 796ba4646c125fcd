/* Names that were asked for: on the wire (pcap) and by processes (Sysmon 22) */
select query_hostname,
       count(*) as questions,
       string_agg(distinct parser, ' ' order by parser) as seen_by,
       string_agg(distinct coalesce(src_ip, device_hostname), ' ') as asked_by,
       min(time) as first_time
from dns_activity
where query_hostname <> ''
group by all
order by questions desc, query_hostname
limit 12
