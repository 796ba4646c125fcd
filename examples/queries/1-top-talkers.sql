/* Top talkers: who moved most bytes, to whom, over what */
select src_ip, dst_ip, dst_port, transport,
       count(*) as flows,
       sum(packets_out + packets_in) as packets,
       sum(bytes_out) as bytes_out,
       sum(bytes_in) as bytes_in,
       string_agg(distinct conn_state, ' ' order by conn_state) as states
from network_activity
where parser = 'pcap'
group by all
order by sum(bytes_out + bytes_in) desc nulls last
limit 10
