"""Yardstick for `evtx` on a small log: python-evtx renders each record's XML, nothing more.

python benchmarks/rival_python_evtx.py LOG
"""

import sys

from Evtx.Evtx import Evtx


def main(path: str) -> None:
    count = size = 0
    with Evtx(path) as log:
        for record in log.records():
            size += len(record.xml())
            count += 1
    print(count, size)


if __name__ == "__main__":
    main(sys.argv[1])
