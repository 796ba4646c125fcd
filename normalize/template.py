"""Message templates: what an event says, in one line of our own words.

    {user_domain}\\{user_name} logged on[ from {src_ip}][ by {auth_protocol}]

`{name}` is a column of the row, or else the event's field of that name. `[...]` is left out
where a name in it has no value; elsewhere a missing value is "-", as Windows shows it, and a
missing `{domain}\\` before a name is left out. Brackets may stand in brackets; there is no way to
write one as itself.
"""

from collections.abc import Iterator
from dataclasses import dataclass


class TemplateError(ValueError):
    """A template that cannot be read: what is wrong."""


@dataclass(frozen=True, slots=True)
class Name:
    """A column or a field."""

    name: str


@dataclass(frozen=True, slots=True)
class Optional:
    """What is left out where one of its own names has no value."""

    parts: "tuple[Part, ...]"


Part = str | Name | Optional


def parse(template: str) -> tuple[Part, ...]:
    """The parts of a template. Raises TemplateError."""
    parts, at = _parts(template, 0, False)
    if at < len(template):
        raise TemplateError("] without its [")
    return parts


def _parts(template: str, at: int, inside: bool) -> tuple[tuple[Part, ...], int]:
    parts: list[Part] = []
    while at < len(template):
        letter = template[at]
        if letter == "[":
            inner, at = _parts(template, at + 1, True)
            parts.append(Optional(inner))
        elif letter == "]":
            if not any(isinstance(part, Name) for part in parts) and inside:
                raise TemplateError("brackets without a name: they would never be left out")
            return _with_domain(parts), at + inside
        elif letter == "{":
            end = template.find("}", at)
            name = template[at + 1 : end]
            if end < 0 or not name or name != name.strip() or "{" in name:
                raise TemplateError(f"no name in {template[at:end + 1 if end > 0 else None]!r}")
            parts.append(Name(name))
            at = end + 1
        elif letter == "}":
            raise TemplateError("} without its {")
        else:
            end = min(template.find(mark, at) % (len(template) + 1) for mark in "[]{}")
            parts.append(template[at:end])
            at = end
    if inside:
        raise TemplateError("[ without its ]")
    return _with_domain(parts), at


def _with_domain(parts: list[Part]) -> tuple[Part, ...]:
    """Makes the domain in `{domain}\\{name}` one that may be missing."""
    made: list[Part] = []
    for i, part in enumerate(parts):
        after = parts[i + 1 : i + 3]
        if isinstance(part, Name) and after[:1] == ["\\"] and len(after) == 2 and isinstance(
            after[1], Name
        ):
            made.append(Optional((part, "\\")))
        elif part == "\\" and made and made[-1] == Optional((parts[i - 1], "\\")):
            continue
        else:
            made.append(part)
    return tuple(made)


def names(parts: tuple[Part, ...]) -> Iterator[str]:
    """Every name in them, in order."""
    for part in parts:
        if isinstance(part, Name):
            yield part.name
        elif isinstance(part, Optional):
            yield from names(part.parts)


def text(parts: tuple[Part, ...], values: dict[str, str | None]) -> str:
    """What a template says of these values: the plain way, for documents and tests."""
    return "".join(_text(part, values) for part in parts)


def _text(part: Part, values: dict[str, str | None]) -> str:
    if isinstance(part, Name):
        value = values.get(part.name)
        return "-" if value is None else value
    if isinstance(part, Optional):
        own = [one.name for one in part.parts if isinstance(one, Name)]
        if any(values.get(name) is None for name in own):
            return ""
        return text(part.parts, values)
    return part
