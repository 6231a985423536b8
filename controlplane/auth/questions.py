"""What a read is asked and what it answers, whichever way the request comes."""

from collections.abc import Callable
from dataclasses import dataclass

from django.http import HttpResponse, QueryDict
from rest_framework.request import Request

from controlplane.auth.authentication import ProviderSender, actor_of
from controlplane.auth.standing import Asker

JSON = "application/json"


@dataclass(frozen=True)
class Question:
    """A read.

    Attributes:
        asker: who asks, as the database says now.
        query: what stands behind the question mark.
        accepts: the one content type that the answer shall have.
        about: the last part of the address, for a read of one thing; else empty.
    """

    asker: Asker
    query: QueryDict
    accepts: str = JSON
    about: str = ""


@dataclass(frozen=True)
class Answer:
    """What a read found, ready to be sent."""

    body: bytes
    content_type: str = JSON


# raises what the way that the request came knows to say
Read = Callable[[Question], Answer]


def asker_of(request: Request) -> Asker:
    """Return who is behind a request that Django's chain has brought."""
    user = request.user
    if isinstance(user, ProviderSender):
        return Asker(provider_code=user.provider_code)
    return Asker(actor_of(user))


def answer_by(read: Read, request: Request, *, about: str = "") -> HttpResponse:
    """Answer a request that Django's chain has brought.

    Args:
        read: what knows the answer.
        request: of a person or a provider who may ask.
        about: the thing that the address names.
    """
    accepts = request.accepted_renderer.media_type
    answer = read(Question(asker_of(request), request.query_params, accepts, about))
    return HttpResponse(answer.body, content_type=answer.content_type)
