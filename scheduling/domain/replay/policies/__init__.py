"""Policies that decide which waiting job begins where, and what they share."""
