"""The parts of compare_cells.py: settings, tasks, runs, speed, table and plot."""
