"""What can be wrong with evidence. Parsers raise or report; only `ingest` catches."""


class EvidenceError(Exception):
    """The evidence is not what its format says.

    Args:
        what: the field or structure that was being read, in the format's own words.
        offset: byte offset of that structure in the artifact.
        why: one sentence, without a newline.
    """

    def __init__(self, what: str, offset: int, why: str) -> None:
        super().__init__(what, offset, why)
        self.what = what
        self.offset = offset
        self.why = why

    def __str__(self) -> str:
        return f"{self.what} at offset {self.offset}: {self.why}"


class Truncated(EvidenceError):
    """The bytes end before the structure does."""


class Corrupt(EvidenceError):
    """The bytes are there and contradict the format."""


class Unsupported(EvidenceError):
    """The bytes may be right, but this version does not read them."""
