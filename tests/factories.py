"""Makes rows for tests: inventory, people and reported telemetry."""

import datetime as dt
from typing import Any

import factory
import numpy as np
from django.contrib.auth import get_user_model
from django.contrib.auth.hashers import make_password

from controlplane.auth.models import Membership
from controlplane.auth.roles import Role
from monitoring import ingest
from monitoring.domain.columns import read_batch
from monitoring.domain.reports import IngestReport
from monitoring.domain.samples import Window
from monitoring.models import Pool, Provider, Region, Site

PASSWORD = "test-password-of-people"  # noqa: S105 (opens nothing but test logins)
_WEEK = dt.timedelta(days=7)


class RegionFactory(factory.django.DjangoModelFactory):
    """A region; CN-BJ unless said otherwise."""

    class Meta:
        model = Region
        django_get_or_create = ("code",)

    code = "CN-BJ"
    name_zh = factory.SelfAttribute("code")
    name_en = factory.SelfAttribute("code")
    lat = 39.9
    lon = 116.4
    jurisdiction = "CN"
    carbon_g_per_kwh = 558.0
    carbon_basis = "a yearly constant"


class ProviderFactory(factory.django.DjangoModelFactory):
    """A provider; beiyun unless said otherwise."""

    class Meta:
        model = Provider
        django_get_or_create = ("code",)

    code = "beiyun"
    name_zh = factory.SelfAttribute("code")
    name_en = factory.SelfAttribute("code")


class SiteFactory(factory.django.DjangoModelFactory):
    """A site of beiyun in CN-BJ unless said otherwise."""

    class Meta:
        model = Site
        django_get_or_create = ("code",)

    code = "beijing"
    name_zh = factory.SelfAttribute("code")
    name_en = factory.SelfAttribute("code")
    provider = factory.SubFactory(ProviderFactory)
    region = factory.SubFactory(RegionFactory)
    lat = 39.9
    lon = 116.4
    pue = 1.35


class PoolFactory(factory.django.DjangoModelFactory):
    """A pool of 100 GPUs at beijing unless said otherwise."""

    class Meta:
        model = Pool
        django_get_or_create = ("code",)

    code = "beijing-gpu"
    site = factory.SubFactory(SiteFactory)
    installed = 100.0
    contract = 100.0
    kw_per_unit = 0.4


def make_pool(code: str, *, region: str, provider: str, **fields: Any) -> Pool:
    """Make a pool with a site of its own."""
    site = SiteFactory(code=f"{code}-site", region__code=region, provider__code=provider)
    return PoolFactory(code=code, site=site, **fields)


def make_person(username: str, role: Role | None, *, region: str = "", provider: str = "") -> Any:
    """Make a person with a login and, unless the role is None, a role."""
    encoded = make_password(PASSWORD)
    user = get_user_model().objects.create(username=username, password=encoded)
    if role is not None:
        Membership.objects.create(user=user, role=role, region_code=region, provider_code=provider)
    return user


def sample(pool: str, at: dt.datetime, **fields: Any) -> dict[str, Any]:
    """Return one sample as a provider would send it; 100 of capacity, half of it allocated."""
    values = {"capacity": 100.0, "allocated": 50.0, "queued": 0.0}
    return {"pool": pool, "measured_at": at.isoformat(), **values, **fields}


def report(provider: str, samples: list[dict[str, Any]], *, now: dt.datetime) -> IngestReport:
    """Store samples as if the provider had pushed them, without a limit on their age."""
    names = {name for row in samples for name in row} | {"pool", "measured_at"}
    columns = {name: [row.get(name) for row in samples] for name in names}
    batch = read_batch(columns, size=len(samples))
    window = Window(now - 52 * _WEEK, now + _WEEK)
    return ingest.ingest_batch(batch, provider_code=provider, now=now, window=window)


def report_hours(
    pool: Pool, since: dt.datetime, demand: list[float], *, capacity: float = 100.0
) -> None:
    """Store one sample an hour; what does not fit into the capacity waits."""
    wanted = np.asarray(demand, float)
    rows = [
        sample(
            pool.code,
            since + dt.timedelta(hours=hour),
            capacity=capacity,
            allocated=min(units, capacity),
            queued=max(0.0, units - capacity),
        )
        for hour, units in enumerate(wanted.tolist())
    ]
    report(pool.site.provider_id, rows, now=since + dt.timedelta(hours=len(rows)))
