"""Decides what an alert rule says, whom it is told to, and where a message may go."""
