"""`ingest --flows-only`: of captures the flows, the same ones, and nothing of what is said."""

from pathlib import Path

import pytest
from line import tracelake

from tests.packets import pcap, timed
from tests.test_talks import names
from tracelake.case import open_case


@pytest.mark.parametrize("workers", ["1", "2"])
def test_the_same_flows(tmp_path: Path, workers: str) -> None:
    capture = tmp_path / "x.pcap"
    capture.write_bytes(pcap(timed(names())))
    found = {}
    for engagement, more in (("all", ()), ("flows", ("--flows-only",))):
        tracelake(
            "ingest", str(capture), "-e", engagement, "--lake", str(tmp_path / "lake"),
            "--workers", workers, *more,
        )
        case = open_case(tmp_path / "lake", engagement=engagement)
        flows = case.sql(
            "SELECT conn_uid, packets_out, packets_in, bytes_out, bytes_in, conn_state, history "
            "FROM network_activity"
        ).fetchall()
        said = case.sql("SELECT count(*) AS n FROM dns_activity").fetchall()
        (parser,) = case.sql("SELECT parser FROM artifact").fetchall()
        found[engagement] = (flows, said[0][0], parser[0])
    assert found["all"][0] == found["flows"][0]
    assert (found["all"][1], found["flows"][1]) == (40, 0)
    assert (found["all"][2], found["flows"][2]) == ("pcap", "pcap_flows")
