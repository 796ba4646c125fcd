"""What a mapping says of one kind of event."""

from collections.abc import Mapping
from dataclasses import dataclass

ANY = "*"
"""Code of the section for all events of a provider that no other section names."""


@dataclass(frozen=True, slots=True)
class Source:
    """A field and the way it goes into a column.

    Attributes:
        field: its name in the event.
        transform: key of TRANSFORMS.
        argument: of the transform ("sha256", name of a value map), else "".
        values: the value map, where the transform is `map`.
    """

    field: str
    transform: str
    argument: str = ""
    values: tuple[tuple[str, int | str], ...] = ()


@dataclass(frozen=True, slots=True)
class Condition:
    """Which of the events of one kind a section is for.

    Attributes:
        field: its text decides; "" where the event does not have it.
        values: texts, any of which fits; none: any text that is not empty.
        equal: the text must be one of `values`; else it must be none of them.
    """

    field: str
    values: tuple[str, ...]
    equal: bool = True

    def holds(self, text: str | None) -> bool:
        """Whether an event with this text in `field` fits."""
        fits = (text or "") in self.values if self.values else bool(text)
        return fits == self.equal

    def __str__(self) -> str:
        return f"{self.field} {'=' if self.equal else '!='} {'|'.join(self.values) or '*'}"


@dataclass(frozen=True, slots=True)
class Event:
    """What becomes of one kind of event.

    Attributes:
        provider, code: who writes it and its id (or name).
        table: table of its row.
        constants: columns with the same number or text on every row, or (numbers) on those on
            which no field fills them.
        columns: per column the fields to choose from.
        where: file and section, for messages and docs.
        when: which events it is for, those of which all of these hold; none: all.
        otherwise: the section for the others, None: they have no mapping.
        asked: the fields that the conditions of all sections for such events name.
        message: template of what the event says, in our words; "" none.
    """

    provider: str
    code: str
    table: str
    constants: Mapping[str, int | str]
    columns: Mapping[str, tuple[Source, ...]]
    where: str = ""
    when: tuple[Condition, ...] = ()
    otherwise: "Event | None" = None
    asked: tuple[str, ...] = ()
    message: str = ""

    @property
    def sections(self) -> "tuple[Event, ...]":
        """This section and those for the others, in the order in which they are tried."""
        return (self, *(self.otherwise.sections if self.otherwise else ()))

    def section(self, named: Mapping[str, str | None]) -> "Event | None":
        """The section for an event with these values: the first that fits, or None."""
        for event in self.sections:
            if all(condition.holds(named.get(condition.field)) for condition in event.when):
                return event
        return None
