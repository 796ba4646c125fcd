from tracelake.parsers.artifact import Parser

VERSION: str
PARSER: Parser

def layout_of(head: bytes, path: str) -> tuple[str, str] | None: ...
