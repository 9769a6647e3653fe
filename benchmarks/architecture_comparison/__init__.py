"""The parts of architectures.py: settings, networks, training by the clock, tasks, scaling, and results."""
