"""The bench: strategies compared by one protocol, on tables of known results or in real runs on a space."""
