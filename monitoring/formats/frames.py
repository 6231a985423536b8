"""Decodes a data frame of past telemetry."""

import numpy as np
import pandas as pd

from monitoring.domain.samples import FIELD_NAMES, NO_FAULT, Batch


def decode(frame: pd.DataFrame) -> Batch:
    """Turn a frame into a batch.

    Args:
        frame: columns `pool` (code), `measured_at` (datetime64, UTC) and fields of the wide row;
            NaN = not reported, as is every value of a column that is absent.
    """
    size = len(frame)
    pool_ref, pools = pd.factorize(frame["pool"])
    absent = np.full(size, np.nan)
    return Batch(
        pools=tuple(pools),
        pool_ref=pool_ref.astype(np.int64),
        measured_us=frame["measured_at"].dt.as_unit("us").to_numpy("datetime64[us]").view("i8"),
        values={
            name: frame[name].to_numpy(np.float64) + 0.0 if name in frame else absent
            for name in FIELD_NAMES
        },
        fault=np.full(size, NO_FAULT, np.int16),
        fault_field=np.zeros(size, np.int16),
    )
