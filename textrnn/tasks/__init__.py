"""The common parts of all tasks: registry, base classes, arguments, embedding, preprocessing."""
