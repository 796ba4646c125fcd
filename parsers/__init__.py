"""Evidence formats. Adding one is a module and a line here."""

from tracelake.parsers import evtx, jsonl, pcap
from tracelake.parsers.artifact import Parser

PARSERS: tuple[Parser, ...] = (evtx.PARSER, jsonl.PARSER, pcap.PARSER)
