"""What monitoring decides: pure functions and frozen dataclasses."""
