"""mft-rs (the Rust `mft`, as its Python wheel carries it): its CSV of a $MFT, written to a file.

    python rival_mft_rust.py FILE OUT

The lines are made in Rust; Python hands each to a buffered file.
"""

import sys

from mft import PyMftParser


def main(path: str, output: str) -> None:
    total = 0
    with open(output, "wb", buffering=1 << 20) as out:
        for line in PyMftParser(path).entries_csv():
            if isinstance(line, bytes):
                out.write(line)
                total += 1
    print(total)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
