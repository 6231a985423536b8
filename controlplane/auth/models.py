"""Stores each person's role, the providers' keys and the audit chain."""

from django.conf import settings
from django.db import models
from django.db.models import Q

from controlplane.auth.roles import Role


class Membership(models.Model):
    """The one role of a person, with the region or provider it is bound to."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="membership"
    )
    role = models.TextField(choices=[(role.value, role.value) for role in Role])
    region_code = models.TextField(blank=True, default="")
    provider_code = models.TextField(blank=True, default="")

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="membership_role_known",
                condition=Q(role__in=[role.value for role in Role]),
            ),
            models.CheckConstraint(
                name="membership_regional_admin_has_region",
                condition=~Q(role=Role.REGIONAL_ADMIN.value) | ~Q(region_code=""),
            ),
            models.CheckConstraint(
                name="membership_provider_has_provider",
                condition=~Q(role=Role.PROVIDER.value) | ~Q(provider_code=""),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user_id} {self.role} {self.region_code}{self.provider_code}"


class ProviderKey(models.Model):
    """A provider's bearer key: only its hash is kept."""

    provider_code = models.TextField()
    label = models.TextField(blank=True, default="")
    hint = models.TextField(help_text="first characters of the key, to tell keys apart")
    key_hash = models.BinaryField(unique=True)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    request_key = models.TextField(
        null=True,
        blank=True,
        unique=True,
        help_text="who asked, and the Idempotency-Key of the request",
    )

    class Meta:
        indexes = [
            # the live keys of one provider, when a new one is issued
            models.Index(fields=["provider_code"], name="providerkey_by_provider"),
        ]

    def __str__(self) -> str:
        return f"{self.provider_code} {self.hint}…"


class AuditEntry(models.Model):
    """One link of the audit chain; the database refuses to change or remove it."""

    sequence = models.BigIntegerField(primary_key=True)
    grid_at = models.DateTimeField()
    wall_at = models.DateTimeField()
    actor = models.TextField()
    action = models.TextField()
    subject = models.TextField()
    payload = models.JSONField()
    previous_hash = models.TextField()
    entry_hash = models.TextField(unique=True)

    class Meta:
        indexes = [
            # what happened to one plan
            models.Index(fields=["subject", "sequence"], name="audit_by_subject"),
        ]

    def __str__(self) -> str:
        return f"#{self.sequence} {self.actor} {self.action} {self.subject}"
