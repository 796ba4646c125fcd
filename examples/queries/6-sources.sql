/* The same timeline by source: what each tells of, from when to when */
select regexp_extract(src_path, '[^/]+$') as source, count(*) as rows,
       count(distinct device_hostname) as hosts,
       min(time) as first_time, max(time) as last_time
from timeline
where time is not null
group by all
order by first_time
