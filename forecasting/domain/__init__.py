"""What forecasting decides: pure functions and frozen dataclasses."""
