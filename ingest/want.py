"""Which files are worth opening, and how soon: by their paths, before any byte of them is read.

What a parser wants stands in `Parser.files`. In a disk image and in an archive with very many
members only such files are opened; everywhere the ranks give the order.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fnmatch import translate
from functools import cache
from urllib.parse import unquote

from tracelake.parsers import PARSERS
from tracelake.parsers.artifact import Rank

# What is read in one go over all sources, before the next begins: what responders ask first is
# there for every host before anything else of any host.
STAGES: tuple[frozenset[Rank], ...] = (
    frozenset({Rank.EVENT_LOGS, Rank.FILE_SYSTEM, Rank.REGISTRY, Rank.EXECUTION}),
    frozenset({Rank.LOGS, Rank.USE}),
    frozenset({Rank.BROWSER, Rank.REST}),
)
# The hash of a whole image comes when all else is in.
AUDIT = len(STAGES)
LAST_STAGE = AUDIT
STAGE_OF = {rank: stage for stage, ranks in enumerate(STAGES) for rank in ranks}

NOT_WANTED = "no parser asks for a file of this path"
ARCHIVED = "an archive in an image: export it and ingest it"
Wanted = Callable[[int], bool]
"""Whether the file of a number is still to be read."""

ARCHIVES = (
    ".zip", ".tar", ".7z", ".tgz", ".tzst", ".tbz", ".tbz2", ".txz",
    ".tar.gz", ".tar.zst", ".tar.bz2", ".tar.xz", ".tar.zstd",
)
IMAGES = (
    ".e01", ".ex01", ".s01", ".dd", ".raw", ".img", ".001", ".000", ".00001", ".vmdk", ".vhd",
    ".vhdx", ".avhdx", ".qcow2", ".qcow", ".dmg", ".iso",
)
COMPRESSED = (".gz", ".zst", ".zstd", ".bz2", ".xz")
# Characters that mean something in a pattern.
WILD = re.compile(r"[*?\[\]]")


def every(_number: int) -> bool:
    """All files are wanted."""
    return True


@dataclass(frozen=True, slots=True)
class Pattern:
    """Attributes:
    literal: its longest piece without a wildcard; a path without it needs no closer look.
    whole: matches a path with a `/` before it.
    """

    literal: str
    whole: re.Pattern[str]
    rank: Rank


class Patterns:
    """Patterns of paths with a rank each. A million paths are looked at: by the last part of the
    path where a pattern gives it, and always for a piece of text first.

    Args:
        patterns: (pattern as in `Parser.files`, rank).
    """

    def __init__(self, patterns: Iterable[tuple[str, Rank]]) -> None:
        self._names: dict[str, list[Pattern]] = {}
        self._suffixes: dict[str, list[Pattern]] = {}
        self._others: list[Pattern] = []
        for text, rank in patterns:
            # In a collection a volume stands below folders of the collector's own.
            anywhere = text if text.startswith("*") else f"*/{text}"
            literal = max(WILD.split(anywhere), key=len)
            pattern = Pattern(literal, re.compile(translate(anywhere)), rank)
            last = text.rpartition("/")[2]
            suffix = last.rpartition(".")[2]
            if last and not WILD.search(last):
                self._names.setdefault(last, []).append(pattern)
            elif "." in last and suffix and not WILD.search(suffix):
                self._suffixes.setdefault(suffix, []).append(pattern)
            else:
                self._others.append(pattern)

    def rank(self, path: str) -> Rank | None:
        """The best rank of the patterns that a path fits; None where it fits none.

        Args:
            path: in lower case, folders divided by `/`.
        """
        last = path.rpartition("/")[2]
        path = f"/{path}"
        best: Rank | None = None
        named, suffixed = self._names.get(last), self._suffixes.get(last.rpartition(".")[2])
        for patterns in (named, suffixed, self._others):
            for pattern in patterns or ():
                if (
                    pattern.literal in path
                    and (best is None or pattern.rank < best)
                    and pattern.whole.match(path)
                ):
                    best = pattern.rank
        return best


@cache
def _of_parsers() -> Patterns:
    return Patterns((pattern, p.rank) for p in PARSERS for pattern in p.files)


@cache
def _by_last_part() -> Patterns:
    """For loose files, which have no folders: `*/winevt/logs/*.evtx` as `*.evtx`."""
    found = []
    for parser in PARSERS:
        for pattern in parser.files:
            last = pattern.rpartition("/")[2]
            if last.strip("*"):  # a pattern of the folder alone would be everything
                found.append((last, parser.rank))
    return Patterns(found)


def plain(path: str) -> str:
    """A path as patterns have it: lower case, `/`, and without the escapes that collectors put
    in place of what a name may not hold (Velociraptor: `%3A`, `%5C`)."""
    if "%" in path:
        path = unquote(path, errors="replace")
    return path.replace("\\", "/").lower()


def rank_of(path: str) -> Rank | None:
    """The rank of a file by its path in its volume or archive; None: no parser asks for it. What
    is compressed counts as what it holds (`syslog.2.gz`)."""
    path = plain(path)
    best = _of_parsers().rank(path)
    for suffix in COMPRESSED:
        if path.endswith(suffix):
            inner = _of_parsers().rank(path[: -len(suffix)])
            if inner is not None and (best is None or inner < best):
                best = inner
    return best


def is_archive(path: str) -> bool:
    """Whether a name is that of an archive with members of its own."""
    return path.lower().endswith(ARCHIVES)


def is_image(path: str) -> bool:
    """Whether a name is one that images of disks have."""
    return path.lower().endswith(IMAGES)


def is_foreign(path: str) -> bool:
    """Whether a file of this name is read by libraries in C that are not ours."""
    return is_image(path) or path.lower().endswith(".7z")


def stage_of(name: str) -> int:
    """When a source of this name is begun. What an archive or an image holds is not known
    beforehand: it is begun at once, and what can wait in it is put off."""
    name = plain(name)
    if is_archive(name) or is_image(name):
        return 0
    rank = rank_of(name)
    if rank is None:  # a loose file, without the folders that it stood in
        rank = _by_last_part().rank(name.rpartition("/")[2])
    return STAGE_OF[Rank.REST if rank is None else rank]
