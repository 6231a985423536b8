"""The outside world: providers with real traces behind them, known to the grid by wire alone."""
