"""A provider's file of an older version goes on working, with everything that is in it."""

import sqlite3

from simulator.store import SCHEMA_VERSION, Store


def test_a_file_of_the_first_version_is_brought_up_and_keeps_its_jobs(tmp_path):
    path = tmp_path / "north.sqlite"
    Store.create(path).close()
    with sqlite3.connect(path) as old:
        old.execute("ALTER TABLE job DROP COLUMN done_s")
        old.execute("PRAGMA user_version = 1")
        old.execute(
            "INSERT INTO job VALUES"
            " ('p', 'k', 'site', 'k', 't', 4, 7200, 7200, 100, 100, NULL, 'RUNNING', 0, '')"
        )
    old.close()

    store = Store.open(path)
    [job] = store.open_jobs("p")
    store.close()

    assert (job.key, job.units, job.done_s) == ("k", 4, 0)
    with sqlite3.connect(path) as now:
        assert now.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
    now.close()
