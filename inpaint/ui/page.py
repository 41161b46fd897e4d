"""The whole page: bar, tabs, HTTP endpoints, and how it is served. Knows no engine's insides."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import gradio as gr
from starlette.middleware import Middleware

from inpaint.config import parse_auth
from inpaint.core.spec import ModelSpec
from inpaint.service import Service
from inpaint.ui import words
from inpaint.ui.edit_handlers import EditHandlers, bind_edit
from inpaint.ui.edit_tab import build_edit_tab
from inpaint.ui.examples import Example, load_examples
from inpaint.ui.generate_handlers import GenerateHandlers, bind_generate
from inpaint.ui.generate_tab import build_generate_tab
from inpaint.ui.guard import Guard
from inpaint.ui.http import bind_http, health_routes
from inpaint.ui.session import Session
from inpaint.ui.stage.stage import Stage, make_proxy
from inpaint.ui.theme import build_theme

HERE = Path(__file__).parent
THUMBNAIL_SIDE = 240
CACHE_SECONDS = 24 * 3600
"""Uploads and served copies older than a day are deleted; results lie elsewhere and are kept."""


QUICK_EVENTS = 16
"""Events that only open, plan or show something run side by side: one person's large photo must not hold up another's brush."""


class Page(gr.Blocks):
    """Blocks that know how they are to be served, so that `demo.launch()` alone gives the whole app (a Space does that)."""

    def __init__(self, service: Service) -> None:
        os.environ.setdefault("GRADIO_TEMP_DIR", str(service.config.data_dir / "cache"))
        super().__init__(title="Inpaint", analytics_enabled=False, delete_cache=(3600, CACHE_SECONDS), fill_width=True)
        self.service = service

    def launch(self, *args: Any, **options: Any) -> Any:
        """Gradio's launch with this app's settings, login, look, limits and routes; every option given wins."""
        results = self.service.config.data_dir / "results"
        limit = self.service.config.settings.pictures.max_file_megabytes
        settings = self.service.config.settings
        auth = parse_auth(settings.auth)
        own: dict[str, Any] = {
            "server_name": settings.host, "server_port": settings.port, "share": settings.share or None, "auth": auth,
            "theme": build_theme(), "css_paths": [HERE / "style.css"], "head_paths": [HERE / "head.html"],
            "allowed_paths": [str(results)], "max_file_size": f"{limit}mb", "run_history": False, "show_error": False,
            "footer_links": [], "pwa": False, "ssr_mode": False,
            "app_kwargs": {"routes": health_routes(self.service), "middleware": [Middleware(Guard, auth=options.get("auth", auth))]},
        }
        return super().launch(*args, **{**own, **options})


def build_page(service: Service) -> Page:
    """The app, ready to launch. Loads no model."""
    editing = [spec for spec in service.models.specs.values() if spec.can("inpaint")]
    generating = [spec for spec in service.models.specs.values() if spec.can("generate")]
    examples = load_examples(service.config.settings.pictures)
    first = service.models.choose("")
    with Page(service) as page:
        session, made = gr.State(Session()), gr.State(())
        with gr.Row(elem_id="bar"):
            gr.HTML('<h1 class="ip-brand">Inpaint</h1>')
            chip = gr.HTML(words.chip_html(first.spec, service.models), elem_id="chip")
            gr.HTML(words.THEME_BUTTON)
        with gr.Tabs(selected="edit", elem_id="tabs") as tabs:
            with gr.Tab("Edit", id="edit"):
                stage = Stage(examples=[_thumbnail(example) for example in examples.values()], render=False)
                note = words.model_html(first.spec, service.models, first.reason)
                edit = build_edit_tab(editing, first.spec, stage, note)
                editor = EditHandlers(service, edit, session, gr.State(first.spec.name), gr.State({}), chip, examples)
            if generating:
                with gr.Tab("Generate", id="generate"):
                    _build_generate(service, generating, made, tabs, editor)
        bind_edit(editor, page)
        bind_http(service)
    page.queue(api_open=False, default_concurrency_limit=QUICK_EVENTS)
    return page


def _build_generate(service: Service, specs: list[ModelSpec], made: gr.State, tabs: gr.Tabs, editor: EditHandlers) -> None:
    tab = build_generate_tab(specs, specs[0], words.model_html(specs[0], service.models))
    bind_generate(GenerateHandlers(service, tab, gr.State(specs[0].name), gr.State({}), made, tabs, editor))


def _thumbnail(example: Example) -> dict[str, str]:
    pixels = example.picture.pixels
    step = max(1, max(pixels.shape[:2]) // THUMBNAIL_SIDE)
    return {"name": example.name, "title": example.title, "url": make_proxy(pixels[::step, ::step])[0]}
