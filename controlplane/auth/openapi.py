"""Tells the API document how a provider's key is sent."""

from drf_spectacular.extensions import OpenApiAuthenticationExtension


class ProviderKeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """`Authorization: Bearer cg_live_…`."""

    target_class = "controlplane.auth.authentication.ProviderKeyAuthentication"
    name = "providerKey"

    def get_security_definition(self, auto_schema: object) -> dict[str, str]:  # noqa: ARG002
        """Return the scheme as OpenAPI has it."""
        return {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "cg_live_…",
            "description": "A provider's key: it pushes that provider's telemetry and work only.",
        }
