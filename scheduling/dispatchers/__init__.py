"""Adapters to the engines that run workloads, one file per engine behind one signature."""
