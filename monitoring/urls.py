"""Monitoring's routes below /api/v1/."""

from django.urls import path

from monitoring.api import reads, senders, telemetry

urlpatterns = [
    path("telemetry", telemetry.TelemetryView.as_view(), name="telemetry"),
    path("provider/status", telemetry.ProviderStatusView.as_view(), name="provider-status"),
    path("prometheus/write", senders.RemoteWriteView.as_view(), name="prometheus-write"),
    path("otlp/v1/metrics", senders.OtlpMetricsView.as_view(), name="otlp-metrics"),
    path("providers/<str:code>/mapping", senders.MappingView.as_view(), name="provider-mapping"),
    path("regions", reads.RegionsView.as_view(), name="regions"),
    path("sites", reads.SitesView.as_view(), name="sites"),
    path("pools", reads.PoolsView.as_view(), name="pools"),
    path("pools/<str:code>", reads.PoolView.as_view(), name="pool"),
    path("pools/<str:code>/samples", reads.PoolSamplesView.as_view(), name="pool-samples"),
    path("alerts", reads.AlertsView.as_view(), name="alerts"),
    path(
        "alerts/<int:alert_id>/acknowledge",
        reads.AcknowledgeView.as_view(),
        name="alert-acknowledge",
    ),
]
