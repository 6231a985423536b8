"""A callback request must fit the callback that it names, in every part."""

import pytest

from dash_app.backend_request import (
    MalformedCallback,
    check_callback_body,
    request_in_hand,
    site_of,
)

ONE = {
    "callback": lambda: None,
    "inputs": [{"id": "store", "property": "data"}],
    "state": [{"id": "choice", "property": "value"}],
}
MAP = {"panel.children": ONE, "..a.x...b.y..": {**ONE, "state": []}}


def body(**changes):
    fitting = {
        "output": "panel.children",
        "outputs": {"id": "panel", "property": "children"},
        "inputs": [{"id": "store", "property": "data", "value": 1}],
        "state": [{"id": "choice", "property": "value", "value": 2}],
        "changedPropIds": ["store.data"],
    }
    return fitting | changes


def test_a_request_as_declared_passes():
    check_callback_body(body(), MAP)


def test_a_request_with_two_outputs_passes():
    outputs = [{"id": "a", "property": "x"}, {"id": "b", "property": "y"}]

    check_callback_body(body(output="..a.x...b.y..", outputs=outputs, state=[]), MAP)


@pytest.mark.parametrize(
    "forged",
    [
        pytest.param([], id="no object"),
        pytest.param({}, id="no output"),
        pytest.param(body(output="other.children"), id="callback of another page"),
        pytest.param(body(output=7), id="output is no text"),
        pytest.param(body(outputs={"id": "secret", "property": "children"}), id="other output"),
        pytest.param(body(outputs=None), id="outputs left out"),
        pytest.param(body(inputs=[]), id="no inputs"),
        pytest.param(body(inputs="x"), id="inputs are no list"),
        pytest.param(body(inputs=[[{"id": "store", "property": "data"}]]), id="nested inputs"),
        pytest.param(body(inputs=[{"id": {"a": 1}, "property": "data"}]), id="pattern id"),
        pytest.param(body(state=[{"id": "region", "property": "value"}]), id="other state"),
        pytest.param(body(state=[{"id": "choice", "property": "options"}]), id="other property"),
        pytest.param(body(changedPropIds="store.data"), id="changed is no list"),
        pytest.param(body(changedPropIds=[1]), id="changed holds a number"),
    ],
)
def test_a_forged_request_is_refused(forged):
    with pytest.raises(MalformedCallback):
        check_callback_body(forged, MAP)


@pytest.mark.parametrize(
    ("url", "site"),
    [
        ("https://grid.example", ("https", "grid.example", None)),
        ("http://127.0.0.1:8000/x", ("http", "127.0.0.1", 8000)),
        ("http://[", None),
        ("https://host:99999", None),
        ("https://host:port", None),
        ("ftp://host", None),
        ("", None),
    ],
)
def test_an_address_is_read_or_refused_but_never_raises(url, site):
    assert site_of(url) == site


def test_outside_a_request_there_is_no_request():
    with pytest.raises(RuntimeError, match="No Dash request"):
        request_in_hand()
