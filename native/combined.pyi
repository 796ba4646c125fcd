import pyarrow as pa

def combinations(
    columns: list[pa.Array], time: pa.Array | None, rows: int
) -> list[tuple[tuple[int | None, ...], int | None, int | None, int]]: ...
