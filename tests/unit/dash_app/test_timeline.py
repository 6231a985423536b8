"""Hours of the time slider: what is known is added up, what is not stays unknown."""

import datetime as dt

import pandas as pd

from dash_app.timeline import past_rows

START = dt.datetime(2023, 5, 25, 16, tzinfo=dt.UTC)
HOURS = [START + dt.timedelta(hours=hour) for hour in range(3)]


def means(*rows):
    columns = ["pool", "hour_at", "allocated", "queued", "capacity"]
    frame = pd.DataFrame.from_records(list(rows), columns=columns)
    return frame.astype({"hour_at": "datetime64[us, UTC]"})


def test_pools_are_added_up_hour_by_hour():
    measured = means(
        ("left", HOURS[0], 5.0, 1.0, 8.0),
        ("right", HOURS[0], 3.0, 0.0, 4.0),
        ("right", HOURS[1], 2.0, 0.5, 4.0),
    )

    rows = past_rows(measured, {"left", "right"}, HOURS)

    assert rows == [[8.0, 1.0, 12.0, 2.0], [2.0, 0.5, 4.0, 1.0], None]


def test_an_hour_without_a_good_sample_is_unknown_and_not_zero():
    nothing = float("nan")
    measured = means(("left", HOURS[0], nothing, nothing, nothing))

    assert past_rows(measured, {"left"}, HOURS) == [None, None, None]


def test_pools_of_other_places_do_not_count():
    measured = means(("elsewhere", HOURS[0], 5.0, 1.0, 8.0))

    assert past_rows(measured, {"left"}, HOURS) == [None, None, None]


def test_an_empty_history_has_a_row_for_each_hour():
    assert past_rows(means(), {"left"}, HOURS) == [None, None, None]
