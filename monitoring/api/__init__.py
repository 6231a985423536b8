"""Translates HTTP to monitoring's services and selectors."""
