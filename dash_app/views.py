"""Login and logout, the way to the Grid page, its timeline, and the choice of language."""

from django.conf import settings
from django.contrib.auth import views as auth_views
from django.contrib.auth.forms import AuthenticationForm
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_GET

from controlplane.auth.login import may_try, note_failure, note_success
from controlplane.lib import clock
from dash_app.access import guard_data
from dash_app.assets import asset_url
from dash_app.csp import with_policy
from dash_app.texts import LANGUAGE_COOKIE, LANGUAGES, language_of, texts_in, theme_of
from dash_app.timeline import timeline_json

YEAR_S = 31_536_000


@require_GET
def home(request: HttpRequest) -> HttpResponse:
    """Lead to the Grid page."""
    return redirect(settings.LOGIN_REDIRECT_URL)


@require_GET
def choose_language(request: HttpRequest, lang: str) -> HttpResponse:
    """Remember a language and go back to where the person was."""
    wish = request.GET.get("next", "")
    is_ours = url_has_allowed_host_and_scheme(wish, allowed_hosts={request.get_host()})
    response = HttpResponseRedirect(wish if is_ours else settings.LOGIN_REDIRECT_URL)
    if lang in LANGUAGES:
        response.set_cookie(
            LANGUAGE_COOKIE, lang, max_age=YEAR_S, samesite="Lax", secure=settings.SECURE_COOKIES
        )
    return response


@require_GET
def timeline(request: HttpRequest) -> HttpResponse:
    """Answer with what the map's time slider shows, to people who may view the grid."""
    refusal = guard_data(request)
    if refusal is not None:
        return refusal
    response = HttpResponse(timeline_json(clock.now()), content_type="application/json")
    response["Cache-Control"] = "private, no-store"
    return response


class LoginView(auth_views.LoginView):
    """Django's login with our face; too many wrong passwords from one place have to wait."""

    template_name = "dash_app/login.html"
    redirect_authenticated_user = True

    def post(self, request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
        """Check a name and a password, unless too many wrong ones came before."""
        name, address = self._attempt()
        if may_try(name, address):
            return super().post(request, *args, **kwargs)
        form = self.get_form()
        context = self.get_context_data(form=form, is_blocked=True)
        response = self.render_to_response(context, status=429)
        response["Retry-After"] = "300"
        return response

    def form_valid(self, form: AuthenticationForm) -> HttpResponse:
        """Begin a session."""
        note_success(*self._attempt())
        return super().form_valid(form)

    def form_invalid(self, form: AuthenticationForm) -> HttpResponse:
        """Count the wrong password and say only that something was wrong."""
        note_failure(*self._attempt())
        return self.render_to_response(self.get_context_data(form=form, is_wrong=True), status=401)

    def get_context_data(self, **kwargs: object) -> dict[str, object]:
        """Add words, styles and the choice of language."""
        lang = language_of(self.request)
        context: dict[str, object] = super().get_context_data(**kwargs)
        return context | {
            "lang": lang,
            "html_lang": "zh-CN" if lang == "zh" else "en",
            "other_lang": "en" if lang == "zh" else "zh",
            "theme": theme_of(self.request),
            "t": texts_in(lang),
            "styles": [asset_url("control-room.css")],
        }

    def render_to_response(self, context: dict[str, object], **kwargs: object) -> HttpResponse:
        """Render under the page policy."""
        return with_policy(super().render_to_response(context, **kwargs))

    def _attempt(self) -> tuple[str, str]:
        name = self.request.POST.get("username", "")
        return name, self.request.META.get("REMOTE_ADDR", "")
