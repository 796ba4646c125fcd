"""What an ingest says for scripts."""

import json

from tracelake.ingest.events import Facts
from tracelake.ingest.report import ParserReport, Report


def test_a_report_is_json() -> None:
    report = Report(skipped=[("a", "was in already")], left=[("b", "c", {"evtx": "no signature"})])
    parser = report.parsers.setdefault("evtx", ParserReport())
    parser.add(Facts("x", "evtx", size=10, records=3, rows={"raw_event": 2}, damage=1), 0.5)
    parser.add(Facts("y", "evtx", size=20, records=1, rows={"raw_event": 1}), 0.25)
    told = json.loads(json.dumps(report.as_dict()))
    assert told["parsers"]["evtx"]["rows"] == {"raw_event": 3}
    assert told["parsers"]["evtx"]["records"] == 4
    assert told["skipped"] == [{"path": "a", "why": "was in already"}]
    assert told["left"][0]["refused"] == {"evtx": "no signature"}
