"""Gives tests of monitoring somebody to tell."""

import pytest

from tests.receiver import listening


@pytest.fixture
def receiver(settings):
    """A server that writes down what it is sent; the settings trust it."""
    with listening() as made:
        settings.WEBHOOK_TRUSTED_TARGETS = [made.authority]
        yield made
