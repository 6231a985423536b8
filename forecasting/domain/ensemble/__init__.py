"""The parts of the forecaster: simple rules, what they erred, and what is learned from that."""
