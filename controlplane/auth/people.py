"""Registers people with their role, many at a time."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.contrib.auth import get_user_model
from django.contrib.auth.hashers import check_password, make_password
from django.db import transaction

from controlplane.auth.models import Membership
from controlplane.auth.roles import Role


@dataclass(frozen=True)
class Person:
    """A login name and the one role it has, with the region or provider it is bound to."""

    username: str
    role: Role
    region_code: str = ""
    provider_code: str = ""

    @property
    def scope(self) -> str:
        """The region or provider the role is bound to, or `grid`."""
        return self.region_code or self.provider_code or "grid"


@transaction.atomic
def register_people(people: Sequence[Person], *, password: str) -> int:
    """Give each person a login with the one password, and the role.

    The slow hash is made once and shared: for demonstrations, where the password is shared anyhow.

    Args:
        people: who is to have a login; one that exists keeps it and gets this role.
        password: the password of all of them.

    Returns:
        How many logins were new.
    """
    users = get_user_model().objects
    names = [person.username for person in people]
    existing = {user.username: user for user in users.filter(username__in=names)}
    known_hashes = {user.password for user in existing.values()}
    encoded = next((old for old in known_hashes if check_password(password, old)), None)
    encoded = encoded or make_password(password)
    users.filter(username__in=names).exclude(password=encoded).update(password=encoded)
    missing = [name for name in names if name not in existing]
    users.bulk_create([users.model(username=name, password=encoded) for name in missing])
    ids = dict(users.filter(username__in=names).values_list("username", "pk"))
    Membership.objects.bulk_create(
        [
            Membership(
                user_id=ids[person.username],
                role=person.role,
                region_code=person.region_code,
                provider_code=person.provider_code,
            )
            for person in people
        ],
        update_conflicts=True,
        unique_fields=["user"],
        update_fields=["role", "region_code", "provider_code"],
    )
    return len(missing)
