"""The planner: from a situation to a checked, explained plan. Read `problem`, then `solver`."""
