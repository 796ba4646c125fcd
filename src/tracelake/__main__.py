"""`python -m tracelake`: the command, where its script is not on the path."""

from tracelake.cli import main

if __name__ == "__main__":
    main()
