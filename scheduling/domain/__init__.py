"""What scheduling decides: pure functions and frozen dataclasses."""
