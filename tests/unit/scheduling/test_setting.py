"""Who may set what plans keep to."""

import pytest

from scheduling.domain.setting import Setting, why_not

ROLES = ("OPERATOR", "GRID_ADMIN", "REGIONAL_ADMIN", "PROVIDER", "AUDITOR")
MAY = {
    (Setting.MAINTENANCE, "OPERATOR"),
    (Setting.MAINTENANCE, "REGIONAL_ADMIN"),
    (Setting.MAINTENANCE, "PROVIDER"),
    (Setting.CARBON_CAP, "REGIONAL_ADMIN"),
    *((setting, "GRID_ADMIN") for setting in Setting),
}


@pytest.mark.parametrize("setting", Setting)
@pytest.mark.parametrize("role", ROLES)
def test_a_role_sets_what_is_its_own(setting, role):
    reason = why_not(setting, role, is_own_region=True, is_own_site=True)

    assert (reason is None) == ((setting, role) in MAY)


@pytest.mark.parametrize("setting", Setting)
@pytest.mark.parametrize("role", ["REGIONAL_ADMIN", "PROVIDER"])
def test_nobody_reaches_beyond_the_own_region_or_site(setting, role):
    assert why_not(setting, role) is not None
