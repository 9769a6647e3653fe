"""`python -m textrnn` is the `textrnn` command."""

from textrnn.cli import main

if __name__ == "__main__":
    main()
