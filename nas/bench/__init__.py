"""The bench: strategies compared on tables in which the result of every architecture is known, without any training."""
