"""What `make demo` runs: evidence in, questions answered.

    python examples/demo.py --lake demo-lake

Each step is a command that can be typed as it is shown. The questions are the files under
`examples/queries/`; the first line of each is its title.
"""

import argparse
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
EVIDENCE = HERE / "evidence"
TRACELAKE = Path(sys.executable).parent / "tracelake"


def tracelake(*arguments: str) -> None:
    """Runs a command of tracelake; ends with its exit code where it fails."""
    sys.stdout.flush()
    code = subprocess.run([str(TRACELAKE), *arguments], check=False).returncode
    if code:
        sys.exit(code)


def near(path: Path) -> str:
    """The path as one would type it here."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def main() -> None:
    parser = argparse.ArgumentParser(description="evidence in, questions answered")
    parser.add_argument("--lake", default="demo-lake")
    where = ("--engagement", "demo", "--lake", parser.parse_args().lake)
    evidence = near(EVIDENCE)
    print(f"$ tracelake ingest {evidence} {' '.join(where)}")
    tracelake("ingest", evidence, *where)
    for path in sorted((HERE / "queries").glob("*.sql")):
        title, _, sql = path.read_text().partition("\n")
        print(f"\n{title.strip('/* ')}")
        print(f'$ tracelake query "$(cat {near(path)})" {" ".join(where)}')
        tracelake("query", f"{title}\n{sql}", *where)


if __name__ == "__main__":
    main()
