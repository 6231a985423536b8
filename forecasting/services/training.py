"""Trains models and promotes one only when it is not worse on later data than the incumbent."""

import datetime as dt
import hashlib
import json
import logging
import time
from dataclasses import asdict, dataclass, field
from typing import Any

from django.db import transaction

from controlplane.auth import audit
from forecasting.artifacts import BadArtifact, digest_of, dump_model, load_model
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
)
from forecasting.domain.frames import DemandPanel
from forecasting.domain.metrics import skill
from forecasting.models import ForecastModel
from forecasting.services.history import read_history

logger = logging.getLogger(__name__)

RETRAIN_AFTER = dt.timedelta(hours=24)
KEPT = dt.timedelta(days=15)
_CHAMPION = "champion"


@dataclass(frozen=True)
class TrainingRules:
    """How models are made and judged.

    Attributes:
        model: settings of the model.
        history_days: how much history is learned from.
        gate_h: newest hours, kept from training, on which the candidates are judged.
        gate_step_h: distance of the origins there, hours.
    """

    model: ModelSettings = field(default_factory=ModelSettings)
    history_days: int = 60
    gate_h: int = 48
    gate_step_h: int = 2

    @property
    def gate(self) -> BacktestPlan:
        """The origins at which candidates are judged, as many as fit between gate and end."""
        horizon_h = self.model.forest.horizon_h
        return BacktestPlan(
            horizon_h=horizon_h,
            origins=(self.gate_h - horizon_h) // self.gate_step_h + 1,
            step_h=self.gate_step_h,
            min_train_h=1,
            quantiles=self.model.quantiles,
        )


def train_if_due(now: dt.datetime, *, rules: TrainingRules | None = None) -> ForecastModel | None:
    """Train when no model was trained in the last 24 hours.

    Args:
        now: present grid time.
        rules: how.

    Returns:
        The new model, promoted or not; None when none was due or history is too short.
    """
    newest = ForecastModel.objects.filter(trained_at__lte=now).order_by("-trained_at")
    trained_at = newest.values_list("trained_at", flat=True).first()
    if trained_at is not None and now - trained_at < RETRAIN_AFTER:
        return None
    return train(now, rules=rules)


def train(now: dt.datetime, *, rules: TrainingRules | None = None) -> ForecastModel | None:
    """Fit a model without the newest hours, judge it on them, and promote it if not worse.

    The incumbent is the champion, or, before there is one, the seasonal naive forecast that
    serves without a model. The measure is the mean pinball loss over all quantiles. What is
    promoted is exactly the model that was judged.

    Args:
        now: present grid time.
        rules: how.

    Returns:
        The new model, promoted or not; None when history is too short to learn from.
    """
    terms = rules or TrainingRules()
    panel = read_history(now, days=terms.history_days).panel
    fitted = fit_model(panel.head(max(0, panel.hours - terms.gate_h)), terms.model)
    if fitted is None:
        return None
    scores = run_backtest(
        panel, terms.gate, _candidates(fitted, terms), stopwatch=time.perf_counter
    )
    if not scores:
        return None
    return _keep(fitted, _judgement(scores), now)


def champion_model() -> tuple[ForecastModel, FittedModel] | None:
    """Return the model in service, or None when there is none that can be read."""
    row = ForecastModel.objects.filter(is_champion=True).first()
    if row is None:
        return None
    try:
        return row, load_model(bytes(row.artifact), sha256=row.artifact_sha256)
    except BadArtifact:
        # forecasting goes on with the next method of the chain; the next training replaces it
        logger.exception("model.unreadable", extra={"version": row.version})
        return None


def _candidates(fitted: FittedModel, rules: TrainingRules) -> dict[str, Trainer]:
    gate = rules.gate
    trainers = {OURS: _as_trainer(fitted, gate)}
    champion = champion_model()
    if champion is not None and _is_comparable(champion[1], fitted):
        trainers[_CHAMPION] = _as_trainer(champion[1], gate)
    return trainers | {rule.value: baseline_trainer(rule, gate) for rule in Baseline}


def _is_comparable(champion: FittedModel, fitted: FittedModel) -> bool:
    # a champion of other levels or a shorter horizon cannot be measured on the same numbers, and
    # one that has seen the hours of the gate would win by knowing the answers
    return (
        champion.settings.quantiles == fitted.settings.quantiles
        and champion.settings.forest.horizon_h >= fitted.settings.forest.horizon_h
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
def _keep(fitted: FittedModel, judgement: dict[str, Any], now: dt.datetime) -> ForecastModel:
    artifact = dump_model(fitted)
    version = _version_of(fitted, artifact)
    known = ForecastModel.objects.filter(version=version).first()
    if known is not None:
        return known
    if judgement["is_promoted"]:
        ForecastModel.objects.filter(is_champion=True).update(is_champion=False)
    model = ForecastModel.objects.create(
        name=MODEL_NAME,
        version=version,
        trained_at=now,
        trained_from=fitted.trained_from,
        trained_until=fitted.trained_until,
        features=list(fitted.forest.features),
        settings=asdict(fitted.settings),
        scores=judgement,
        artifact=artifact,
        artifact_sha256=digest_of(artifact),
        is_champion=judgement["is_promoted"],
    )
    audit.record(
        "system",
        "promote-model" if model.is_champion else "decline-model",
        f"forecast-model:{version}",
        {
            "trained_until": fitted.trained_until.isoformat(),
            "sha256": model.artifact_sha256,
            "incumbent": judgement["incumbent"],
            "skill_pinball": judgement["skill_pinball"],
        },
    )
    _forget_old_models(now)
    return model


def _version_of(fitted: FittedModel, artifact: bytes) -> str:
    settings = json.dumps(asdict(fitted.settings), sort_keys=True)
    made_of = f"{CODE_VERSION}|{settings}|{digest_of(artifact)}"
    return f"{CODE_VERSION}-{hashlib.sha256(made_of.encode()).hexdigest()[:12]}"


def _forget_old_models(now: dt.datetime) -> None:
    ForecastModel.objects.filter(
        trained_at__lt=now - KEPT, is_champion=False, forecastrun__isnull=True
    ).delete()
