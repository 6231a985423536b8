"""Decides which pool and which column of the wide row a foreign metric belongs to."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from controlplane.lib.errors import GridError
from monitoring.domain.points import NAME_LABEL, Labels
from monitoring.domain.samples import FIELD_NAMES

MAX_RULES = 200
MAX_MATCHERS = 16
MAX_ALTERNATIVES = 100
_PLACEHOLDER = re.compile(r"\{([^{}]+)\}")


class Basis(StrEnum):
    """What a mapped value is a measure of, once its factor has been applied."""

    UNITS = "units"
    FRACTION_OF_CAPACITY = "fraction-of-capacity"


class Combine(StrEnum):
    """How several series that land on one column become one number."""

    ONLY = "only"
    SUM = "sum"
    MAX = "max"
    MEAN = "mean"


class Matching(StrEnum):
    """How a label is compared; a label that is absent has the value ""."""

    IS = "is"
    IS_NOT = "is-not"


class BadRules(GridError):
    """A set of mapping rules that cannot be followed."""

    code = "bad-mapping-rules"


@dataclass(frozen=True)
class Matcher:
    """One condition on a label: its value is, or is not, one of those named."""

    label: str
    values: frozenset[str]
    how: Matching = Matching.IS

    def holds(self, labels: Mapping[str, str]) -> bool:
        """Whether a series meets the condition."""
        return (labels.get(self.label, "") in self.values) is (self.how is Matching.IS)


@dataclass(frozen=True)
class Rule:
    """Where series of one metric go.

    Attributes:
        name: for people and for the record.
        metric: exact metric name.
        pool: code of a pool, or a template with label names in braces: `{site}-gpu`.
        field: column of the wide row.
        matchers: conditions, all of which must hold.
        factor: what a value is multiplied by; percent become a fraction with 0.01, and with -1
            a series is taken off the others of its column.
        basis: whether the product is in units of the column, or a fraction of the capacity.
        combine: how several series of one pool and column become one number.
    """

    name: str
    metric: str
    pool: str
    field: str
    matchers: tuple[Matcher, ...] = ()
    factor: float = 1.0
    basis: Basis = Basis.UNITS
    combine: Combine = Combine.SUM

    def takes(self, labels: Mapping[str, str]) -> bool:
        """Whether a series belongs to this rule."""
        return labels.get(NAME_LABEL) == self.metric and all(
            matcher.holds(labels) for matcher in self.matchers
        )


@dataclass(frozen=True)
class Landing:
    """Where one series goes.

    Attributes:
        rule: the rule that says so; None for a series that no rule takes, which is kept as it is.
        pool: pool code; empty where a label that the rule needs is absent.
    """

    rule: Rule | None = None
    pool: str = ""


UNMAPPED = Landing()


def plan_mapping(labels: Labels, rules: Sequence[Rule]) -> Landing:
    """Return where a series goes: the first rule that takes it decides.

    Args:
        labels: the series.
        rules: in their order.

    Returns:
        The rule and the pool; `UNMAPPED` when no rule takes the series.
    """
    named = dict(labels)
    for rule in rules:
        if rule.takes(named):
            return Landing(rule, _fill(rule.pool, named))
    return UNMAPPED


def read_rules(document: object) -> tuple[Rule, ...]:
    """Turn what a person wrote into rules.

    Args:
        document: a list of objects with the attributes of `Rule`; `matchers` is a list of
            `{"label", "values", "how"}`.

    Returns:
        The rules in their order.

    Raises:
        BadRules: one of them says what cannot be followed; the message names it.
    """
    if not isinstance(document, list) or len(document) > MAX_RULES:
        raise BadRules(f"Rules are a list of at most {MAX_RULES}.")
    rules = tuple(_read_rule(position, entry) for position, entry in enumerate(document))
    _check_together(rules)
    return rules


def write_rules(rules: Iterable[Rule]) -> list[dict[str, object]]:
    """Return rules as plain data that `read_rules` takes."""
    return [
        {
            "name": rule.name,
            "metric": rule.metric,
            "pool": rule.pool,
            "field": rule.field,
            "matchers": [
                {"label": m.label, "values": sorted(m.values), "how": m.how.value}
                for m in rule.matchers
            ],
            "factor": rule.factor,
            "basis": rule.basis.value,
            "combine": rule.combine.value,
        }
        for rule in rules
    ]


def _fill(template: str, labels: Mapping[str, str]) -> str:
    names = _PLACEHOLDER.findall(template)
    if any(not labels.get(name) for name in names):
        return ""
    return _PLACEHOLDER.sub(lambda found: labels[found[1]], template)


_KEYS = frozenset({"name", "metric", "pool", "field", "matchers", "factor", "basis", "combine"})


def _read_rule(position: int, entry: object) -> Rule:
    where = f"Rule {position}"
    if not isinstance(entry, dict) or not entry.keys() <= _KEYS:
        raise BadRules(f"{where} may have only {', '.join(sorted(_KEYS))}.")
    texts = {key: entry.get(key) for key in ("name", "metric", "pool", "field")}
    for key, text in texts.items():
        if not isinstance(text, str) or not 0 < len(text) <= 256:
            raise BadRules(f"{where} needs a {key}.")
    if texts["field"] not in FIELD_NAMES:
        raise BadRules(f"{where}: the field must be one of {', '.join(FIELD_NAMES)}.")
    factor = entry.get("factor", 1.0)
    if type(factor) not in (int, float) or not math.isfinite(factor) or factor == 0:
        raise BadRules(f"{where}: the factor must be a number other than zero.")
    matchers = entry.get("matchers", [])
    if not isinstance(matchers, list) or len(matchers) > MAX_MATCHERS:
        raise BadRules(f"{where}: matchers are a list of at most {MAX_MATCHERS}.")
    try:
        basis = Basis(entry.get("basis", Basis.UNITS))
        combine = Combine(entry.get("combine", Combine.SUM))
    except ValueError as error:
        raise BadRules(f"{where}: {error}.") from error
    read = tuple(_read_matcher(where, matcher) for matcher in matchers)
    return Rule(**texts, matchers=read, factor=float(factor), basis=basis, combine=combine)  # type: ignore[arg-type]


def _read_matcher(where: str, entry: object) -> Matcher:
    if not isinstance(entry, dict) or not entry.keys() <= {"label", "values", "how"}:
        raise BadRules(f"{where}: a matcher has a label, values and how.")
    label, values = entry.get("label"), entry.get("values")
    if not isinstance(label, str) or not label:
        raise BadRules(f"{where}: a matcher needs a label.")
    is_texts = isinstance(values, list) and all(isinstance(value, str) for value in values)
    if not isinstance(values, list) or not is_texts or not 0 < len(values) <= MAX_ALTERNATIVES:
        raise BadRules(f"{where}: values are 1 to {MAX_ALTERNATIVES} texts.")
    try:
        return Matcher(label, frozenset(values), Matching(entry.get("how", Matching.IS)))
    except ValueError as error:
        raise BadRules(f"{where}: {error}.") from error


def _check_together(rules: Sequence[Rule]) -> None:
    names = {rule.name for rule in rules}
    if len(names) != len(rules):
        raise BadRules("Each rule needs a name of its own.")
    combined: dict[tuple[str, str], tuple[Combine, Basis]] = {}
    for rule in rules:
        key = (rule.pool, rule.field)
        how = (rule.combine, rule.basis)
        if combined.setdefault(key, how) != how:
            raise BadRules(f"{rule.field} of {rule.pool} is combined in two ways.")
        if rule.basis is Basis.FRACTION_OF_CAPACITY and rule.field == "capacity":
            raise BadRules("The capacity cannot be a fraction of itself.")
