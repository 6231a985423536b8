"""Lays out the Grid page: map, forecast, plans and alerts, and what drives the two figures.

Frames come over the page's own socket (`assets/live.js`). `assets/bridge.js` hands them to the
stores below; each figure is then drawn by one browser-side callback, once per frame that changes
it. Lists, the dispatch switch and the time slider are written into their empty containers by
`assets/plans.js`, `assets/alerts.js`, `assets/dispatch.js` and `assets/timeline.js`.
"""

from typing import Any

from dash import ClientsideFunction, Dash, Input, Output, State, dcc, html

from dash_app.assets import TOPOJSON_URL
from dash_app.backend_request import request_in_hand
from dash_app.texts import language_of, texts_in

GRAPH_CONFIG = {
    "displaylogo": False,
    "showSendToCloud": False,
    "plotlyServerURL": "",
    "topojsonURL": TOPOJSON_URL,
    "responsive": True,
    "scrollZoom": False,
}


def layout() -> html.Main:
    """Return the page in the language of the request in hand."""
    t = texts_in(language_of(request_in_hand()))
    return html.Main(
        id="grid-page",
        className="grid-page",
        children=[
            _map_panel(t),
            _alerts_panel(t),
            _forecast_panel(t),
            _plans_panel(t),
            dcc.Store(id="map-state"),
            dcc.Store(id="selection", data={"scope": "grid", "code": "grid"}),
            dcc.Store(id="forecast-run"),
            dcc.Store(id="series"),
            dcc.Store(id="theme"),
        ],
    )


def register(app: Dash) -> None:
    """Give the page its layout and its browser-side callbacks."""
    app.layout = layout
    draw: Any = app.clientside_callback  # Dash gives it no types
    draw(
        _browser("drawMap"),
        Output("map", "figure"),
        Input("map-state", "data"),
        Input("selection", "data"),
        Input("theme", "data"),
    )
    draw(
        _browser("selectFromMap"),
        Output("selection", "data"),
        Input("map", "clickData"),
        State("selection", "data"),
        prevent_initial_call=True,
    )
    draw(
        _browser("fetchSeries"),
        Output("series", "data"),
        Input("selection", "data"),
        Input("forecast-run", "data"),
    )
    draw(
        _browser("drawForecast"),
        Output("forecast", "figure"),
        Input("series", "data"),
        Input("theme", "data"),
    )


def _browser(name: str) -> ClientsideFunction:
    return ClientsideFunction(namespace="tiaodu", function_name=name)


def _graph_config(**more: Any) -> Any:
    return GRAPH_CONFIG | more


def _labelled_by(heading: str) -> Any:
    return {"aria-labelledby": heading}


def _panel(area: str, title: str, aside: Any, *children: Any) -> html.Section:
    return html.Section(
        className=f"panel panel-{area}",
        **_labelled_by(f"{area}-title"),
        children=[
            html.Div(
                className="panel-head",
                children=[html.H2(title, id=f"{area}-title"), aside],
            ),
            *children,
        ],
    )


def _map_panel(t: dict[str, str]) -> html.Section:
    graph = dcc.Graph(
        id="map",
        className="map-graph",
        figure={"data": [], "layout": {"xaxis": {"visible": False}, "yaxis": {"visible": False}}},
        config=_graph_config(modeBarButtonsToRemove=["toImage", "select2d", "lasso2d"]),
    )
    table = html.Details(
        className="map-table",
        children=[html.Summary(t["map_as_table"]), html.Div(id="region-table", tabIndex="0")],
    )
    schematic = html.Span(t["schematic"], className="tag")
    legend = html.Div(id="map-legend", className="map-legend")
    banner = html.Div(id="timeline-banner", className="timeline-banner", role="status")
    body = html.Div(className="map-body", children=[graph, legend, banner, table])
    slider = html.Div(id="timeline", className="timeline")
    return _panel("map", t["map_title"], schematic, body, slider)


def _alerts_panel(t: dict[str, str]) -> html.Section:
    count = html.Span(id="alerts-count", className="tag")
    rows = html.Div(id="alerts-list", className="scroll", tabIndex="0")
    return _panel("alerts", t["alerts_title"], count, rows)


def _forecast_panel(t: dict[str, str]) -> html.Section:
    chooser = html.Div(id="scope-chooser", className="scope-chooser")
    graph = dcc.Graph(
        id="forecast",
        className="forecast-graph",
        figure={"data": [], "layout": {"xaxis": {"visible": False}, "yaxis": {"visible": False}}},
        config=_graph_config(displayModeBar=False),
    )
    note = html.Div(id="forecast-note", className="note", role="status")
    return _panel("forecast", t["forecast_title"], chooser, graph, note)


def _plans_panel(t: dict[str, str]) -> html.Section:
    count = html.Span(id="plans-count", className="tag")
    run = html.Span(id="planning-run", className="panel-note")
    tools = html.Div(id="plans-tools", className="panel-tools")
    dispatch = html.Div(id="dispatch-state", role="status")
    cards = html.Div(id="plans-list", className="scroll", tabIndex="0")
    commands = html.Span(id="commands-count", className="tag")
    aside = html.Div([count, commands, run, tools], className="aside")
    return _panel("plans", t["plans_title"], aside, dispatch, cards)
