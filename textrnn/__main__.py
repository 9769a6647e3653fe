"""`python -m textrnn` is the `textrnn` command."""

from textrnn.cli.commands import main

if __name__ == "__main__":
    main()
