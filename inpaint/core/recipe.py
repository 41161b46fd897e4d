"""The recipe: all that made a result, as data that a file can carry. Knows no file format and no model.

The mask travels beside it as a picture of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from inpaint.core.request import EditRequest, SamplingParams

RECIPE_VERSION = 1


@dataclass(frozen=True)
class Recipe:
    """One candidate's recipe. work_area: what was asked ("auto", "full" or [L, T, W, H]), upload pixels.

    environment: what sameness depends on besides (versions, device, dtype, threads), as text.
    """

    model: str
    sampling: SamplingParams
    grow: int = 0
    feather: int = 0
    work_area: str | list[int] = "auto"
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    version: int = RECIPE_VERSION

    @classmethod
    def of_edit(cls, request: EditRequest, environment: Mapping[str, str]) -> Recipe:
        area = request.work_area if isinstance(request.work_area, str) else request.work_area.as_list()
        return cls(request.model, request.sampling, request.grow, request.feather, area, environment)

    def as_dict(self) -> dict[str, object]:
        """Plain data, ready for JSON; controls that the model does not have are left out."""
        plain = asdict(self)
        plain["sampling"] = {name: value for name, value in plain["sampling"].items() if value is not None}
        return plain
