"""What all tasks share: their registry and base classes."""
