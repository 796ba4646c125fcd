"""An artifact's bytes as one piece, for small files that refer to places in themselves."""

from tracelake.native.errors import EvidenceError, Unsupported
from tracelake.parsers.artifact import Artifact

PIECE = 1 << 20
EPOCH_FILETIME = 116_444_736_000_000_000
LAST_FILETIME = 2_650_467_744_000_000_000  # the year 10000
EARLIEST_FILETIME = 119_600_064_000_000_000  # 1980


def whole(artifact: Artifact, most: int, what: str) -> tuple[bytes, EvidenceError | None]:
    """The artifact's bytes, and what stopped the reading of a stream that breaks off.

    Args:
        artifact: read from its start.
        most: bytes above which it is not held.
        what: the format, for the error.

    Raises:
        Unsupported: it is larger than `most`.
    """
    pieces: list[bytes] = []
    held = 0
    try:
        while piece := artifact.feed.read(PIECE):
            pieces.append(piece)
            held += len(piece)
            if held > most:
                raise Unsupported(what, 0, f"larger than {most} bytes, which are not held")
    except Unsupported:
        raise
    except EvidenceError as error:
        return b"".join(pieces), error
    return b"".join(pieces), None


def moment(ticks: int) -> tuple[int | None, int | None]:
    """A FILETIME as microseconds since 1970 UTC and nanoseconds below; None where there is none."""
    if ticks == 0 or ticks >= LAST_FILETIME:
        return None, None
    return (ticks - EPOCH_FILETIME) // 10, ticks % 10 * 100


def micros(ticks: int) -> int | None:
    """A FILETIME as microseconds since 1970 UTC; None where there is none."""
    return moment(ticks)[0]


def notes(**values: object) -> dict[str, str]:
    """What goes into `unmapped`: texts and numbers, without what is empty."""
    return {name: str(value) for name, value in values.items() if value not in (None, "", [], {})}
