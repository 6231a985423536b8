"""Shows forecasts to people, exports them, and takes announcements of demand to come."""
