"""What goes wrong with a source, in words."""

import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

from tracelake.ingest.events import Failed
from tracelake.ingest.file import CannotRead, SourceChanged

T = TypeVar("T")


def told(path: str, events: Iterator[T]) -> Iterator[T | Failed]:
    """The events, and what ends them early as a `Failed`."""
    try:
        yield from events
    except (SourceChanged, CannotRead) as error:
        yield Failed(path, str(error))
    except OSError as error:
        # What reading evidence raises is an EvidenceError or a CannotRead by now: this is the
        # lake's disk, and no other source will fare better.
        yield Failed(path, f"the lake cannot be written: {_one_line(error)}", fatal=True)
    except Exception as error:  # noqa: BLE001 - a bug, by design not one of the above
        where = traceback.extract_tb(error.__traceback__)[-1]
        yield Failed(
            path,
            f"a bug in tracelake, please report it: {type(error).__name__}: {_one_line(error)} "
            f"({Path(where.filename).name}:{where.lineno})",
        )


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:300]
