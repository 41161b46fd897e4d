"""The whole page: bar, tabs and HTTP endpoints, and how it is served. Knows nothing of how engines work."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import gradio as gr
from gradio.route_utils import FnIndexInferError
from starlette.types import ASGIApp

from inpaint.config.settings import parse_auth
from inpaint.errors import InpaintError, ModelUnavailable
from inpaint.models.catalog import Models
from inpaint.models.default_model import Choice
from inpaint.service import Service
from inpaint.startup.address import in_url
from inpaint.storage.folder import FolderWatch, written_folders
from inpaint.storage.quota import uploads_folder
from inpaint.ui import words
from inpaint.ui.downloads.fetcher import Fetcher, may_download
from inpaint.ui.downloads.line import FetchHandlers
from inpaint.ui.edit.context import EditContext
from inpaint.ui.edit.handlers import EditHandlers, bind_edit
from inpaint.ui.edit.tab import EditTab, build_edit_tab
from inpaint.ui.examples import Example, load_examples
from inpaint.ui.form import able
from inpaint.ui.generate.chain import Chain
from inpaint.ui.generate.chain_handlers import ChainHandlers
from inpaint.ui.generate.handlers import bind_generate
from inpaint.ui.generate.run_panel import RunPanel
from inpaint.ui.generate.tab import build_generate_tab
from inpaint.ui.images import thumbnail_url
from inpaint.ui.runs.session import KEPT_SECONDS, Session
from inpaint.ui.security.connections import bound_foreign_logs, bounded_connections
from inpaint.ui.security.hosts import check_open, hosts_of, parted
from inpaint.ui.security.login import Attempts, LoginThrottle
from inpaint.ui.server.api import bind_http, health_routes, unsaved_route
from inpaint.ui.server.api_errors import refusals, refuse_addresses
from inpaint.ui.server.calls import NO_CALL, Calls, Functions, NoSuchCall, no_such_call, wrong_request
from inpaint.ui.server.cancelling import CancelOne
from inpaint.ui.server.middleware import forwarded_headers_left_to_the_guard, guarded
from inpaint.ui.server.sessions import PAGES_KEPT
from inpaint.ui.server.uploading import UploadRoom
from inpaint.ui.stage.stage import Stage
from inpaint.ui.theme import build_theme

HERE = Path(__file__).parent
THUMBNAIL_SIDE = 240

QUICK_EVENTS = 16
"""How many events that only open, plan or show something may run at once, so that one person's large photo does not delay another's
brush."""

MOST_EVENTS = 1000
"""How many events may wait in Gradio's own queue; jobs wait in the app's queue. Without it a ZeroGPU Space has room for only one."""


class Page(gr.Blocks):
    """Gradio Blocks that know how they must be served. `demo.launch()` alone starts the whole app, as a Space does."""

    fetches: FetchHandlers

    def __init__(self, service: Service) -> None:
        os.environ.setdefault("GRADIO_TEMP_DIR", str(uploads_folder(service.config.data_dir)))
        super().__init__(title="Inpaint", analytics_enabled=False, delete_cache=(3600, KEPT_SECONDS), fill_width=True)
        self.service = service
        service.housekeeper.watch(self.open_files)

    def open_files(self) -> set[Path]:
        """Returns the files that pages of this server have open: uploads, results and chains, from the states that Gradio keeps.
        Any thread may call it.
        """
        holder = getattr(self, "state_holder", None)  # it does not exist before the launch
        sessions = list(holder.session_data.values()) if holder else []
        states = [state for session in sessions for state in list(session.state_data.values())]
        return {path for state in states if isinstance(state, (Session, Chain)) for path in state.files}

    def get_config_file(self) -> Any:
        """Returns Gradio's configuration with the heartbeat turned off. The heartbeat is a stream held open by every tab.

        A browser has only six connections to a server, and each run needs one.
        """
        return {**super().get_config_file(), "connect_heartbeat": False}

    async def preprocess_data(self, block_fn: Any, inputs: list[Any], *rest: Any, **options: Any) -> Any:
        """Calls Gradio's method, which accepts no file but an upload, and turns what it refuses into a sentence for the caller."""
        if block_fn.fn is None:
            raise gr.Error(NO_CALL, print_exception=False)  # this function runs only in the browser
        with refusals(block_fn.inputs, inputs):
            refuse_addresses(inputs)
            return await super().preprocess_data(block_fn, inputs, *rest, **options)

    async def call_function(self, *given: Any, **options: Any) -> Any:
        """Calls Gradio's method. An error of this app goes to the sender of the event, and not into the log."""
        try:
            return await super().call_function(*given, **options)
        except InpaintError as error:
            raise gr.Error(str(error), print_exception=False) from None

    @property
    def is_awaited(self) -> bool:
        """Whether somebody still waits for the last answer of an event. Gradio keeps an event's id until its answer was sent."""
        return any(list(self._queue.pending_event_ids_session.values()))

    def launch(self, *args: Any, **options: Any) -> Any:
        """Calls Gradio's launch with this app's settings, login, look, limits and routes. Options that are given override them.

        Raises BadConfig if others could reach the server without a login and the settings do not allow that.
        """
        config = self.service.config
        gr.set_static_paths(config.data_dir / "results")  # otherwise Gradio copies each result that it serves into its cache
        settings = replace(
            config.settings, host=options.get("server_name", config.settings.host), share=bool(options.get("share", config.settings.share))
        )
        auth, hosts = options.get("auth", parse_auth(settings.auth)), hosts_of(settings, os.environ)
        if not auth:
            check_open(replace(settings, auth=None), os.environ)
        folders = FolderWatch(written_folders(config.data_dir, Path(os.environ["GRADIO_TEMP_DIR"])))

        attempts = Attempts()  # one count of wrong passwords for the page and for the routes of our own

        def inner(app: Any) -> ASGIApp:
            return UploadRoom(
                Calls(CancelOne(LoginThrottle(app, attempts)), self.has_call, self.has_event, self.has_session), self.service.space, folders
            )

        own: dict[str, Any] = {
            "server_name": in_url(settings.host) if settings.host else None,
            "server_port": settings.port,
            "share": settings.share or None,
            "auth": auth,
            "theme": build_theme(),
            "css_paths": [HERE / "style.css"],
            "head_paths": [HERE / "head.html", HERE / "server" / "refusals.html"],
            "allowed_paths": [str(config.data_dir / "results")],
            "max_file_size": f"{settings.pictures.max_file_megabytes}mb",
            "run_history": False,
            "state_session_capacity": PAGES_KEPT,
            "show_error": False,
            "footer_links": [],
            "pwa": False,
            "ssr_mode": False,
            "app_kwargs": {
                "routes": [*health_routes(self.service, folders, auth, attempts), unsaved_route(self.service, auth, attempts)],
                "exception_handlers": {NoSuchCall: no_such_call, FnIndexInferError: no_such_call, TypeError: wrong_request},
                "lifespan": partial(guarded, hosts=hosts, config=replace(config, settings=settings), inner=inner),
            },
        }
        self.default_config.fns = Functions(self.default_config.fns)
        self.fetches.allowed = may_download(settings, os.environ)
        bound_foreign_logs()
        with forwarded_headers_left_to_the_guard(), bounded_connections():
            launched = super().launch(*args, **{**own, **options})
        hosts.share = parted(urlsplit(self.share_url or "").netloc)[0]
        return launched

    def has_call(self, name: str) -> bool:
        """Returns whether programs may call a function of this name."""
        return any(function.api_name == name and function.api_visibility != "private" for function in self.fns.values())

    def has_event(self, event: str) -> bool:
        """Returns whether an event waits or runs, or its answer has not been fetched yet."""
        pending = list(self._queue.pending_event_ids_session.values())
        return event in self._queue.event_ids_to_events or any(event in events for events in pending)

    def has_session(self, session: str) -> bool:
        """Returns whether a session has asked for anything and may wait for answers."""
        return session in self._queue.pending_messages_per_session


def build_page(service: Service, fetcher: Fetcher | None = None) -> Page:
    """Builds the app, ready to launch, without loading a model. fetcher: replaced by tests, which download nothing."""
    models, settings = service.models, service.config.settings
    known = [words for spec in models.specs.values() if spec.knows and models.is_available(spec, "inpaint") for words in spec.knows]
    generating, reimagining = (able(models.ranked(task), task) for task in ("generate", "image-to-image"))
    examples = load_examples(settings.pictures, known)
    first = _shown_first(models)
    with Page(service) as page:
        fetches = page.fetches = FetchHandlers(models, fetcher or Fetcher(), may_download(settings, os.environ))
        with gr.Row(elem_id="bar"):
            gr.HTML('<h1 class="ip-brand">Inpaint</h1>')
            edit_chip = gr.HTML(words.chip_html(first.spec, models, "inpaint"), elem_id="edit-chip", elem_classes="ip-chip-box")
            making_chip = gr.HTML(
                words.chip_html(generating[0], models, "generate") if generating else "",
                elem_id="generate-chip",
                elem_classes="ip-chip-box",
            )
            gr.HTML(words.THEME_BUTTON)
        with gr.Tabs(selected="edit", elem_id="tabs") as tabs:
            with gr.Tab("Edit", id="edit"):
                edit_tab = _build_edit(service, first, examples, bool(generating and reimagining))
                editor = EditHandlers(EditContext(service, edit_tab, edit_chip, examples, fetches))
            if generating:
                with gr.Tab("Generate", id="generate"):
                    tab = build_generate_tab(generating, reimagining)
                bind_generate(RunPanel(ChainHandlers(service, tab, tabs, editor)), fetches, making_chip, page)
        bind_edit(editor, page)
        service.worker.every_look(editor.page.runs.drop_old)
        fetches.bind_page(page)
        bind_http(service)
    page.queue(max_size=MOST_EVENTS, api_open=False, default_concurrency_limit=QUICK_EVENTS)
    return page


def _build_edit(service: Service, first: Choice, examples: Mapping[str, Example], can_reimagine: bool) -> EditTab:
    shots = [example for example in examples.values() if not example.shot.only_fills]
    fillings = [{"name": name, "title": example.shot.title} for name, example in examples.items() if example.shot.only_fills]
    stage = Stage(examples=[_thumbnail(example) for example in shots], fillings=fillings, render=False)
    models = service.models
    note = words.model_html(first.spec, models, "inpaint", first.reason)
    return build_edit_tab(able(models.specs.values(), "inpaint"), first.spec, stage, note, _known_at_first(models), can_reimagine)


def _shown_first(models: Models) -> Choice:
    """Returns the model of an edit without a prompt. If none is on this machine, it is one that could be downloaded."""
    try:
        return models.default("inpaint", has_prompt=False)
    except ModelUnavailable:
        return Choice(models.ranked("inpaint", has_prompt=False)[0].on_task("inpaint"), "")


def _known_at_first(models: Models) -> Mapping[str, str]:
    """Returns, by model name, the line about a small vocabulary. It is shown if the default model for prompts has one."""
    with contextlib.suppress(ModelUnavailable):
        reader = models.default("inpaint", has_prompt=True).spec
        if reader.knows:
            return {reader.name: words.knows_html(reader, "", models)}
    return {}


def _thumbnail(example: Example) -> dict[str, str]:
    return {"name": example.shot.name, "title": example.shot.title, "url": thumbnail_url(example.picture.pixels, THUMBNAIL_SIDE)}
