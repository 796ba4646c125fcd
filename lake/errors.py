"""What can be wrong with a lake itself (never with evidence: that is `native.errors`)."""

from collections.abc import Sequence


class LakeError(Exception):
    """A lake that cannot be used as asked; the message is one line for the user."""


class UnknownEngagement(LakeError):
    """The engagement is not there.

    Attributes:
        existing: the engagements that are.
    """

    def __init__(self, engagement: str, uri: str, existing: Sequence[str]) -> None:
        self.engagement = engagement
        self.existing = tuple(existing)
        known = "it holds " + ", ".join(self.existing) if existing else "it holds none"
        super().__init__(f"no engagement {engagement!r} in {uri}: {known}")


class NewerFormat(LakeError):
    """The lake was made by a later version, whose files this one could misread."""
