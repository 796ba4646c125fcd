def written_time(text: str, order: str = "") -> tuple[int, int, bool] | None:
    """(microseconds since 1970 UTC, nanoseconds below, whether the zone is said), or None.

    Args:
        order: "mdy" or "dmy" of dates of three numbers, else what can be told.
    """
