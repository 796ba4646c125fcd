"""Small logs of text: seeds for fuzzing, and what is cut at every byte."""

from tests.zeek_tsv_build import as_tsv

CELLS = b'time,user,src_ip,note\r\n2024-05-01T10:00:00Z,ann,1.2.3.4,"a, ""b""\nc"\r\n,bob,,x\n'
EXPORT = (
    b'"_time",host,"_raw"\n"1627985472.5",fw,"logid=""1"" type=""traffic"" subtype=""local"" '
    b'level=""notice"" srcip=10.1.1.1"\n"2021-08-03T10:11:12.000+0000",x,"nothing"\n'
)
CONN = (
    b'{"ts":1.5,"uid":"C","id.orig_h":"1.2.3.4","proto":"udp","conn_state":"S0",'
    b'"local_orig":true}'
)
DNS = b'{"ts":2.5,"uid":"D","trans_id":7,"rejected":false,"answers":["a,b","c"],"TTLs":[1.0,2.0]}'


def seeds() -> list[tuple[str, bytes]]:
    """(name, bytes) of each."""
    return [
        ("cells.csv", CELLS),
        ("wide.csv", CELLS.decode().encode("utf-16")),
        ("tabs.tsv", CELLS.replace(b",", b"\t")),
        ("export.csv", EXPORT),
        ("conn.log", as_tsv([CONN, CONN.replace(b"true", b"false")], "conn")),
        ("dns.log", as_tsv([DNS], "dns")),
        ("x.log", as_tsv([DNS, CONN], "none that is known")),
    ]
