"""The progress bar of an ingest; silent where standard error is no terminal."""

import os
import sys
from types import TracebackType
from typing import TYPE_CHECKING

from tracelake.ingest.events import Event, Read, SourceDone
from tracelake.ingest.report import Report

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import TaskID


class Progress:
    """Bytes read of bytes found, bytes a second, and what is being read.

    A source is read for its hash and for its rows, at once or one after the other; the bar counts
    both.
    """

    def __init__(self, size: int, quiet: bool = False) -> None:
        """Args:
        size: bytes of all sources. quiet: show nothing.
        """
        self._total = 2 * size
        self._quiet = quiet or not sys.stderr.isatty()
        self._bar: Bar | None = None
        self._task: TaskID | None = None
        # What each source has been counted for: the rest is added when it is done.
        self._counted: dict[str, int] = {}

    def __enter__(self) -> "Progress":
        if not self._quiet:
            from rich.console import Console
            from rich.progress import (
                BarColumn,
                DownloadColumn,
                Progress,
                TextColumn,
                TimeRemainingColumn,
                TransferSpeedColumn,
            )
            from rich.table import Column

            self._bar = Progress(
                BarColumn(bar_width=16, table_column=Column(no_wrap=True, min_width=16)),
                DownloadColumn(table_column=Column(no_wrap=True, min_width=13)),
                TransferSpeedColumn(table_column=Column(no_wrap=True, min_width=10)),
                TimeRemainingColumn(table_column=Column(no_wrap=True, min_width=7)),
                # What is left of the line: a second line would scroll the bar away.
                TextColumn(
                    "{task.fields[reading]}",
                    markup=False,
                    table_column=Column(no_wrap=True, overflow="ellipsis", ratio=1),
                ),
                console=Console(stderr=True),
                transient=True,
                expand=True,
            )
            self._task = self._bar.add_task("", total=self._total, reading="")
            self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def watch(self, event: Event, report: Report) -> None:
        """Moves the bar on; what `ingest` calls with each event."""
        if self._bar is None or self._task is None:
            return
        if isinstance(event, Read):
            # Of a compressed source more is parsed than it has bytes: count its hash only.
            self._counted[event.path] = self._counted.get(event.path, 0) + event.hashed
            from tracelake.output import shown

            self._bar.update(
                self._task,
                advance=event.hashed,
                reading=f"{report.sources:,} in, {shown(os.path.basename(event.path))}",
            )
        elif isinstance(event, SourceDone) and event.later is None:
            rest = 2 * event.task.size - self._counted.pop(event.task.path, 0)
            self._bar.update(self._task, advance=rest)
