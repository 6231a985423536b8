"""Decides what is usual for a pool, and which of its readings cannot be right beside that."""
