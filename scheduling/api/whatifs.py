"""HTTP for what-ifs: ask, and see both plans side by side."""

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from controlplane.auth.permissions import require_actor
from controlplane.auth.roles import Permission
from controlplane.lib import clock
from controlplane.lib.errors import ErrorKind, GridError, InvalidField
from scheduling.api.shared import request_key
from scheduling.models import WhatIf
from scheduling.selectors import whatifs as rows
from scheduling.services import whatifs

_KEYS = {"name", "edits", "weights", "risk_quantile", "rule_costs"}
_EXAMPLE = {
    "name": "Zhangjiakou closes for a day and power in Beijing costs twice as much",
    "edits": [
        {"kind": "close", "site": "zhangjiakou", "from_h": 2, "until_h": 24},
        {"kind": "energy-price", "region": "CN-BJ", "factor": 2.0},
        {"kind": "demand", "pool": "shanghai-gpu", "factor": 1.5},
        {"kind": "rule", "rule": "S3", "reach": "JURISDICTION"},
    ],
    "weights": {"carbon_usd_per_t": 100.0},
    "risk_quantile": 0.95,
}


class WhatIfNotFound(GridError):
    """There is no such what-if."""

    code = "what-if-not-found"
    kind = ErrorKind.NOT_FOUND


class WhatIfSerializer(serializers.Serializer[Any]):
    """Body of a question.

    Kinds of edits: energy-price, carbon, capacity, demand and region-limit (each with `factor`),
    close, rule (with `rule` and `reach`), rule-off (with `rule`). `region`, `site` or `pool` says
    whose figures are meant, none of them means all; `from_h` and `until_h` say when.
    """

    name = serializers.CharField(max_length=200)
    edits = serializers.ListField(child=serializers.DictField(), required=False, max_length=50)
    weights = serializers.DictField(child=serializers.FloatField(), required=False)
    risk_quantile = serializers.FloatField(required=False, min_value=0.5, max_value=0.95)
    rule_costs = serializers.BooleanField(
        required=False, help_text="also say what each rule and limit costs the altered plan"
    )


class WhatIfs(APIView):
    """Questions of the kind "what if"."""

    @extend_schema(operation_id="what_ifs_list", responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        """List the newest 50 what-ifs, without their moves."""
        return Response({"what_ifs": rows.newest_what_ifs()})

    @extend_schema(
        request=WhatIfSerializer,
        responses={202: OpenApiTypes.OBJECT},
        examples=[OpenApiExample("a site closes", value=_EXAMPLE, request_only=True)],
        parameters=[OpenApiParameter("Idempotency-Key", str, OpenApiParameter.HEADER)],
    )
    def post(self, request: Request) -> Response:
        """Ask what would be planned if something were different; nothing of it is ever dispatched.

        The answer comes within seconds under the address in Location.
        """
        actor = require_actor(request.user, Permission.VIEW_GRID)
        body = request.data
        if not isinstance(body, dict):
            raise InvalidField("", "must be an object")
        unknown = sorted(set(body) - _KEYS)
        if unknown:
            raise InvalidField(unknown[0], f"is not one of {', '.join(sorted(_KEYS))}")
        asked = whatifs.ask(
            actor,
            {key: body[key] for key in body if key != "name"},
            name=_name_in(body),
            now=clock.now(),
            request_key=request_key(request, actor.username),
        )
        headers = {"Location": f"/api/v1/what-ifs/{asked.pk}"}
        return Response(rows.card(asked), status=status.HTTP_202_ACCEPTED, headers=headers)


class WhatIfDetail(APIView):
    """One question and its answer."""

    @extend_schema(operation_id="what_ifs_read", responses=OpenApiTypes.OBJECT)
    def get(self, request: Request, what_if_id: int) -> Response:
        """Return both plans side by side and what differs, once it is answered."""
        asked = WhatIf.objects.filter(pk=what_if_id).first()
        if asked is None:
            raise WhatIfNotFound(f"There is no what-if {what_if_id}.")
        return Response(rows.full_card(asked))


def _name_in(body: dict[str, Any]) -> str:
    name = body.get("name")
    if not isinstance(name, str) or not 0 < len(name) <= 200 or not name.isprintable():
        raise InvalidField("name", "must be a text of 1 to 200 printable characters")
    return name
