"""Knows on what terms a provider's pools are judged, without reading them for each request."""

from collections.abc import Mapping
from functools import lru_cache

from monitoring import selectors
from monitoring.domain.samples import PoolTerms
from monitoring.models import Pool


def terms_of(provider_code: str | None) -> Mapping[str, PoolTerms]:
    """Return the terms of a provider's pools by their codes, or of all pools without a provider.

    Triggers give the inventory another version with every change of a pool or a site, in the
    transaction of the change; a version that was rolled back is never given again.
    """
    return _terms_at(provider_code, selectors.inventory_version())


@lru_cache(maxsize=256)
def _terms_at(provider_code: str | None, version: int) -> Mapping[str, PoolTerms]:  # noqa: ARG001
    pools = Pool.objects.all()
    if provider_code is not None:
        pools = pools.filter(site__provider_id=provider_code)
    rows = pools.values_list("code", "pk", "contract")
    return {code: PoolTerms(pool_id, contract) for code, pool_id, contract in rows}
