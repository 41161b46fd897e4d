"""The HTTP contract: /edit, /generate, /reimagine and /models for gradio_client; /healthz, /readyz and /metrics for monitoring.

Files go through Gradio's own upload checks; every other value is plain JSON. Knows no widgets of the page.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Mapping
from contextlib import aclosing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, get_origin, get_type_hints
from urllib.parse import quote

import gradio as gr
from gradio.components.api_component import Api
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from inpaint.core.picture import Picture
from inpaint.core.request import EditRequest, ReimagineRequest
from inpaint.errors import EditCancelled, InpaintError, InvalidRequest
from inpaint.jobs.job import Job
from inpaint.saving import Saved
from inpaint.service import Service
from inpaint.storage.folder import FolderWatch
from inpaint.storage.masks import read_mask
from inpaint.storage.uploads import Upload, read_picture
from inpaint.ui.component import FileField
from inpaint.ui.runs.identity import account_of
from inpaint.ui.runs.poll import follow, is_listening, until_listened
from inpaint.ui.security.guard import Login
from inpaint.ui.security.login import Attempts
from inpaint.ui.server.sessions import CallSessions

Number = Annotated[Any, {"type": "number"}]
Text = Annotated[Any, {"type": "string"}]
Switch = Annotated[Any, {"type": "boolean"}]
Anything = Annotated[Any, {}]
"""Types of a call's plain values, with their JSON schema. core/request.py checks the values, as it does for the command line."""

CALLER_HAS_GONE = "The caller has gone."


class Endpoints:
    """The calls of the HTTP contract. Each takes plain values and returns plain data; an error becomes the call's error with its
    sentence.
    """

    def __init__(self, service: Service) -> None:
        self.service = service
        self._sessions = CallSessions()

    async def edit(
        self,
        request: gr.Request,
        image: str | None,
        mask: str | None,
        prompt: Text = None,
        negative_prompt: Text = None,
        model: Text = None,
        seed: Number = None,
        num_inference_steps: Number = None,
        guidance_scale: Number = None,
        strength: Number = None,
        scheduler: Text = None,
        prior_num_inference_steps: Number = None,
        prior_guidance_scale: Number = None,
        count: Number = None,
        grow: Number = None,
        feather: Number = None,
        tone_match: Anything = None,
        work_area: Text = None,
        invert_mask: Switch = None,
    ) -> tuple[list[str], dict[str, object]]:
        """Repaint the masked part of a picture. Returns (result files, report)."""
        values = _chosen(locals(), Endpoints.edit)
        self._sessions.begin(request)
        with _as_call_error():
            wanted = await asyncio.to_thread(self._edit_request, image, mask, values)
            plan = await asyncio.to_thread(self.service.plan, wanted)
            return _answer(await _outcome(self.service.start_edit(wanted, account_of(request), plan=plan)))

    async def generate(
        self,
        request: gr.Request,
        prompt: Text,
        negative_prompt: Text = None,
        model: Text = None,
        seed: Number = None,
        num_inference_steps: Number = None,
        guidance_scale: Number = None,
        width: Number = None,
        height: Number = None,
        count: Number = None,
    ) -> tuple[list[str], dict[str, object]]:
        """Make a first picture from text. Returns (result files, report)."""
        values = _chosen(locals(), Endpoints.generate)
        self._sessions.begin(request)
        with _as_call_error():
            wanted = self.service.generate_request(values)
            return _answer(await _outcome(self.service.start_generate(wanted, account_of(request))))

    async def reimagine(
        self,
        request: gr.Request,
        image: str | None,
        prompt: Text = None,
        negative_prompt: Text = None,
        model: Text = None,
        seed: Number = None,
        num_inference_steps: Number = None,
        guidance_scale: Number = None,
        strength: Number = None,
        scheduler: Text = None,
        prior_num_inference_steps: Number = None,
        prior_guidance_scale: Number = None,
        count: Number = None,
    ) -> tuple[list[str], dict[str, object]]:
        """Make a picture anew from a picture and words. Returns (result files, report)."""
        values = _chosen(locals(), Endpoints.reimagine)
        self._sessions.begin(request)
        with _as_call_error():
            wanted = await asyncio.to_thread(self._reimagine_request, image, values)
            return _answer(await _outcome(self.service.start_reimagine(wanted, account_of(request))))

    def models(self, request: gr.Request) -> list[dict[str, object]]:
        """Every model: what it does, whether it is on this machine, its licence and its computed memory."""
        self._sessions.begin(request)
        return [_without_places(model) for model in self.service.models.describe()]

    def _edit_request(self, image: str | None, mask: str | None, values: dict[str, Any]) -> EditRequest:
        limits = self.service.config.settings.pictures
        picture: Picture = read_picture(self._uploaded("image", image), limits)
        return self.service.edit_request(picture, read_mask(self._uploaded("mask", mask), picture.extent, limits), values)

    def _reimagine_request(self, image: str | None, values: dict[str, Any]) -> ReimagineRequest:
        picture = read_picture(self._uploaded("image", image), self.service.config.settings.pictures)
        return self.service.reimagine_request(picture, values)

    def _uploaded(self, field: str, path: str | None) -> Upload:
        """Returns an uploaded file. path: from Gradio, which has checked that it lies among the uploads. Raises InvalidRequest,
        UnreadableImage.
        """
        if path is None:
            raise InvalidRequest(field, f"The {field} is missing.", "Send it as a file.")
        self.service.housekeeper.sweep_soon()
        return Upload.handed_in(Path(path), self.service.config.settings.pictures)


def bind_http(service: Service) -> None:
    """Declares the endpoints. Called inside the Blocks context; their components are never shown."""
    endpoints = Endpoints(service)
    with gr.Column(visible=False):
        image, mask = FileField(label="image"), FileField(label="mask")
        files, report = gr.File(file_count="multiple", label="result files"), gr.JSON(label="report")
        _declare("edit", endpoints.edit, [image, mask, *_plain(endpoints.edit)], [files, report])
        _declare("generate", endpoints.generate, _plain(endpoints.generate), [files, report])
        _declare("reimagine", endpoints.reimagine, [image, *_plain(endpoints.reimagine)], [files, report])
        _declare("models", endpoints.models, [], [gr.JSON(label="models")])


def health_routes(service: Service, folders: FolderWatch, auth: tuple[str, str] | None, attempts: Attempts) -> list[Route]:
    """Returns the routes for monitoring. /healthz: the process lives. /metrics: figures for Prometheus.

    /readyz answers 200 if an edit can be served, else 503 with the reason. /readyz and /metrics ask for the login. /healthz
    does not: it reveals nothing and must answer a container's probe.
    """

    def healthz(request: Request) -> JSONResponse:
        return JSONResponse({"status": "ok"})

    def readyz(request: Request) -> JSONResponse:
        able = [spec.name for spec in service.models.specs.values() if service.models.is_available(spec)]
        reason = _why_not_ready(service, folders, bool(able))
        why = {"reason": reason} if reason else {}
        return JSONResponse({"ready": not reason, "models": able, **why}, 503 if reason else 200)

    def metrics(request: Request) -> Response:
        return Response(service.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    login = [Middleware(Login, auth=auth, attempts=attempts)]
    return [Route("/healthz", healthz), Route("/readyz", readyz, middleware=login), Route("/metrics", metrics, middleware=login)]


def unsaved_route(service: Service, auth: tuple[str, str] | None, attempts: Attempts) -> Route:
    """Returns the route that serves results which the disk did not take. Their addresses cannot be guessed, and it asks for the
    login too.
    """

    def download(request: Request) -> Response:
        file = service.shelf.find(request.path_params["key"])
        if file is None:
            return JSONResponse({"error": "This result is not in memory any more."}, 404)
        name = quote(file.name)
        return Response(
            file.data,
            media_type="image/png",
            headers={"Content-Disposition": f"attachment; filename*=utf-8''{name}", "Cache-Control": "no-store"},
        )

    return Route("/kept/{key}/{name}", download, middleware=[Middleware(Login, auth=auth, attempts=attempts)])


def _why_not_ready(service: Service, folders: FolderWatch, has_model: bool) -> str:
    """Returns one sentence that names no path of this machine; "" if the server is ready."""
    if not service.worker.is_accepting:
        return "The server is stopping."
    if service.worker.is_hung:
        return "The running job says nothing any more."
    if not folders.is_writable:
        return "The folder for uploads and results cannot be written."
    return service.space.shortage or ("" if has_model else "No model is on this machine.")


def _declare(name: str, call: Callable[..., Any], inputs: list[Any], outputs: list[Any]) -> None:
    gr.Button(visible=False).click(call, inputs, outputs, api_name=name, concurrency_limit=None, show_progress="hidden")


def _schemas(call: Callable[..., Any]) -> dict[str, dict[str, Any]]:
    """Returns the plain values that a call takes, in its order: name -> JSON schema, read from its annotations."""
    hints = get_type_hints(call, include_extras=True)
    return {name: hint.__metadata__[0] for name, hint in hints.items() if get_origin(hint) is Annotated}


def _chosen(given: Mapping[str, Any], call: Callable[..., Any]) -> dict[str, Any]:
    """Returns the plain values among a call's arguments, by name."""
    return {name: given[name] for name in _schemas(call)}


def _plain(call: Callable[..., Any]) -> list[Api]:
    """Returns the components through which a call's plain values come in."""
    return [Api(None, schema, name) for name, schema in _schemas(call).items()]  # pyright: ignore[reportArgumentType]


async def _outcome(job: Job[Saved]) -> Saved:
    """Waits for a caller's job and returns its result.

    The job ends at once if the caller cancels the call or disconnects, since no page will come back for it. If a caller never
    listens at all, its job is cancelled after the time that a closed page's job has.
    """
    try:
        await until_listened(job)
        async with aclosing(follow(job)) as looks:
            async for _ in looks:
                if not is_listening():
                    raise EditCancelled(CALLER_HAS_GONE)
    except (asyncio.CancelledError, EditCancelled):  # Gradio cancels the task when the caller cancels the call
        job.cancel(EditCancelled(CALLER_HAS_GONE))
        raise
    return job.outcome()


def _without_places(model: dict[str, Any]) -> dict[str, object]:
    """Returns a model's description with only the names of local folders, not their paths."""
    sources = {part: Path(place).name if Path(place).is_absolute() else place for part, place in model["sources"].items()}
    return {**model, "sources": sources}


def _answer(saved: Saved) -> tuple[list[str], dict[str, object]]:
    """Returns the result files and the report. The report names the files without their paths on this machine."""
    names = tuple(Path(output).name for output in saved.report.outputs)
    return list(map(str, saved.paths)), replace(saved.report, outputs=names).to_json()


@contextmanager
def _as_call_error() -> Generator[None, None, None]:
    """Turns errors of this app into the call's error, whose sentence reaches the caller."""
    try:
        yield
    except InpaintError as error:
        raise gr.Error(str(error), print_exception=False) from None
