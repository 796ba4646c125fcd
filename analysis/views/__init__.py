"""The views of a session, all generated from the columns' metadata."""

from collections.abc import Iterator

from tracelake.analysis.views import alias, ocsf, timeline
from tracelake.analysis.views.base import Window
from tracelake.normalize import TABLES
from tracelake.normalize.ocsf import views as classes

SCHEMAS = ("ocsf", "ecs", "zeek", "sigma")


def statements(window: Window) -> Iterator[str]:
    """SQL of everything that stands on the tables' views."""
    for schema in SCHEMAS:
        yield f"CREATE SCHEMA {schema}"
    yield timeline.view(window)
    for name, (table, uid) in classes(TABLES).items():
        yield ocsf.view(name, table, uid)
    yield from alias.views()
