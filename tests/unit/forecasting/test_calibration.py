"""The buckets of leads in which skill and coverage are told apart."""

from forecasting.domain.calibration import LEAD_BUCKETS, bucket_of_leads


def test_leads_fall_into_the_named_buckets():
    names = [LEAD_BUCKETS[place][0] for place in bucket_of_leads(30)]

    assert names == ["1"] + ["2-6"] * 5 + ["7-12"] * 6 + ["13-24"] * 12 + ["25+"] * 6
