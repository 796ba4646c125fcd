from tracelake.parsers.artifact import Parser

VERSION: str
PARSER: Parser

def last_possible(month: int, day: int, second: int, before: float) -> int: ...
