"""Lets a person say that a pool's new level is right, so that it is no longer suspect."""

from django.db import transaction

from controlplane.auth import audit
from controlplane.auth.roles import Actor, Permission
from controlplane.lib.errors import ErrorKind, GridError
from monitoring.models import Pool
from monitoring.watch.profiles import confirm_pool


class PoolNotFound(GridError):
    """There is no such pool."""

    code = "pool-not-found"
    kind = ErrorKind.NOT_FOUND


class MayNotConfirm(GridError):
    """The person's role does not confirm levels."""

    code = "not-allowed"
    kind = ErrorKind.NOT_ALLOWED


@transaction.atomic
def confirm_level(actor: Actor, pool_code: str, *, reason: str) -> None:
    """Take a pool's next readings as right, whatever its past says.

    Args:
        actor: who says so; an operator or a grid admin, never the provider itself.
        pool_code: which pool.
        reason: why, for the audit chain.

    Raises:
        MayNotConfirm: the person's role does not allow it.
        PoolNotFound: there is no such pool.
    """
    if not (actor.may(Permission.ACKNOWLEDGE_ALERT) or actor.may(Permission.EDIT_INVENTORY)):
        raise MayNotConfirm("Only an operator or a grid admin confirms a pool's level.")
    pool = Pool.objects.filter(code=pool_code).first()
    if pool is None:
        raise PoolNotFound("There is no such pool.")
    confirm_pool(pool.pk)
    audit.record(actor.username, "confirm-level", f"pool:{pool_code}", {"reason": reason})
