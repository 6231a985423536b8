"""Runs OpenStack Watcher's own strategies on one scenario; started by watcher.py.

Needs `python-watcher` and nothing of Tiaodu. Its services are not needed: the strategy classes take
a cluster model and a source of metrics, as in Watcher's own tests; here the metrics are those that
watcher.py also plans with, kept up to date with the model as instances move.

    python watcher_peer.py SCENARIO.xml LOADS.json STRATEGY
"""

import json
import logging
import random
import sys
import time
import warnings
from pathlib import Path
from unittest import mock

warnings.simplefilter("ignore")
logging.disable(logging.CRITICAL)

from watcher.common import clients, utils  # noqa: E402
from watcher.decision_engine.model import model_root  # noqa: E402
from watcher.decision_engine.strategy import strategies  # noqa: E402

BALANCE = {
    "metrics": ["instance_cpu_usage"],
    "weights": {"instance_cpu_usage_weight": 1.0},
    "instance_metrics": {"instance_cpu_usage": "host_cpu_usage"},
    "periods": {"instance": 720, "compute_node": 600, "node": 0},
    "aggregation_method": {"instance": "mean", "compute_node": "mean", "node": ""},
    "granularity": 300,
}
# its own defaults, and what gives it the best chance: every host tried, no early stop
PARAMETERS = {
    "stabilize-default": BALANCE
    | {"thresholds": {"instance_cpu_usage": 0.1}, "host_choice": "retry", "retry_count": 1},
    "stabilize-full": BALANCE
    | {"thresholds": {"instance_cpu_usage": 0.0}, "host_choice": "fullsearch", "retry_count": 1},
    "consolidate": {"period": 3600, "granularity": 300},
}


class Metrics:
    """Loads of instances as given, and of hosts as the sum of what stands on them now."""

    def __init__(self, model, percent):
        self.model = model
        self.percent = percent

    def statistic_aggregation(self, resource, resource_type, _meter, *_args):
        """What workload_stabilization asks: percent of CPU."""
        if resource_type == "instance":
            return self.percent[resource.uuid]
        return self.host_cpu(resource)

    def host_cpu(self, resource, *_args, **_kwargs):
        """Percent of a host's CPUs in use."""
        node = self.model.get_node_by_uuid(resource.uuid)
        used = sum(
            instance.vcpus * self.percent[instance.uuid]
            for instance in self.model.get_node_instances(node)
        )
        return used / node.vcpus

    def host_ram(self, resource, *_args, **_kwargs):
        """KB of memory of a host that its instances hold."""
        node = self.model.get_node_by_uuid(resource.uuid)
        return 1024.0 * sum(one.memory for one in self.model.get_node_instances(node))

    def instance_cpu(self, resource, *_args, **_kwargs):
        """Percent of an instance's CPUs in use."""
        return self.percent[resource.uuid]

    def instance_ram(self, resource, *_args, **_kwargs):
        """MB that an instance holds."""
        return resource.memory

    def instance_disk(self, resource, *_args, **_kwargs):
        """GB that an instance holds."""
        return resource.disk


def main():
    """Print JSON: where every instance stands afterwards, migrations, seconds."""
    scenario, loads, name = sys.argv[1:]
    random.seed(7)
    model = model_root.ModelRoot.from_xml(Path(scenario).read_bytes())
    metrics = Metrics(model, json.loads(Path(loads).read_text()))
    source = mock.Mock(
        statistic_aggregation=metrics.statistic_aggregation,
        get_host_cpu_usage=metrics.host_cpu,
        get_host_ram_usage=metrics.host_ram,
        get_instance_cpu_usage=metrics.instance_cpu,
        get_instance_ram_usage=metrics.instance_ram,
        get_instance_root_disk_size=metrics.instance_disk,
    )
    kind = (
        strategies.VMWorkloadConsolidation
        if name == "consolidate"
        else strategies.WorkloadStabilization
    )
    with (
        mock.patch.object(clients, "OpenStackClients"),
        mock.patch.object(
            strategies.BaseStrategy, "compute_model", new_callable=mock.PropertyMock
        ) as compute,
        mock.patch.object(strategies.BaseStrategy, "audit_scope", new_callable=mock.PropertyMock),
        mock.patch.object(kind, "datasource_backend", new_callable=mock.PropertyMock) as backend,
    ):
        compute.return_value, backend.return_value = model, source
        strategy = kind(config=mock.Mock(datasources=["gnocchi"]))
        strategy.input_parameters = utils.Struct()
        strategy.input_parameters.update(PARAMETERS[name])
        began = time.perf_counter()
        strategy.pre_execute()
        strategy.do_execute()
        seconds = time.perf_counter() - began
    where = {
        instance.uuid: node.uuid
        for node in model.get_all_compute_nodes().values()
        for instance in model.get_node_instances(node)
    }
    moves = [
        (one["input_parameters"]["resource_id"], one["input_parameters"]["destination_node"])
        for one in strategy.solution.actions
        if one["action_type"] == "migrate"
    ]
    print(json.dumps({"where": where, "migrations": moves, "s": seconds}))


if __name__ == "__main__":
    main()
