"""Notices, while telemetry comes in, how its providers and pools behave."""
