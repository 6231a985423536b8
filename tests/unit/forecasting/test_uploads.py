"""Files that people bring: any of three columns of time, and bad rows counted by reason."""

import pandas as pd
import pytest

from forecasting.domain.frames import BadDemandFrame
from forecasting.domain.uploads import read_upload


def rows(**columns):
    base = {"cluster": ["b", "a", "a"], "demand": [1.0, 2.0, 3.0]}
    return pd.DataFrame({**base, **columns})


@pytest.mark.parametrize(
    "times",
    [
        pytest.param({"hour": [7, 7, 8]}, id="counted hours"),
        pytest.param(
            {"timestamp_utc": pd.to_datetime(["2023-01-01 07:00"] * 2 + ["2023-01-01 08:00"])},
            id="without a zone",
        ),
        pytest.param(
            {"timestamp_local": ["2023-01-01T07:10:00"] * 2 + ["2023-01-01T08:59:00"]}, id="text"
        ),
    ],
)
def test_each_column_of_time_gives_the_same_panel(times):
    upload = read_upload(rows(**times))

    assert upload.panel.codes == ("a", "b")
    assert upload.panel.start_at.hour == 7
    assert upload.panel.demand[0].tolist() == [2.0, 3.0]
    assert upload.rows_skipped == {}


def test_bad_rows_are_left_out_and_counted_by_reason():
    frame = pd.DataFrame(
        {
            "cluster": ["a", "a", "a", "a", None, "a", "a", "a", "a"],
            "hour": [0, 0, None, 1, 2, 3, 4, 5, 6],
            "demand": [1.0, 9.0, 1.0, -1.0, 1.0, float("inf"), 5.0, 1e308, float("nan")],
        },
        index=[0, 0, 1, 1, 2, 2, 3, 3, 4],
    )

    upload = read_upload(frame)

    assert upload.rows_skipped == {
        "no time": 1,
        "no series": 1,
        "demand is no number >= 0": 4,
        "second row of an hour": 1,
    }
    assert upload.panel.demand[0, [0, 4]].tolist() == [1.0, 5.0]


@pytest.mark.parametrize(
    "frame",
    [
        pytest.param(rows(), id="no time"),
        pytest.param(rows(hour=[1, 1, 2]).drop(columns="demand"), id="no demand"),
        pytest.param(rows(hour=[1, 1, 2], demand=[-1, -1, -1]), id="no good row"),
    ],
)
def test_a_file_without_demand_is_refused(frame):
    with pytest.raises(BadDemandFrame):
        read_upload(frame)
