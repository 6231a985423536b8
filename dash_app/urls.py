"""Routes of the control room."""

from django.contrib.auth.views import LogoutView
from django.urls import path

from dash_app import views
from dash_app.app import control_room
from dash_app.assets import serve_asset
from dash_app.pages.alerts import alerts_data, alerts_page
from dash_app.pages.forecasts import forecasts_page
from dash_app.pages.providers import providers_page

urlpatterns = [
    path("", views.home, name="home"),
    path("login/", views.LoginView.as_view(), name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("language/<str:lang>/", views.choose_language, name="language"),
    path("grid/timeline.json", views.timeline, name="timeline"),
    path("grid/assets/<path:name>", serve_asset, name="asset"),
    path("alerts/", alerts_page, name="alerts-page"),
    path("alerts/data.json", alerts_data, name="alerts-data"),
    path("forecasts/", forecasts_page, name="forecasts"),
    path("providers/", providers_page, name="providers-page"),
    *control_room.server.urlpatterns,
]
