"""The `textrnn` command and the command lines of the recipes."""
