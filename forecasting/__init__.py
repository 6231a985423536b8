"""Forecast: demand and headroom per pool and region, with quantiles."""
