"""A zip, read at random: what responders ask first, first.

Numbers: a file of the zip has its place among the files of the directory. The files of an archive
in the zip have numbers that begin where the place of that archive says, so nobody has to read the
one before it to know them.
"""

import struct
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import BinaryIO, cast

from tracelake.ingest.beside import Siblings
from tracelake.ingest.containers import (
    ENCRYPTED,
    Base,
    Member,
    broken,
    content_of,
    kind_of,
    members_of_image,
    members_of_zip,
    zip_directory,
    zip_member,
)
from tracelake.ingest.image_storage import begins_image
from tracelake.ingest.streams import Section
from tracelake.ingest.want import (
    LAST_STAGE,
    NOT_WANTED,
    STAGE_OF,
    Wanted,
    every,
    is_archive,
    plain,
    rank_of,
)
from tracelake.native.errors import EvidenceError, Unsupported
from tracelake.parsers.artifact import Rank

# With more files than this only those are opened that a parser asks for by their paths.
LARGE = 20_000
# An archive in the zip goes with the first stage, since it may hold anything.
RANK_OF_ARCHIVES = Rank.EXECUTION
# Numbers of the files in an archive: from NAMED on where its name tells that it is one, and from
# UNNAMED on where only its content does.
NAMED, UNNAMED, ROOM = 1 << 24, 1 << 30, 1 << 18
MOST_ARCHIVES = (UNNAMED - NAMED) // ROOM
LOCAL_HEADER = struct.Struct("<4s22xHH")


class ZipWalk(Base):
    """See `walk.Walk`.

    Args:
        file: the zip, unbuffered. name: its path relative to the root.
        every_file: open also what no parser asks for, however many there are.
    """

    def __init__(self, file: BinaryIO, name: str, every_file: bool = False) -> None:
        super().__init__()
        self._file = file
        self._name = name
        self._every_file = every_file
        self._trouble: EvidenceError | None = None
        self._folders: dict[str, dict[str, zipfile.ZipInfo]] = {}
        try:
            self._archive, self._infos = zip_directory(file)
        except EvidenceError as error:
            self._trouble, self._infos = error, []
        # What is read of it: (rank, number), in this order.
        self._order: list[tuple[Rank, int]] = []
        self._archives: dict[int, int] = {}
        few = every_file or len(self._infos) <= LARGE
        for number, info in enumerate(self._infos):
            rank = rank_of(info.filename)
            if is_archive(info.filename):
                self._archives[number] = len(self._archives)
                rank = RANK_OF_ARCHIVES
            if rank is not None or few:
                self._order.append((Rank.REST if rank is None else rank, number))
            else:
                self.not_opened[NOT_WANTED] += 1
        self._order.sort()

    def members(self, stages: range, wanted: Wanted = every) -> Iterator[tuple[int, Member]]:
        """See `Walk`."""
        if self._trouble is not None:
            if 0 in stages and wanted(0):
                yield 0, broken(self._name, "zip", self._trouble)
            return
        for rank, number in self._order:
            # What is done has been a file, not an archive, which has no number itself.
            if STAGE_OF[rank] in stages and (number in self._archives or wanted(number)):
                yield from self._opened(number, wanted, self._every_file)

    def later(self, stage: int) -> int | None:
        """See `Walk`."""
        stages = {STAGE_OF[rank] for rank, _ in self._order}
        return next((s for s in range(stage + 1, LAST_STAGE + 1) if s in stages), None)

    def find(self, number: int, path: str | None) -> Member | None:
        """See `Walk`."""
        if number < NAMED:
            direct = number
        elif number < UNNAMED:
            nth = (number - NAMED) // ROOM
            direct = next((at for at, n in self._archives.items() if n == nth), -1)
        else:
            direct = (number - UNNAMED) // ROOM
        if not 0 <= direct < len(self._infos):
            return None
        found = self._opened(direct, lambda n: n == number, all_of_them=True)
        return next((member for _, member in found), None)

    def pick(self, numbers: list[int]) -> Iterator[tuple[int, Member]]:
        """See `Walk`."""
        for number in numbers:
            member = self.find(number, None)
            if member is not None:
                yield number, member

    def _opened(
        self, number: int, wanted: Wanted, all_of_them: bool
    ) -> Iterator[tuple[int, Member]]:
        """The file of a number, or the files in it."""
        info = self._infos[number]
        named = self._archives.get(number)
        beside = self._beside(info)
        stored = self._stored(info)
        if stored is not None:
            archived, found = True, stored
        else:
            archived, found = zip_member(self._archive, info, info.filename, 0)
        if not archived:
            for member in found:
                if wanted(number):
                    yield number, replace(member, beside=beside)
            return
        nth = number if named is None else named
        if nth >= MOST_ARCHIVES:
            why = f"of the archives in a zip the first {MOST_ARCHIVES} are opened; unpack it"
            yield number, broken(info.filename, "zip", Unsupported("zip member", 0, why))
            return
        first = (NAMED if named is not None else UNNAMED) + nth * ROOM
        for at, member in enumerate(islice(found, ROOM)):
            if at == ROOM - 1:
                why = f"of an archive in a zip the first {ROOM - 1} files are read; unpack it"
                member = broken(info.filename, "zip", Unsupported("zip member", 0, why))
            if member.passed and not all_of_them:
                self.not_opened[NOT_WANTED] += 1
            elif wanted(first + at):
                yield first + at, member

    def _stored(self, info: zipfile.ZipInfo) -> Iterator[Member] | None:
        """The files of a zip or image that is stored in this zip as it is: of any size."""
        if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & ENCRYPTED:
            return None
        try:
            self._file.seek(info.header_offset)
            header = self._file.read(LOCAL_HEADER.size)
            if len(header) < LOCAL_HEADER.size:
                return None
            magic, name, extra = LOCAL_HEADER.unpack(header)
            start = info.header_offset + LOCAL_HEADER.size + name + extra
            content = cast(BinaryIO, Section(self._file, start, info.file_size))
            head = content.read(65536)
        except (OSError, ValueError):
            return None  # `zip_member` says so
        if magic != b"PK\x03\x04":
            return None
        content.seek(0)
        if kind_of(head) == "zip":
            return members_of_zip(content, info.filename, info.filename, 1)
        if begins_image(head):
            return members_of_image(content, info.filename, info.filename, 1)
        return None

    def _beside(self, info: zipfile.ZipInfo) -> Siblings:
        folder = plain(info.filename).rpartition("/")[0]

        def find(name: str) -> zipfile.ZipInfo | None:
            if not self._folders:
                for each in self._infos:
                    place, _, last = plain(each.filename).rpartition("/")
                    self._folders.setdefault(place, {}).setdefault(last, each)
            return self._folders.get(folder, {}).get(name.lower())

        def read(name: str, most: int) -> bytes | None:
            other = find(name)
            if other is None or other.file_size > most:
                return None
            _, found = zip_member(self._archive, other, other.filename, 0)
            for member in found:
                return content_of(member, most)
            return None

        return Siblings(lambda name: find(name) is not None, read)
