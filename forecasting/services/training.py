"""Trains models and promotes one only when it is not worse on later data than the incumbent."""

import datetime as dt
import hashlib
import json
import logging
import time
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from django.db import connection, transaction

from controlplane.auth import audit
from forecasting.artifacts import BadArtifact, digest_of, dump_model, load_model, shipped_library
from forecasting.domain.backtest import (
    OURS,
    BacktestPlan,
    ModelScore,
    Trainer,
    baseline_trainer,
    best_naive_of,
    run_backtest,
)
from forecasting.domain.baselines import Baseline
from forecasting.domain.fallback import forecast_demand
from forecasting.domain.forecasters import (
    CODE_VERSION,
    MODEL_NAME,
    FittedModel,
    ModelSettings,
    fit_model,
    with_horizon,
)
from forecasting.domain.frames import DemandPanel
from forecasting.domain.metrics import skill
from forecasting.domain.runs import Target
from forecasting.models import ForecastModel, ForecastRun
from forecasting.services.history import read_target

if TYPE_CHECKING:
    from django.db.models import QuerySet

logger = logging.getLogger(__name__)

RETRAIN_AFTER = dt.timedelta(hours=24)
DRIFT_PAUSE = dt.timedelta(hours=6)
"""Least distance of trainings that drift asks for: each needs some later data to be judged on."""
KEPT = dt.timedelta(days=15)
HORIZON_H = 168
_CHAMPION = "champion"
_KEEPING_LOCK = 7_219_004


@dataclass(frozen=True)
class TrainingRules:
    """How models are made and judged.

    Attributes:
        model: settings of the model.
        gate_horizon_h: leads on which candidates are judged.
        history_days: how much history is learned from.
        gate_h: newest hours, kept from training, on which the candidates are judged.
        gate_step_h: distance of the origins there, hours.
    """

    model: ModelSettings = field(default_factory=lambda: with_horizon(ModelSettings(), HORIZON_H))
    gate_horizon_h: int = 24
    history_days: int = 60
    gate_h: int = 48
    gate_step_h: int = 2

    @property
    def gate(self) -> BacktestPlan:
        """The origins at which candidates are judged, as many as fit between gate and end."""
        horizon_h = self.gate_horizon_h
        return BacktestPlan(
            horizon_h=horizon_h,
            origins=(self.gate_h - horizon_h) // self.gate_step_h + 1,
            step_h=self.gate_step_h,
            min_train_h=1,
            quantiles=self.model.quantiles,
        )


def train_if_due(now: dt.datetime, *, rules: TrainingRules | None = None) -> ForecastModel | None:
    """Train when no model was trained in the last 24 hours, or sooner when forecasts drift.

    Models of electricity prices and carbon are trained by the same rule.

    Args:
        now: present grid time.
        rules: how.

    Returns:
        The new model of demand, promoted or not; None when none was due or history is too short.
    """
    made = None
    for target in Target:
        trigger = _trigger(now, target)
        model = train(now, rules=rules, target=target, trigger=trigger) if trigger else None
        made = model if target is Target.DEMAND else made
    return made


def train(
    now: dt.datetime,
    *,
    rules: TrainingRules | None = None,
    target: Target = Target.DEMAND,
    trigger: str = "schedule",
) -> ForecastModel | None:
    """Fit a model without the newest hours, judge it on them, and promote it if not worse.

    The incumbent is the champion, or, before there is one, the seasonal naive forecast that
    serves without a model. The measure is the mean pinball loss over all quantiles. What is
    promoted is exactly the model that was judged. Nothing is stored before all of that is done:
    a training that dies leaves no trace, and of two at once the later one finds that the champion
    is not the one it was compared with, and is kept without being promoted.

    Args:
        now: present grid time.
        rules: how.
        target: what is forecast.
        trigger: why, for the record.

    Returns:
        The new model, promoted or not; None when history is too short to learn from.
    """
    terms = rules or TrainingRules()
    panel = read_target(now, target, days=terms.history_days)
    early = panel.head(max(0, panel.hours - terms.gate_h))
    fitted = fit_model(early, terms.model, shipped_library())
    if fitted is None:
        return None
    standing = _champions(target).values_list("version", flat=True).first()
    champion = champion_model(target)
    candidates = _candidates(fitted, champion[1] if champion else None, terms)
    scores = run_backtest(panel, terms.gate, candidates, stopwatch=time.perf_counter)
    if not scores:
        return None
    judged = _judgement(scores) | {"incumbent_version": standing}
    return _keep(fitted, judged, now, target=target, trigger=trigger)


def champion_model(target: Target = Target.DEMAND) -> tuple[ForecastModel, FittedModel] | None:
    """Return the model in service, or None when there is none that can be read."""
    row = _champions(target).first()
    if row is None:
        return None
    try:
        return row, load_model(bytes(row.artifact), sha256=row.artifact_sha256)
    except BadArtifact:
        # forecasting goes on with the next method of the chain; the next training replaces it
        logger.exception("model.unreadable", extra={"version": row.version})
        return None


def _champions(target: Target) -> "QuerySet[ForecastModel]":
    return ForecastModel.objects.filter(is_champion=True, target=target.value)


def _trigger(now: dt.datetime, target: Target) -> str | None:
    """Return why a training is due, or None."""
    rows = ForecastModel.objects.filter(trained_at__lte=now, target=target.value)
    trained_at = rows.order_by("-trained_at").values_list("trained_at", flat=True).first()
    if trained_at is None:
        return "first"
    if now - trained_at >= RETRAIN_AFTER:
        return "schedule"
    if target is not Target.DEMAND or now - trained_at < DRIFT_PAUSE:
        return None
    runs = ForecastRun.objects.filter(issued_at__gt=trained_at, issued_at__lte=now)
    drift = runs.order_by("-issued_at").values_list("drift", flat=True).first() or {}
    return ",".join(drift.get("signs", [])) or None


def _candidates(
    fitted: FittedModel, champion: FittedModel | None, rules: TrainingRules
) -> dict[str, Trainer]:
    gate = rules.gate
    trainers = {OURS: _as_trainer(fitted, gate)}
    if champion is not None and _is_comparable(champion, fitted, gate):
        trainers[_CHAMPION] = _as_trainer(champion, gate)
    return trainers | {rule.value: baseline_trainer(rule, gate) for rule in Baseline}


def _is_comparable(champion: FittedModel, fitted: FittedModel, gate: BacktestPlan) -> bool:
    # a champion of other levels or a shorter horizon cannot be measured on the same numbers, and
    # one that has seen the hours of the gate would win by knowing the answers
    return (
        champion.settings.quantiles == fitted.settings.quantiles
        and champion.settings.horizon_h >= gate.horizon_h
        and champion.trained_until <= fitted.trained_until
    )


def _as_trainer(model: FittedModel, gate: BacktestPlan) -> Trainer:
    def predict(known: DemandPanel) -> Any:
        return forecast_demand(known, model, horizon_h=gate.horizon_h).demand

    return lambda _history: predict


def _judgement(scores: dict[str, ModelScore]) -> dict[str, Any]:
    incumbent = _CHAMPION if _CHAMPION in scores else Baseline.SAME_HOUR_YESTERDAY.value
    wape = {name: score.overall.wape for name, score in scores.items()}
    pinball = {name: score.overall.pinball.get("mean") for name, score in scores.items()}
    best = best_naive_of(wape)
    ours, theirs = pinball[OURS], pinball[incumbent]
    naive = [loss for rule in Baseline if (loss := pinball[rule.value]) is not None]
    return {
        "models": {name: score.as_dict() for name, score in scores.items()},
        "incumbent": incumbent,
        "is_promoted": theirs is None or (ours is not None and ours <= theirs),
        "best_naive": best,
        "skill_wape": skill(wape[OURS], wape[best]) if best else None,
        "skill_pinball": skill(ours, min(naive)) if naive else None,
    }


@transaction.atomic
def _keep(
    fitted: FittedModel,
    judgement: dict[str, Any],
    now: dt.datetime,
    *,
    target: Target,
    trigger: str,
) -> ForecastModel:
    with connection.cursor() as cursor:
        # two trainings at once: the second waits here and then sees what the first has made
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_KEEPING_LOCK])
    artifact = dump_model(fitted)
    version = _version_of(fitted, artifact, target)
    known = ForecastModel.objects.filter(version=version).first()
    if known is not None:
        return known
    champions = _champions(target)
    present = champions.values_list("version", flat=True).first()
    if present != judgement["incumbent_version"]:
        judgement = judgement | {"is_promoted": False, "declined_because": "champion-changed"}
    if judgement["is_promoted"]:
        champions.update(is_champion=False)
    model = ForecastModel.objects.create(
        target=target.value,
        name=MODEL_NAME,
        version=version,
        code_version=CODE_VERSION,
        trained_at=now,
        trained_from=fitted.trained_from,
        trained_until=fitted.trained_until,
        trigger=trigger,
        features=list(fitted.features),
        settings=asdict(fitted.settings),
        scores=judgement,
        artifact=artifact,
        artifact_sha256=digest_of(artifact),
        is_champion=judgement["is_promoted"],
    )
    _record(model, judgement)
    _forget_old_models(now)
    return model


def _record(model: ForecastModel, judgement: dict[str, Any]) -> None:
    audit.record(
        "system",
        "promote-model" if model.is_champion else "decline-model",
        f"forecast-model:{model.version}",
        {
            "target": model.target,
            "trigger": model.trigger,
            "trained_until": model.trained_until.isoformat(),
            "sha256": model.artifact_sha256,
            "incumbent": judgement["incumbent"],
            "skill_pinball": judgement["skill_pinball"],
        },
    )


def _version_of(fitted: FittedModel, artifact: bytes, target: Target) -> str:
    settings = json.dumps(asdict(fitted.settings), sort_keys=True)
    made_of = f"{target.value}|{CODE_VERSION}|{settings}|{digest_of(artifact)}"
    return f"{CODE_VERSION}-{hashlib.sha256(made_of.encode()).hexdigest()[:12]}"


def _forget_old_models(now: dt.datetime) -> None:
    ForecastModel.objects.filter(
        trained_at__lt=now - KEPT, is_champion=False, forecastrun__isnull=True
    ).delete()
