"""Saved tasks: writing, finding and loading them."""
