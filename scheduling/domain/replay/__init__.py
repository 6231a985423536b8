"""Replays recorded jobs under scheduling policies and measures what each would have cost."""
