"""The planner's exact search: the whole problem, or a core of it, as an integer programme."""
