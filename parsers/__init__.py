"""Evidence formats. Adding one is a module and a line here."""

from tracelake.parsers import evtx, jsonl, pcap
from tracelake.parsers.artifact import Parser

PARSERS: tuple[Parser, ...] = (pcap.PARSER, evtx.PARSER, jsonl.PARSER)
