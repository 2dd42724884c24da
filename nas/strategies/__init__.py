"""Strategies propose what to evaluate next; `table` lists them by name."""
