"""Yardstick for `pcap`: a dpkt loop that only aggregates flows (no DNS, no states, no output).

python benchmarks/rival_dpkt.py CAPTURE
"""

import sys

import dpkt


def main(path: str) -> None:
    flows: dict[tuple[bytes, int, bytes, int, int], list[float]] = {}
    count = 0
    with open(path, "rb") as file:
        for time, frame in dpkt.pcap.Reader(file):
            count += 1
            ip = dpkt.ethernet.Ethernet(frame).data
            if not isinstance(ip, (dpkt.ip.IP, dpkt.ip6.IP6)):
                continue
            segment = ip.data
            if isinstance(segment, (dpkt.tcp.TCP, dpkt.udp.UDP)):
                ports = segment.sport, segment.dport
            else:
                ports = 0, 0
            forth = (ip.src, ports[0], ip.dst, ports[1], ip.p)
            back = (ip.dst, ports[1], ip.src, ports[0], ip.p)
            flow = flows.get(forth)
            if flow is not None:
                flow[0] += 1
                flow[1] += len(frame)
                flow[5] = time
                continue
            flow = flows.get(back)
            if flow is not None:
                flow[2] += 1
                flow[3] += len(frame)
                flow[5] = time
                continue
            flows[forth] = [1, len(frame), 0, 0, time, time]
    print(count, len(flows))


if __name__ == "__main__":
    main(sys.argv[1])
