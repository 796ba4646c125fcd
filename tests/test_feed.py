"""Bytes in order through one window, whatever they come from."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracelake.native.errors import Truncated, Unsupported
from tracelake.native.feed import Feed


class Dribble(io.RawIOBase):
    """Gives as many bytes a read as it likes, then breaks if told to."""

    def __init__(self, data: bytes, steps: list[int], broken: bool = False) -> None:
        self.data, self.steps, self.broken, self.turn = data, steps, broken, 0

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        step = self.steps[self.turn % len(self.steps)]
        self.turn += 1
        part = self.data[: min(step, len(buffer))]
        if not part and self.broken:
            raise Truncated("gzip stream", 7, "it ends before its trailer")
        self.data = self.data[len(part) :]
        buffer[: len(part)] = part
        return len(part)


@given(
    st.binary(max_size=2000),
    st.lists(st.integers(1, 300), min_size=1, max_size=5),
    st.lists(st.integers(0, 500), max_size=20),
)
def test_reads_what_is_there(data: bytes, steps: list[int], sizes: list[int]) -> None:
    feed = Feed(Dribble(data, steps), window=64)
    got = b""
    for size in sizes:
        assert feed.position == len(got)
        ahead = feed.peek(size)
        part = feed.read(size)
        assert part == ahead == data[len(got) : len(got) + size]
        got += part
    assert feed.drain() == len(data)


def test_a_break_comes_after_all_that_was_before() -> None:
    feed = Feed(Dribble(b"abcdef", [4], broken=True), window=64)
    assert feed.read(100) == b"abcdef"
    with pytest.raises(Truncated, match="gzip stream at offset 7"):
        feed.read(1)
    assert feed.read(1) == b"", "the error is raised once, then the artifact has ended"


def test_a_claim_of_gigabytes_is_refused_before_memory_is() -> None:
    with pytest.raises(Unsupported, match="claims 4294967296 bytes"):
        Feed(io.BytesIO(b"abc")).read(1 << 32)


def test_a_tiny_window_is_refused() -> None:
    with pytest.raises(ValueError, match="too small"):
        Feed(io.BytesIO(b""), window=10)


@pytest.mark.parametrize("claim", [65, -1])
def test_a_stream_that_lies_about_what_it_read_is_not_believed(claim: int) -> None:
    class Lies:
        def readinto(self, buffer: memoryview) -> int:
            return claim

    with pytest.raises(ValueError, match=f"it read {claim} bytes into a room of 64"):
        Feed(Lies(), window=64).peek(10)


def test_nothing_is_read_backwards() -> None:
    feed = Feed(io.BytesIO(b"abc"), window=64)
    for move in (feed.read, feed.peek):
        with pytest.raises(ValueError, match="cannot read -1 bytes"):
            move(-1)
    assert feed.read(3) == b"abc"
