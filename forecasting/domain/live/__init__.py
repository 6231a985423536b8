"""Decides what only the running grid needs: sums, announced demand, energy, waits, drift."""
