"""Sends messages to addresses that people have typed in, and to no others."""

from monitoring.webhooks.sending import Answer, NotSent, check_target, send

__all__ = ("Answer", "NotSent", "check_target", "send")
