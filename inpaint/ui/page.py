"""The whole page: bar, tabs, HTTP endpoints, and how it is served. Knows no engine's insides."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr
from starlette.middleware import Middleware

from inpaint.config import parse_auth
from inpaint.engines.registry import Choice, Models
from inpaint.errors import ModelUnavailable
from inpaint.service import Service
from inpaint.ui import words
from inpaint.ui.bench import Bench
from inpaint.ui.chain_handlers import ChainHandlers
from inpaint.ui.edit_handlers import ANY_WORDS, EditHandlers, bind_edit
from inpaint.ui.edit_tab import EditTab, build_edit_tab
from inpaint.ui.examples import Example, load_examples
from inpaint.ui.fetch_line import FetchHandlers
from inpaint.ui.fetching import Fetcher, may_download
from inpaint.ui.form import able
from inpaint.ui.generate_handlers import bind_generate
from inpaint.ui.generate_tab import build_generate_tab
from inpaint.ui.guard import Guard
from inpaint.ui.http import bind_http, health_routes
from inpaint.ui.refused import refusals, refuse_addresses
from inpaint.ui.session import KEPT_SECONDS
from inpaint.ui.stage.stage import Stage, make_proxy
from inpaint.ui.theme import build_theme

HERE = Path(__file__).parent
THUMBNAIL_SIDE = 240

QUICK_EVENTS = 16
"""Events that only open, plan or show something run side by side: one person's large photo must not hold up another's brush."""

MOST_EVENTS = 1000
"""That wait in Gradio's own queue; jobs wait in ours. Unless it is said, a ZeroGPU Space has room for one."""


class Page(gr.Blocks):
    """Blocks that know how they are to be served, so that `demo.launch()` alone gives the whole app (a Space does that)."""

    fetches: FetchHandlers

    def __init__(self, service: Service) -> None:
        os.environ.setdefault("GRADIO_TEMP_DIR", str(service.config.data_dir / "cache"))
        super().__init__(title="Inpaint", analytics_enabled=False, delete_cache=(3600, KEPT_SECONDS), fill_width=True)
        self.service = service

    def get_config_file(self) -> Any:
        """Without the heartbeat, a stream that every tab holds: a browser has six connections to a server, and each run needs one."""
        return {**super().get_config_file(), "connect_heartbeat": False}

    async def preprocess_data(self, block_fn: Any, inputs: list[Any], *rest: Any, **options: Any) -> Any:
        """Gradio's own, which takes no file but an upload; its refusal of a call becomes a sentence for the caller."""
        with refusals(block_fn.inputs, inputs):
            refuse_addresses(inputs)
            return await super().preprocess_data(block_fn, inputs, *rest, **options)

    @property
    def is_awaited(self) -> bool:
        """Whether somebody waits for the last answer of an event: Gradio keeps its number until that was sent."""
        return any(list(self._queue.pending_event_ids_session.values()))

    def launch(self, *args: Any, **options: Any) -> Any:
        """Gradio's launch with this app's settings, login, look, limits and routes; every option given wins."""
        results = self.service.config.data_dir / "results"
        limit = self.service.config.settings.pictures.max_file_megabytes
        settings = self.service.config.settings
        auth = parse_auth(settings.auth)
        own: dict[str, Any] = {
            "server_name": settings.host, "server_port": settings.port, "share": settings.share or None, "auth": auth,
            "theme": build_theme(), "css_paths": [HERE / "style.css"], "head_paths": [HERE / "head.html", HERE / "refusals.html"],
            "allowed_paths": [str(results)], "max_file_size": f"{limit}mb", "run_history": False, "show_error": False,
            "footer_links": [], "pwa": False, "ssr_mode": False,
            "app_kwargs": {"routes": health_routes(self.service, options.get("auth", auth)), "middleware": [Middleware(Guard)]},
        }
        served = {**own, **options}
        reached = replace(settings, host=served["server_name"], share=bool(served["share"]))
        self.fetches.allowed = may_download(reached, os.environ)
        return super().launch(*args, **served)


def build_page(service: Service, fetcher: Fetcher | None = None) -> Page:
    """The app, ready to launch. Loads no model. fetcher: for tests, which download nothing."""
    models, settings = service.models, service.config.settings
    known = [words for spec in models.specs.values() if spec.knows and models.is_available(spec, "inpaint") for words in spec.knows]
    generating, reimagining = (able(models.handiest(task), task) for task in ("generate", "image-to-image"))
    examples = load_examples(settings.pictures, known)
    first = models.choose("")
    with Page(service) as page:
        fetches = page.fetches = FetchHandlers(models, fetcher or Fetcher(), may_download(settings, os.environ))
        with gr.Row(elem_id="bar"):
            gr.HTML('<h1 class="ip-brand">Inpaint</h1>')
            edit_chip = gr.HTML(words.chip_html(first.spec, models, "inpaint"), elem_id="edit-chip", elem_classes="ip-chip-box")
            making_chip = gr.HTML(words.chip_html(generating[0], models, "generate") if generating else "", elem_id="generate-chip",
                                  elem_classes="ip-chip-box")
            gr.HTML(words.THEME_BUTTON)
        with gr.Tabs(selected="edit", elem_id="tabs") as tabs:
            with gr.Tab("Edit", id="edit"):
                editor = EditHandlers(service, _build_edit(service, first, examples, bool(generating and reimagining)), edit_chip,
                                      examples, fetches)
            if generating:
                with gr.Tab("Generate", id="generate"):
                    tab = build_generate_tab(generating, reimagining)
                bind_generate(Bench(ChainHandlers(service, tab, tabs, editor)), fetches, making_chip, page)
        bind_edit(editor, page)
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


def _known_at_first(models: Models) -> Mapping[str, str]:
    """By model, what is said of the one that would read words if it knows a few things only: as the page says after it has loaded."""
    with contextlib.suppress(ModelUnavailable):
        reader = models.choose(ANY_WORDS).spec
        if reader.knows:
            return {reader.name: words.knows_html(reader, "", models)}
    return {}


def _thumbnail(example: Example) -> dict[str, str]:
    return {"name": example.shot.name, "title": example.shot.title, "url": make_proxy(example.picture.pixels, THUMBNAIL_SIDE)[0]}
