"""Starts the true grid in real time without simulated providers, for senders of a test's own."""

import os
import sys
import textwrap
from dataclasses import replace

from controlplane.runtime.__main__ import main
from controlplane.runtime.stack import tiaodu_stack

SENDERS = ("beiyun", "huadong", "lingnan", "bashu", "xibu")
# inventory, partitions, an operator, keys, and rules that make one row of each second's points
SEED = f"""
    import json
    import django
    django.setup()
    from django.conf import settings
    from controlplane.auth.keys import issue_key
    from controlplane.auth.people import Person, register_people
    from controlplane.auth.roles import Role
    from controlplane.lib import clock
    from monitoring import services
    from monitoring.domain.presets import preset_rules
    from monitoring.domain.mapping import write_rules
    from monitoring.models import MappingSet

    inventory = json.loads((settings.FIXTURES_DIR / "grid.json").read_text(encoding="utf-8"))
    services.register_inventory(inventory, engines={{}})
    services.keep_partitions(clock.now())
    register_people([Person("operator", Role.OPERATOR)], password=settings.DEMO_PASSWORD)
    folder = settings.VAR_DIR / "run" / "keys"
    folder.mkdir(parents=True, exist_ok=True)
    rules = write_rules(preset_rules("tiaodu", "{{tiaodu_pool}}"))
    for provider in {SENDERS!r}:
        MappingSet.objects.update_or_create(provider_id=provider, defaults=dict(
            rules=rules, tick_s=1.0, changed_at=clock.now(), changed_by="test"))
        (folder / provider).write_text(issue_key(provider, actor="system"))
"""


def set_stack(folder, servers, *, environment, web_port):
    """Return the grid's children with another seed."""
    whole = tiaodu_stack(folder, servers, environment=environment, web_port=web_port)
    kept = [child for child in whole if not child.name.startswith(("provider-", "prepare"))]
    seed = (sys.executable, "-c", textwrap.dedent(SEED))
    return tuple(
        replace(child, command=seed, after=("migrate",)) if child.name == "seed_grid" else child
        for child in kept
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ, stack=set_stack))
