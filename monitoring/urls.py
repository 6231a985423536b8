"""Monitoring's routes below /api/v1/."""

from collections.abc import Mapping

from django.urls import path

from controlplane.auth.questions import Read
from monitoring.api import (
    alerts,
    bulk,
    check,
    history,
    present,
    provider,
    reads,
    senders,
    series,
    telemetry,
)

urlpatterns = [
    path("telemetry/newest", history.NewestView.as_view(), name="telemetry-newest"),
    path("telemetry/samples", history.SamplesView.as_view(), name="telemetry-samples"),
    path("telemetry/hours", history.HoursView.as_view(), name="telemetry-hours"),
    path("telemetry", telemetry.TelemetryView.as_view(), name="telemetry"),
    path("telemetry/check", check.TelemetryCheckView.as_view(), name="telemetry-check"),
    path("mapping/check", check.MappingCheckView.as_view(), name="mapping-check"),
    path("provider/status", provider.ProviderStatusView.as_view(), name="provider-status"),
    path("providers", provider.ProvidersView.as_view(), name="providers"),
    path(
        "providers/<str:code>/status",
        provider.ProviderStatusByCodeView.as_view(),
        name="provider-status-by-code",
    ),
    path("providers/<str:code>/keys", provider.KeysView.as_view(), name="provider-keys"),
    path(
        "providers/<str:code>/keys/<int:key_id>",
        provider.KeyView.as_view(),
        name="provider-key",
    ),
    path("prometheus/write", senders.RemoteWriteView.as_view(), name="prometheus-write"),
    path("otlp/v1/metrics", senders.OtlpMetricsView.as_view(), name="otlp-metrics"),
    path("providers/<str:code>/mapping", senders.MappingView.as_view(), name="provider-mapping"),
    path("series", series.SeriesListView.as_view(), name="series"),
    path(
        "series/<int:series_id>/points",
        series.SeriesPointsView.as_view(),
        name="series-points",
    ),
    path("regions", reads.RegionsView.as_view(), name="regions"),
    path("sites", reads.SitesView.as_view(), name="sites"),
    path("pools", reads.PoolsView.as_view(), name="pools"),
    path("pools/<str:code>", reads.PoolView.as_view(), name="pool"),
    path(
        "pools/<str:code>/confirm-level",
        provider.ConfirmLevelView.as_view(),
        name="pool-confirm-level",
    ),
    path("pools/<str:code>/samples", reads.PoolSamplesView.as_view(), name="pool-samples"),
    path("alerts", alerts.AlertsView.as_view(), name="alerts"),
    path(
        "alerts/<int:alert_id>/acknowledge",
        alerts.AcknowledgeView.as_view(),
        name="alert-acknowledge",
    ),
    path("alert-rules", alerts.AlertRulesView.as_view(), name="alert-rules"),
    path("alert-rules/<str:name>", alerts.AlertRuleView.as_view(), name="alert-rule"),
    path("alert-rule-changes", alerts.AlertRuleChangesView.as_view(), name="alert-rule-changes"),
    path(
        "alert-rule-changes/<int:change_id>/confirm",
        alerts.ConfirmChangeView.as_view(),
        name="alert-rule-change-confirm",
    ),
    path(
        "alert-rule-changes/<int:change_id>/reject",
        alerts.RejectChangeView.as_view(),
        name="alert-rule-change-reject",
    ),
    path("webhooks", alerts.WebhooksView.as_view(), name="webhooks"),
    path("webhooks/<int:target_id>", alerts.WebhookView.as_view(), name="webhook"),
]

# plain reads that need not go through Django's chain; each has its view above all the same
short_reads: Mapping[str, Read] = {
    "telemetry/newest": bulk.newest,
    "telemetry/samples": bulk.samples,
    "telemetry/hours": bulk.hours,
    "regions": present.regions,
    "sites": present.sites,
    "pools": present.pools,
    "pools/": present.pool,
}
