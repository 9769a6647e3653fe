"""Files and figures of a training run, drawn from what they are given."""
