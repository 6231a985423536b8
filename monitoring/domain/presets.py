"""Offers mapping rules for exporters that many sites run already.

An exporter tells what it knows: none of those below says how many units the waiting work asks for,
except kube-state-metrics. What is missing is best computed at the sender by a recording rule that
writes one of the `tiaodu_` metrics.
"""

from collections.abc import Callable, Mapping

from monitoring.domain.mapping import BadRules, Combine, Matcher, Matching, Rule
from monitoring.domain.samples import FIELD_NAMES

_GPU = frozenset({"nvidia_com_gpu", "amd_com_gpu"})


def preset_rules(name: str, pool: str) -> tuple[Rule, ...]:
    """Return the rules of a preset for one pool, or for a template of pools.

    Args:
        name: one of `PRESETS`.
        pool: pool code, or a template such as `{tiaodu_pool}`.

    Raises:
        BadRules: there is no preset of this name.
    """
    make = PRESETS.get(name)
    if make is None:
        raise BadRules(f"There is no preset of that name, only {', '.join(sorted(PRESETS))}.")
    return make(pool)


def _tiaodu(pool: str) -> tuple[Rule, ...]:
    return tuple(
        Rule(f"tiaodu {field}", f"tiaodu_{field}", pool, field, combine=Combine.ONLY)
        for field in FIELD_NAMES
    )


def _kube_state_metrics(pool: str) -> tuple[Rule, ...]:
    is_gpu = Matcher("resource", _GPU)
    nowhere = frozenset({""})
    allocatable, requested = "kube_node_status_allocatable", "kube_pod_container_resource_requests"
    return (
        Rule("ksm capacity", allocatable, pool, "capacity", (is_gpu,)),
        Rule(
            "ksm allocated",
            requested,
            pool,
            "allocated",
            (is_gpu, Matcher("node", nowhere, Matching.IS_NOT)),
        ),
        Rule("ksm queued", requested, pool, "queued", (is_gpu, Matcher("node", nowhere))),
    )


def _dcgm(pool: str) -> tuple[Rule, ...]:
    return (Rule("dcgm power", "DCGM_FI_DEV_POWER_USAGE", pool, "power_kw", factor=0.001),)


def _node_exporter(pool: str) -> tuple[Rule, ...]:
    return (Rule("hwmon power", "node_hwmon_power_average_watt", pool, "power_kw", factor=0.001),)


def _slurm_vpenso_gpu(pool: str) -> tuple[Rule, ...]:
    return (
        Rule("slurm capacity", "slurm_gpus_total", pool, "capacity"),
        Rule("slurm allocated", "slurm_gpus_alloc", pool, "allocated"),
    )


def _slurm_vpenso_core(pool: str) -> tuple[Rule, ...]:
    return (
        Rule("slurm total", "slurm_partition_cpus_total", pool, "capacity"),
        # down, drained and reserved cores can run nothing now
        Rule("slurm other", "slurm_partition_cpus_other", pool, "capacity", factor=-1.0),
        Rule("slurm allocated", "slurm_partition_cpus_allocated", pool, "allocated"),
    )


def _slurm_rivosinc_core(pool: str) -> tuple[Rule, ...]:
    return (
        Rule("slurm capacity", "slurm_partition_total_cpus", pool, "capacity"),
        Rule("slurm allocated", "slurm_partition_alloc_cpus", pool, "allocated"),
    )


PRESETS: Mapping[str, Callable[[str], tuple[Rule, ...]]] = {
    "tiaodu": _tiaodu,
    "kube-state-metrics-gpu": _kube_state_metrics,
    "dcgm-exporter": _dcgm,
    "node-exporter": _node_exporter,
    "slurm-vpenso-gpu": _slurm_vpenso_gpu,
    "slurm-vpenso-core": _slurm_vpenso_core,
    "slurm-rivosinc-core": _slurm_rivosinc_core,
}
