"""Gradio's theme with this app's colours and sizes. style.css defines the rest of the look."""

from __future__ import annotations

import inspect

import gradio as gr

SYSTEM_FONT = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "Noto Sans", "DejaVu Sans", "sans-serif")
SYSTEM_MONO = ("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "DejaVu Sans Mono", "monospace")


def build_theme() -> gr.themes.Base:
    """Returns the theme. It loads no font from outside; its colours are variables that style.css defines for light and for dark."""
    theme = gr.themes.Base(
        font=SYSTEM_FONT,
        font_mono=SYSTEM_MONO,
        text_size=gr.themes.sizes.text_md,
        spacing_size=gr.themes.sizes.spacing_md,
        radius_size=gr.themes.sizes.radius_md,
    )
    colours = {
        "body_background_fill": "var(--ip-bg)",
        "body_text_color": "var(--ip-ink)",
        "body_text_color_subdued": "var(--ip-ink-soft)",
        "background_fill_primary": "var(--ip-surface)",
        "background_fill_secondary": "var(--ip-bg)",
        "border_color_primary": "var(--ip-line)",
        "border_color_accent": "var(--ip-accent)",
        "color_accent": "var(--ip-accent)",
        "color_accent_soft": "var(--ip-accent-soft)",
        "block_background_fill": "transparent",
        "block_border_color": "transparent",
        "block_label_background_fill": "transparent",
        "block_label_text_color": "var(--ip-ink-soft)",
        "block_title_text_color": "var(--ip-ink-soft)",
        "block_info_text_color": "var(--ip-ink-soft)",
        "input_background_fill": "var(--ip-surface)",
        "input_background_fill_focus": "var(--ip-surface)",
        "input_border_color": "var(--ip-line)",
        "input_border_color_focus": "var(--ip-accent)",
        "input_placeholder_color": "var(--ip-ink-faint)",
        "button_primary_background_fill": "var(--ip-accent-fill)",
        "button_primary_background_fill_hover": "var(--ip-accent-fill-hover)",
        "button_primary_text_color": "var(--ip-on-accent)",
        "button_primary_border_color": "transparent",
        "button_secondary_background_fill": "var(--ip-surface)",
        "button_secondary_background_fill_hover": "var(--ip-hover)",
        "button_secondary_text_color": "var(--ip-ink)",
        "button_secondary_border_color": "var(--ip-line)",
        "slider_color": "var(--ip-accent)",
        "error_background_fill": "var(--ip-surface)",
        "error_text_color": "var(--ip-ink)",
        "loader_color": "var(--ip-accent)",
        "panel_background_fill": "transparent",
    }
    has_dark_twin = set(inspect.signature(theme.set).parameters)
    both = colours | {f"{name}_dark": value for name, value in colours.items() if f"{name}_dark" in has_dark_twin}
    return theme.set(
        **both,
        shadow_drop="none",
        shadow_drop_lg="none",
        block_shadow="none",
        input_shadow="none",
        input_shadow_focus="none",
        block_border_width="0px",
        block_padding="0px",
        layout_gap="16px",
        form_gap_width="0px",
        block_label_border_width="0px",
        panel_border_width="0px",
    )
