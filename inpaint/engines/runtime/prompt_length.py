"""Texts that are too long for a model's tokenizer: what the model did not read of them."""

from __future__ import annotations

from typing import Any

from inpaint.core.request import SamplingParams


def words_cut(tokenizer: Any, text: str) -> str:
    """The end of a text that does not fit into the model's tokens, as the model would have read it; "" where all of it fits."""
    limit: int = tokenizer.model_max_length
    tokens = tokenizer(text, verbose=False).input_ids
    return tokenizer.decode(tokens[limit - 1 : -1]).strip() if len(tokens) > limit else ""


def cut_notices(tokenizer: Any, sampling: SamplingParams) -> tuple[str, ...]:
    """A sentence for each text that the model did not read to its end."""
    texts = {"prompt": sampling.prompt, "negative prompt": sampling.negative_prompt or ""}
    cuts = {title: words_cut(tokenizer, text) for title, text in texts.items()}
    return tuple(f'The {title} is too long for the model: it did not read "{words}".' for title, words in cuts.items() if words)
