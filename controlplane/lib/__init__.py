"""Small shared parts that know no noun of the grid: clock, errors, units, events, problems."""
