"""What each command of `tracelake` takes, read with argparse.

argparse, since a start pays for all that it imports: a library that makes commands of annotated
functions took a quarter of what reading a small log takes.
"""

import argparse
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn

from tracelake.version import VERSION

ABOUT = "Captures, event logs and EDR telemetry into one body of tables, and SQL on them."

Argument = tuple[tuple[str, ...], dict[str, Any]]
"""The names and settings of `ArgumentParser.add_argument`."""


class UsageError(Exception):
    """The command line is wrong: in what."""


class Parser(argparse.ArgumentParser):
    """Wrong usage is an exception, and options are spelled out."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        """Raises UsageError."""
        raise UsageError(message)


def _argument(*names: str, **settings: Any) -> Argument:
    return names, settings


def _at_least_one(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("it is at least 1")
    return number


_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 7 * 86400.0}


def _seconds(text: str) -> float:
    """A length of time: 30s, 10m, 24h, 7d, 2w."""
    unit = _SECONDS.get(text[-1:])
    number = text[:-1] if unit else text
    if not number.isdecimal() or (unit is None and number != "0"):
        raise argparse.ArgumentTypeError("it is a number with s, m, h, d or w, such as 10m or 7d")
    return int(number) * (unit or 0.0)


_FORMATS = "table, csv, json (lines) or parquet"
_ENGAGEMENT = _argument(
    "--engagement", "-e", metavar="ID",
    help="The case: a-z, 0-9, - and _, at most 63; or TRACELAKE_ENGAGEMENT.",
)
_LAKE = _argument("--lake", metavar="URI", help="The lake; TRACELAKE_LAKE or ./lake.")
_FORM = _argument(
    "--format", dest="form", metavar="FORM", default="table", help=f"{_FORMATS}."
)

_AS_OF = _argument(
    "--as-of", metavar="VERSION|TIME",
    help="As the lake was: a version of `artifact`, or a time (UTC); so far back as it is kept.",
)

_KEY = _argument(
    "--key", action="append", metavar="FILE|TEXT",
    help="Key file, password or recovery password of encrypted volumes; may be repeated.",
)

ARGUMENTS: Mapping[str, tuple[Argument, ...]] = {
    "ingest": (
        _argument("paths", nargs="+", metavar="PATH"),
        _ENGAGEMENT,
        _LAKE,
        _argument(
            "--workers", type=_at_least_one, metavar="N", help="Processes; one a core by default."
        ),
        _argument(
            "--dry-run", action="store_true",
            help="Only say what each file is and who would read it.",
        ),
        _argument(
            "--carve", action="store_true",
            help="Also deleted records: of event logs and of folders in NTFS images.",
        ),
        _argument(
            "--reparse", action="store_true",
            help="Read sources that are in anew, where parsers or mappings are newer.",
        ),
        _argument(
            "--all-files", action="store_true",
            help="Open every file of archives and images, and list it with its hash.",
        ),
        _argument(
            "--mapping", action="append", type=Path, metavar="FILE", dest="mappings",
            help="Mapping file of your own (see `tracelake map`); may be repeated.",
        ),
        _argument(
            "--flows-only", action="store_true",
            help="Of captures only the flows, not what is said in them.",
        ),
        _KEY,
        _argument(
            "--shadow-copies", action="store_true", help="Also volume shadow copies in images."
        ),
        _argument(
            "--no-full-hash", dest="full_hash", action="store_false",
            help="Do not read whole images for their hashes, at the end.",
        ),
        _argument("--json", dest="as_json", action="store_true", help="The summary as JSON."),
    ),
    "map": (
        _argument("sample", type=Path, metavar="SAMPLE"),
        _argument("-o", dest="output", type=Path, metavar="FILE", help="Write to a file."),
        _argument("--provider", metavar="NAME", help="Who writes these events."),
        _argument(
            "--records", type=_at_least_one, metavar="N", default=10000,
            help="Records that are looked at.",
        ),
    ),
    "query": (
        _argument("sql", metavar='"SQL"'),
        _ENGAGEMENT,
        _LAKE,
        _argument("--since", metavar="T", help="Only rows from this time (UTC) on."),
        _argument("--until", metavar="T", help="Only rows before this time (UTC)."),
        _AS_OF,
        _argument(
            "--format", dest="form", metavar="FORM",
            help=f"{_FORMATS}; without it what FILE's name says, or a table.",
        ),
        _argument(
            "-o", dest="output", type=Path, metavar="FILE",
            help="Write to a file; what would be a table as CSV.",
        ),
    ),
    "tables": (_ENGAGEMENT, _LAKE, _AS_OF),
    "sources": (_ENGAGEMENT, _LAKE, _FORM),
    "damage": (_ENGAGEMENT, _LAKE, _FORM),
    "status": (_ENGAGEMENT, _LAKE),
    "show": (_argument("row_id", metavar="ROW_ID"), _ENGAGEMENT, _LAKE, _KEY),
    "verify": (_ENGAGEMENT, _LAKE),
    "compact": (
        _ENGAGEMENT,
        _LAKE,
        _argument(
            "--every", type=_seconds, metavar="TIME",
            help="Again and again, such as 10m; then only where many files are of one size.",
        ),
        _argument(
            "--retain", type=_seconds, metavar="TIME", default="7d",
            help="How long replaced files stay, for running queries and --as-of; 7d.",
        ),
        _argument("--json", dest="as_json", action="store_true", help="What was done, as JSON."),
    ),
    "sweep": (
        _ENGAGEMENT,
        _LAKE,
        _argument(
            "--grace", type=_seconds, metavar="TIME", default="24h",
            help="Only files that nobody has written for this long; 24h.",
        ),
        _argument("--dry-run", action="store_true", help="Only say which."),
        _argument("--json", dest="as_json", action="store_true", help="Each file as JSON."),
    ),
    "doctor": (_LAKE,),
}
"""What each command takes; their names are those of its function's parameters."""


def read(
    words: list[str], commands: Mapping[str, Callable[..., int]]
) -> tuple[Callable[..., int], dict[str, Any]]:
    """The command that is meant, and its arguments.

    Args:
        words: the command line without the program's name.
        commands: by name, with what `--help` says of them in their docstrings.

    Raises:
        UsageError: it is wrong.
        SystemExit: it asks for help or the version, which have been printed.
    """
    if not words or words[0] not in commands:
        _read_none(words, commands)
    name, *rest = words
    parser = Parser(prog=f"tracelake {name}", description=commands[name].__doc__)
    for names, settings in ARGUMENTS[name]:
        parser.add_argument(*names, **settings, **_engagement(names))
    # Options stand anywhere; but what makes that so does not know the `--` that ends them.
    parse = parser.parse_args if "--" in rest else parser.parse_intermixed_args
    return commands[name], vars(parse(rest))


def _engagement(names: tuple[str, ...]) -> dict[str, Any]:
    if "--engagement" not in names:
        return {}
    found = os.environ.get("TRACELAKE_ENGAGEMENT")
    return {"default": found, "required": not found}


def _read_none(words: list[str], commands: Mapping[str, Callable[..., int]]) -> NoReturn:
    """What names no command: help, the version, or wrong."""
    parser = Parser(prog="tracelake", description=ABOUT)
    parser.add_argument("--version", action="version", version=f"tracelake {VERSION}")
    choices = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, command in commands.items():
        choices.add_parser(name, help=command.__doc__)
    if not words:
        parser.print_help()
        raise SystemExit(2)
    parser.parse_args(words)
    raise UsageError("the command comes first")
