"""Stores the inventory: regions, providers, sites and pools."""

from django.db import models
from django.db.models import Q


class Region(models.Model):
    """A province-level region: the boundary of consent, price, carbon and jurisdiction."""

    code = models.TextField(primary_key=True, help_text="ISO 3166-2, such as CN-GS")
    name_zh = models.TextField()
    name_en = models.TextField()
    lat = models.FloatField()
    lon = models.FloatField()
    jurisdiction = models.TextField(help_text="CN, HK, MO or TW")
    carbon_g_per_kwh = models.FloatField(null=True, blank=True)
    carbon_basis = models.TextField(blank=True, default="")

    def __str__(self) -> str:
        return self.code


class Provider(models.Model):
    """An organisation that offers capacity."""

    code = models.TextField(primary_key=True)
    name_zh = models.TextField()
    name_en = models.TextField()

    def __str__(self) -> str:
        return self.code


class Site(models.Model):
    """One data centre of a provider."""

    code = models.TextField(primary_key=True)
    name_zh = models.TextField()
    name_en = models.TextField()
    provider = models.ForeignKey(Provider, on_delete=models.PROTECT, related_name="sites")
    region = models.ForeignKey(Region, on_delete=models.PROTECT, related_name="sites")
    lat = models.FloatField()
    lon = models.FloatField()
    is_hub = models.BooleanField(default=False)
    hub_zh = models.TextField(blank=True, default="")
    hub_en = models.TextField(blank=True, default="")
    pue = models.FloatField()
    energy_zone = models.TextField(blank=True, default="", help_text="zone that stands in")

    class Meta:
        constraints = [
            # a data centre draws at least what its computers draw
            models.CheckConstraint(name="site_pue_at_least_one", condition=Q(pue__gte=1)),
        ]

    def __str__(self) -> str:
        return self.code


class Pool(models.Model):
    """Interchangeable capacity at a site: what attracts work is set here, never by telemetry."""

    code = models.TextField(unique=True)
    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="pools")
    unit = models.TextField(default="gpu")
    installed = models.FloatField()
    contract = models.FloatField(help_text="the most that may be planned on, in units")
    reserve = models.FloatField(default=0.0, help_text="units kept free by policy")
    kw_per_unit = models.FloatField()
    stale_after_s = models.FloatField(default=900.0)
    engine = models.TextField(default="simulated")
    engine_url = models.TextField(blank=True, default="")

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="pool_sizes_sane",
                condition=Q(installed__gte=0, installed__lte=1e9)
                & Q(contract__gte=0, contract__lte=1e9)
                & Q(reserve__gte=0, reserve__lte=1e9),
            ),
        ]

    def __str__(self) -> str:
        return self.code
