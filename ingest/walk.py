"""A source as a walk over its files: in the order that responders need them where it can be read
at random, in its own order where it is a stream.

The number of a file does not depend on the order in which it is read, on what is read of the
source, or on the parsers there are: it is the same on every run.
"""

import os
from collections import Counter
from collections.abc import Generator, Iterator
from dataclasses import replace
from typing import BinaryIO, Protocol

from tracelake.ingest.beside import in_folder
from tracelake.ingest.capture_set import MAGIC as CAPTURES
from tracelake.ingest.capture_set import SetWalk
from tracelake.ingest.containers import Base, Member, kind_of, members
from tracelake.ingest.events import PLAINLY, How, Read
from tracelake.ingest.image_identity import kind_of_image
from tracelake.ingest.images import ImageWalk
from tracelake.ingest.sofar import Planned
from tracelake.ingest.want import NOT_WANTED, Wanted, every
from tracelake.ingest.zips import ZipWalk


class Walk(Protocol):
    """The files of a source.

    Attributes:
        not_opened: files that were left aside unread, by the reason why.
        facts: what an image says of itself, by name.
        sha256: of all of it, when `audit` has taken it.
        plan: what of an image is to be read.
    """

    not_opened: Counter[str]
    facts: dict[str, str]
    sha256: str | None
    plan: list[Planned] | None

    def members(self, stages: range, wanted: Wanted = every) -> Iterator[tuple[int, Member]]:
        """The files of some stages (want.py) with their numbers; each is read before the next is
        asked for. A source that is a stream gives all of them in whatever stage is asked for."""

    def later(self, stage: int) -> int | None:
        """The first stage after `stage` in which it still has files."""

    def find(self, number: int, path: str | None) -> Member | None:
        """The file of a number; `path` is what `artifact` has of it, and may spare a search."""

    def pick(self, numbers: list[int]) -> Iterator[tuple[int, Member]]:
        """The files of these numbers, in an order that is the same each time."""

    def audit(self, path: str) -> Generator[Read, None, None]:
        """Reads all of an image for its hashes, in the stage AUDIT; says how far it is."""

    def close(self) -> None:
        """Lets go of what it has opened itself."""


class Stream(Base):
    """A loose file, a compressed one, a tar: read from its begin to its end."""

    def __init__(
        self, file: BinaryIO, name: str, folder: str | None = None, every_file: bool = False
    ) -> None:
        super().__init__()
        self._file = file
        self._name = name
        self._folder = folder
        self._every_file = every_file

    def members(self, stages: range, wanted: Wanted = every) -> Iterator[tuple[int, Member]]:
        """See `Walk`. Those that are not wanted are passed over."""
        yield from self._members(wanted, self._every_file)

    def _members(self, wanted: Wanted, all_of_them: bool) -> Iterator[tuple[int, Member]]:
        self._file.seek(0)
        for number, member in enumerate(members(self._file, self._name)):
            if member.passed and not all_of_them:
                self.not_opened[NOT_WANTED] += 1
                continue
            if not wanted(number):
                continue
            if member.whole and self._folder is not None:
                member = replace(member, beside=in_folder(self._folder))
            yield number, member

    def later(self, stage: int) -> int | None:
        """It is read in one go."""
        return None

    def find(self, number: int, path: str | None) -> Member | None:
        """See `Walk`. What stands before it is read through."""
        return next((member for _, member in self.pick([number])), None)

    def pick(self, numbers: list[int]) -> Iterator[tuple[int, Member]]:
        """See `Walk`."""
        last = max(numbers, default=-1)
        for number, member in self._members(set(numbers).__contains__, all_of_them=True):
            yield number, member
            if number == last:
                return


def walk_of(
    file: BinaryIO, name: str, path: str | None = None, how: How = PLAINLY,
    plan: list[Planned] | None = None, audit: bool = False,
) -> Walk:
    """The walk over a source.

    Args:
        file: the source, unbuffered.
        name: its path relative to the root.
        path: where it lies on this machine, for files beside it; None: nowhere.
        how: what the user wants of it.
        plan, audit: of an image (images.py).
    """
    try:
        file.seek(0)
        head = file.read(512)
        kind = kind_of(head)
    except OSError:
        return Stream(file, name)  # which says so
    if head.startswith(CAPTURES) and path is not None:
        return SetWalk(file, path)
    if kind == "zip":
        return ZipWalk(file, name, how.every_file)
    image = kind_of_image(file) if kind is None and path is not None else None
    if image is not None and path is not None:
        return ImageWalk(path, name, image, how, plan, audit)
    folder = os.path.dirname(path) if path is not None else None
    return Stream(file, name, folder, how.every_file)
