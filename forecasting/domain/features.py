"""Names the lengths of time that forecasting looks back at."""

DAY_H = 24
WEEK_H = 168
CONTEXT_H = 7 * WEEK_H
"""Hours before an origin that a forecast from that origin looks back at."""
