"""The five roles, their scope, and what each may do."""

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """Why a person is here. One person has one role."""

    PROVIDER = "PROVIDER"
    OPERATOR = "OPERATOR"
    REGIONAL_ADMIN = "REGIONAL_ADMIN"
    AUDITOR = "AUDITOR"
    GRID_ADMIN = "GRID_ADMIN"


class Permission(StrEnum):
    """One thing that a role may do."""

    VIEW_GRID = "view-grid"
    PROPOSE_PLAN = "propose-plan"
    DECIDE_AS_OPERATOR = "decide-as-operator"
    DECIDE_FOR_REGION = "decide-for-region"
    ACKNOWLEDGE_ALERT = "acknowledge-alert"
    VIEW_AUDIT = "view-audit"
    EDIT_INVENTORY = "edit-inventory"
    VIEW_OWN_POOLS = "view-own-pools"


PERMISSIONS: dict[Role, frozenset[Permission]] = {
    Role.PROVIDER: frozenset({Permission.VIEW_OWN_POOLS}),
    Role.OPERATOR: frozenset(
        {
            Permission.VIEW_GRID,
            Permission.PROPOSE_PLAN,
            Permission.DECIDE_AS_OPERATOR,
            Permission.ACKNOWLEDGE_ALERT,
        }
    ),
    Role.REGIONAL_ADMIN: frozenset({Permission.VIEW_GRID, Permission.DECIDE_FOR_REGION}),
    Role.AUDITOR: frozenset({Permission.VIEW_GRID, Permission.VIEW_AUDIT}),
    Role.GRID_ADMIN: frozenset(
        {Permission.VIEW_GRID, Permission.VIEW_AUDIT, Permission.EDIT_INVENTORY}
    ),
}


@dataclass(frozen=True)
class Actor:
    """A person who asks for something, as services see one.

    Attributes:
        user_id: key of the Django user.
        username: login name, for the record.
        role: the person's one role.
        region_code: the region of a regional admin, such as `CN-GS`; else None.
        provider_code: the provider of a provider's user; else None.
    """

    user_id: int
    username: str
    role: Role
    region_code: str | None = None
    provider_code: str | None = None

    def may(self, permission: Permission) -> bool:
        """Whether the person's role allows something."""
        return permission in PERMISSIONS[self.role]
