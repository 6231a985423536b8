"""Observe: inventory, telemetry, newest state, rollups and alerts."""
