"""What tools said about the evidence, and what no mapping names yet."""

from tracelake.normalize.column import DOUBLE, INT, MAP, TEXT, TEXTS, TINY, WORD, column
from tracelake.normalize.tables.common import actor, events

DETECTION_FINDING = events(
    "detection_finding", "find", [2004],
    "A rule, a sensor or an analytic says that something is wrong.",
    column("finding_uid", TEXT, "the finding", ocsf="finding_info.uid", bloom=True),
    column("title", WORD, "what it says", ocsf="finding_info.title", ecs="rule.description"),
    column("analytic_uid", WORD, "rule or analytic", ocsf="finding_info.analytic.uid",
           ecs="rule.id", bloom=True),
    column("analytic_name", WORD, "its name", ocsf="finding_info.analytic.name",
           ecs="rule.name"),
    column("analytic_type", WORD, "sigma, yara, suricata, edr, analytic, ...",
           ocsf="finding_info.analytic.type", ecs="rule.category"),
    column("analytic_version", WORD, "its version", ocsf="finding_info.analytic.version",
           ecs="rule.version"),
    column("attack_techniques", TEXTS, "ATT&CK techniques", ecs="threat.technique.id",
           ocsf="finding_info.attacks[].technique.uid"),
    column("confidence_id", TINY, "1 low, 2 medium, 3 high", ocsf="confidence_id"),
    column("risk_score", DOUBLE, "0 to 100", ocsf="risk_score", ocsf_as="INTEGER",
           ecs="event.risk_score"),
    column("evidence_table", WORD, "table of the rows that it is about"),
    column("evidence_rows", TEXTS, "row_id of those rows",
           ocsf="finding_info.related_events[].uid"),
    column("fields", MAP, "what it says, by name"),
    column("disposition", WORD, "what was done about it", ocsf="disposition"),
    column("action_id", TINY, "what the control did: 1 allowed, 2 denied, 3 only noted it, "
           "4 changed something", ocsf="action_id"),
    column("status_code", WORD, "error or status, as the log gives it", ocsf="status_code",
           sigma="ErrorCode"),
    column("status_detail", TEXT, "the same in words", ocsf="status_detail"),
    column("threat_name", WORD, "name of the threat", sigma="Signature ThreatName", bloom=True),
    column("threat_uid", WORD, "the maker's number of it", ocsf="malware[0].uid",
           sigma="ThreatID", bloom=True),
    column("threat_category", WORD, "kind of threat, as the log names it", sigma="CategoryName"),
    column("detection_source", WORD, "what noticed it, as the log names it", sigma="SourceName"),
    column("proc_cmd_line", TEXT, "command line of what was found or stopped",
           ocsf="evidences[0].process.cmd_line"),
    column("file_path", WORD, "file", ecs="file.path", bloom=True, sigma="Filename"),
    column("file_sha256", TEXT, "its SHA-256", ecs="file.hash.sha256", bloom=True),
    column("src_ip", WORD, "address that it came from", ecs="source.ip", bloom=True),
    column("dst_ip", WORD, "address that it went to", ecs="destination.ip", bloom=True),
    column("src_port", INT, "port that it came from", ecs="source.port",
           ocsf="evidences[0].src_endpoint.port"),
    column("dst_port", INT, "port that it went to", ecs="destination.port",
           ocsf="evidences[0].dst_endpoint.port"),
    column("transport", WORD, "tcp, udp, ... as the log names it", ecs="network.transport",
           ocsf="evidences[0].connection_info.protocol_name"),
    column("conn_uid", TEXT, "the flow that it was seen in", bloom=True,
           ocsf="evidences[0].connection_info.uid"),
    column("community_id", TEXT, "Community ID of that flow", ecs="network.community_id",
           ocsf="evidences[0].connection_info.community_uid", bloom=True),
    column("dst_hostname", WORD, "host or URL that it went to", ecs="destination.domain",
           ocsf="evidences[0].dst_endpoint.hostname", sigma="Destination", bloom=True),
    actor("ProcessName"),
)

RAW_EVENT = events(
    "raw_event", "raw", [0],
    "A log's record that no mapping names: complete, in `unmapped`.",
    column("event_xml", TEXT, "the record as XML, where only that is complete",
           ecs="event.original"),
)

TABLES = (DETECTION_FINDING, RAW_EVENT)
