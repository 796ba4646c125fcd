"""The views of a session, all generated from the columns' metadata."""

from collections.abc import Callable, Iterator
from functools import partial

from tracelake.analysis.views import alias, categories, evtx, flow, ocsf, script, usn
from tracelake.analysis.views.base import Window
from tracelake.normalize import TABLES, sigma
from tracelake.normalize.ocsf import views as classes


def _script(_: Window) -> Iterator[str]:
    yield script.VIEW


def _flow(_: Window) -> Iterator[str]:
    yield flow.VIEW


def _usn(_: Window) -> Iterator[str]:
    yield usn.VIEW


def _ocsf(_: Window) -> Iterator[str]:
    yield "CREATE SCHEMA IF NOT EXISTS ocsf"
    for name, (table, uid) in classes(TABLES).items():
        yield ocsf.view(name, table, uid)


def _ecs(_: Window) -> Iterator[str]:
    yield "CREATE SCHEMA IF NOT EXISTS ecs"
    yield from alias.ecs_views()


def _zeek(_: Window) -> Iterator[str]:
    yield "CREATE SCHEMA IF NOT EXISTS zeek"
    yield from alias.zeek_views()


def _sigma(_: Window) -> Iterator[str]:
    yield "CREATE SCHEMA IF NOT EXISTS sigma"
    yield from categories.views()
    yield evtx.view()


def _fields(_: Window) -> Iterator[str]:
    yield evtx.fields_view()


def _service(name: str, _: Window) -> Iterator[str]:
    yield evtx.service_view(name)


GROUPS: dict[tuple[str, ...], Callable[[Window], Iterator[str]]] = {
    ("script_full",): _script,
    ("flow",): _flow,
    ("usn",): _usn,
    ("ocsf",): _ocsf,
    ("ecs",): _ecs,
    ("zeek",): _zeek,
    ("sigma",): _sigma,
    ("sigma", "evtx_fields"): _fields,
    # One by one: each costs as much as `sigma.evtx`, on which they stand.
    **{("sigma", name): partial(_service, name) for name in sigma.SERVICES},
}
"""Words that a query names them by -> SQL of the views that stand on the tables' own."""
