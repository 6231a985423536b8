"""Plan, agree, dispatch and account."""
