import pytest

from simulator.push import Answer, GridConnection, back_off_s


@pytest.mark.parametrize(
    ("failures", "least", "most"),
    [
        pytest.param(0, 0.125, 0.25, id="first"),
        pytest.param(3, 1.0, 2.0, id="doubling"),
        pytest.param(50, 7.5, 15.0, id="capped"),
    ],
)
def test_waits_double_up_to_a_cap_and_are_spread(failures, least, most):
    assert back_off_s(failures, 0.0) == least
    assert back_off_s(failures, 1.0) == most


@pytest.mark.parametrize(
    "body",
    [
        pytest.param({}, id="no list"),
        pytest.param({"errors": "all"}, id="no list but a text"),
        pytest.param({"errors": [1, {"code": "x"}, {"index": "0"}]}, id="no index"),
    ],
)
def test_an_answer_that_names_no_item_refuses_none(body):
    assert Answer(400, body).refused == {}


def test_refused_items_are_found_by_their_index():
    error = {"index": 3, "code": "too-old"}

    assert Answer(400, {"errors": [error]}).refused == {3: error}


@pytest.mark.parametrize("url", ["ftp://grid", "grid:8000", "http://"])
def test_an_address_that_is_no_web_address_is_refused(url, tmp_path):
    with pytest.raises(ValueError, match="no http or https address"):
        GridConnection(url, tmp_path / "key")
