"""Reports of training runs: files and figures, drawn from the data they are given."""
