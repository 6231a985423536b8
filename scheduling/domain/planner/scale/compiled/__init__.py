"""The loops of planning at national size that are compiled: pricing, climbing, placing jobs."""
