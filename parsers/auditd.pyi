from tracelake.parsers.artifact import Parser

VERSION: str
PARSER: Parser
