"""Rules that bind several pools or groups together, as plain upper limits."""
