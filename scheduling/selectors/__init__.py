"""Reads: the planner's situation, plans as people see them, and what is on its way."""
