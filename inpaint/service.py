"""What page, HTTP and command line share: plain values -> request -> job -> files and a report.

The seed is drawn here, once. Knows no widgets and no flags.
"""

from __future__ import annotations

import contextlib
import logging
import math
import secrets
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from inpaint.config.settings import AppConfig
from inpaint.core.composite import changed_outside, looks_the_same
from inpaint.core.masks.doubts import mask_doubts
from inpaint.core.masks.mask import Mask
from inpaint.core.picture import Picture
from inpaint.core.plan import EditPlan, plan_edit, plan_whole
from inpaint.core.request import (
    MAX_BAND_PX,
    MAX_CANDIDATES,
    MAX_SEED,
    SAMPLING_FIELDS,
    EditRequest,
    GenerateRequest,
    ReimagineRequest,
    clean_prompt,
    parse_work_area,
    resolve_sampling,
    whole_number,
)
from inpaint.core.result import EditResult
from inpaint.core.spec import ModelSpec, Task
from inpaint.core.words.vocabulary import vocabulary_notices
from inpaint.errors import BadMask, EmptyMask, InvalidRequest, ModelUnavailable
from inpaint.hub import weights
from inpaint.jobs.executors import InThread
from inpaint.jobs.queue import Pace
from inpaint.jobs.work import EditWork, GenerateWork, ReimagineWork, Work, cost_of
from inpaint.jobs.worker import Executor, Job, State, Worker
from inpaint.metrics import Metrics
from inpaint.models.catalog import Models
from inpaint.storage.journal import Journal
from inpaint.storage.quota import Housekeeper, uploads_folder
from inpaint.storage.results import Saved, new_results, save_picture
from inpaint.storage.space import Space
from inpaint.storage.unsaved import Shelf

Values = Mapping[str, object]
log = logging.getLogger(__name__)
DEFAULT_FEATHER = 6


class Begun:
    """Passes what the worker tells to the metrics and, on a server, to the journal of running jobs."""

    def __init__(self, journal: Journal | None, metrics: Metrics) -> None:
        self._journal, self._metrics = journal, metrics
        self._server = secrets.token_hex(4)
        for left in journal.take_interrupted() if journal else []:
            log.warning("an earlier server was stopped in the middle of a job", extra={"job": left.job, "model": left.model})
            metrics.interrupted(left.model)

    def watch(self, job: Job[Any], state: State) -> None:
        name = f"{self._server}-{job.number}"
        if state != "running":
            self._metrics.ended(job)
        if self._journal is not None and state == "running":
            self._journal.begin(name, job.cost.model, time.time())
        elif self._journal is not None:
            self._journal.end(name)


@dataclass(frozen=True)
class Service:
    """The parts, built once by app.py or cli.py and handed in."""

    config: AppConfig
    models: Models
    worker: Worker
    metrics: Metrics
    housekeeper: Housekeeper
    space: Space
    shelf: Shelf

    @classmethod
    def build(cls, config: AppConfig, journal: Journal | None = None,
              executor: Callable[[Models, Pace], Executor] = lambda models, pace: InThread(models)) -> Service:
        """journal: of a server, which outlives its jobs; the command line has none, no limit of time, and nobody who could leave.

        executor: makes the one that runs the work, from the models and what past jobs took.
        """
        models, metrics, pace = Models(config), Metrics(), Pace()
        begun = Begun(journal, metrics)
        queue = config.settings.queue if journal else replace(config.settings.queue, job_seconds=math.inf, away_seconds=math.inf)
        worker = Worker(executor(models, pace), queue, begun.watch, pace)
        metrics.watch(worker, models)
        folders = (config.data_dir, uploads_folder(config.data_dir)) if journal else ()  # a command line writes to a place of its own
        space = Space(folders, config.settings.storage.free_megabytes)
        return cls(config, models, worker, metrics, Housekeeper(config.data_dir, config.settings.storage), space, Shelf())

    def bring_default(self) -> None:
        """Load the model of an edit from words now, on the thread that calls; none where none is on this machine."""
        with contextlib.suppress(ModelUnavailable):
            self.models.bring(self.models.default("inpaint", has_prompt=True).spec, "inpaint", lambda progress: None)

    def edit_request(self, picture: Picture, mask: Mask, values: Values) -> EditRequest:
        """values: the parameters of the HTTP contract by name; None or absent = not given. Raises InvalidRequest,
        EmptyMask, ModelUnavailable."""
        _refuse_later_work(values)
        prompt = clean_prompt("prompt", values.get("prompt"))
        spec, notices = self._edit_spec(values.get("model"), prompt)
        grow, feather = _band(values)
        count = _count(values)
        request = EditRequest(picture, _checked_mask(mask, picture, values), spec.name,
                              resolve_sampling(spec, _seed(values, count), _sampling(values)),
                              count, grow, feather, parse_work_area(values.get("work_area")),
                              (*notices, *mask.notices, *mask_doubts(mask), *vocabulary_notices(spec, prompt)))
        self._need(spec, "inpaint")
        return request

    def generate_request(self, values: Values) -> GenerateRequest:
        """Raises InvalidRequest, ModelUnavailable."""
        spec = self.models.spec(values.get("model") or self._handiest("generate"), "generate")
        prompt = clean_prompt("prompt", values.get("prompt"))
        if not prompt:
            raise InvalidRequest("prompt", "The prompt is empty.", "Say what the picture should show.")
        count = _count(values)
        request = GenerateRequest(spec.name, resolve_sampling(spec, _seed(values, count), _sampling(values)), count,
                                  vocabulary_notices(spec, prompt))
        self._need(spec, "generate")
        return request

    def reimagine_request(self, picture: Picture, values: Values) -> ReimagineRequest:
        """Raises InvalidRequest, ModelUnavailable."""
        spec = self.models.spec(values.get("model") or self._handiest("image-to-image"), "image-to-image")
        count = _count(values)
        sampling = resolve_sampling(spec, _seed(values, count), _sampling(values))
        request = ReimagineRequest(picture, spec.name, sampling, count, vocabulary_notices(spec, sampling.prompt))
        self._need(spec, "image-to-image")
        return request

    def plan(self, request: EditRequest) -> EditPlan:
        """What would be done, before anything runs. Raises EmptyMask, InvalidRequest."""
        return plan_edit(request, self.models.limits(self.models.spec(request.model, "inpaint")))

    def start_edit(self, request: EditRequest, person: str, seat: str = "", plan: EditPlan | None = None) -> Job[EditResult]:
        """Queue an edit; the job keeps the request and sees no later change. seat: the page it comes from, if any.

        Raises Busy, StorageFull, MachineError, EmptyMask, InvalidRequest.
        """
        return self._start(EditWork(request, plan or self.plan(request)), person, seat)

    def start_generate(self, request: GenerateRequest, person: str, seat: str = "") -> Job[EditResult]:
        """Queue a generation. Raises Busy, MachineError."""
        return self._start(GenerateWork(request), person, seat)

    def start_reimagine(self, request: ReimagineRequest, person: str, seat: str = "") -> Job[EditResult]:
        """Queue a picture made anew. Raises Busy, MachineError, InvalidRequest."""
        limits = self.models.limits(self.models.spec(request.model, "image-to-image"))
        return self._start(ReimagineWork(request, plan_whole(request.picture.extent, limits)), person, seat)

    @contextlib.contextmanager
    def new_results(self, name: str, seeds: Sequence[int]) -> Generator[list[Path]]:
        """Paths to write the results of one run to. What is too much then leaves, soon. Raises StorageFull."""
        try:
            yield new_results(self.config.data_dir, name, seeds)
        finally:
            self.housekeeper.sweep_soon()

    def _start(self, work: Work, person: str, seat: str) -> Job[EditResult]:
        self.space.check()
        return self.worker.submit(work, person, seat, cost_of(work))

    def _edit_spec(self, model: object, prompt: str) -> tuple[ModelSpec, tuple[str, ...]]:
        if model not in (None, ""):
            return self.models.spec(model, "inpaint"), ()
        choice = self.models.default("inpaint", bool(prompt))
        return choice.spec, (f"{choice.spec.title} was chosen ({choice.reason}).",)

    def _handiest(self, task: Task) -> str | None:
        """Which model runs where none is named."""
        return next((spec.name for spec in self.models.ranked(task)), None)

    def _need(self, spec: ModelSpec, task: Task) -> None:
        """Asked last: a request that is wrong is told so, whatever this machine has."""
        if not self.models.is_available(spec, task):
            raise weights.missing(spec)


def save_edit(request: EditRequest, result: EditResult, paths: Sequence[Path],
              write: Callable[[Picture, Path], Saved] = save_picture) -> dict[str, object]:
    """Write every candidate, then count on the saved files what changed beyond the band, and look whether anything changed at all.
    Returns the report.

    Raises StorageFull.
    """
    saved = [write(candidate.picture, path) for candidate, path in zip(result.candidates, paths, strict=True)]
    same = [k for k, file in enumerate(saved) if looks_the_same(request.picture, file.picture or result.candidates[k].picture)]
    result = replace(result, notices=(*result.notices, *_unchanged_words(same, len(saved))))
    counts = [candidate.changed_outside if file.picture is None
              else changed_outside(request.picture, file.picture, request.mask, request.blend_band_px)
              for candidate, file in zip(result.candidates, saved, strict=True)]
    return _report(result, saved) | {
        "region": {"crop": result.region.crop.as_list(), "working": [result.region.working.width, result.region.working.height]}
        if result.region else None,
        "changed_outside": max(counts), "blend_band_px": result.blend_band_px}


def _unchanged_words(same: Sequence[int], count: int) -> list[str]:
    """Which of the results, counted from 0, nobody could tell from the picture."""
    if len(same) < count:
        return [f"Candidate {k + 1} equals the picture: nothing visible changed inside the mask." for k in same]
    return [f"Nothing visible changed inside the mask: {'the result equals' if count == 1 else 'all results equal'} the picture."]


def save_generated(result: EditResult, paths: Sequence[Path],
                   write: Callable[[Picture, Path], Saved] = save_picture) -> dict[str, object]:
    """Write every candidate. Returns the report. Raises StorageFull."""
    return _report(result, [write(c.picture, path) for c, path in zip(result.candidates, paths, strict=True)])


def band_line(report: Mapping[str, object]) -> str:
    """The sentence that every edit carries."""
    return f"{report['changed_outside']} px changed beyond the {report['blend_band_px']} px blend band"


def notices_of(report: Mapping[str, object]) -> list[str]:
    """What was done otherwise than asked, or is probably not what was meant."""
    told = report["notices"]
    return [str(notice) for notice in told] if isinstance(told, list) else []


def _report(result: EditResult, saved: Sequence[Saved]) -> dict[str, object]:
    settings = {name: getattr(result.sampling, name) for name in ("prompt", "negative_prompt", "scheduler", *SAMPLING_FIELDS)}
    notices = [*result.notices, *(notice for file in saved for notice in file.notices)]
    return {"outputs": [str(file.path) for file in saved], "model": result.model, "seed": result.sampling.seed,
            "seeds": [candidate.seed for candidate in result.candidates],
            "settings": {name: value for name, value in settings.items() if value not in (None, "")},
            "seconds": {stage: round(seconds, 3) for stage, seconds in result.seconds.items()},
            "stopped_at": asdict(result.stopped_at) if result.stopped_at else None,
            "notices": list(dict.fromkeys(notices))}


def _sampling(values: Values) -> dict[str, object]:
    return {name: values.get(name) for name in ("prompt", "negative_prompt", "scheduler", *SAMPLING_FIELDS)}


def _seed(values: Values, count: int) -> int:
    """Candidate k uses seed + k, and each of these is a seed that can be asked for again."""
    given, highest = values.get("seed"), MAX_SEED - (count - 1)
    return secrets.randbelow(highest + 1) if given is None else whole_number("seed", given, 0, highest)


def _count(values: Values) -> int:
    given = values.get("count")
    return 1 if given is None else whole_number("count", given, 1, MAX_CANDIDATES)


def _band(values: Values) -> tuple[int, int]:
    grow, feather = values.get("grow"), values.get("feather")
    return (0 if grow is None else whole_number("grow", grow, -MAX_BAND_PX, MAX_BAND_PX),
            DEFAULT_FEATHER if feather is None else whole_number("feather", feather, 0, MAX_BAND_PX))


def _checked_mask(mask: Mask, picture: Picture, values: Values) -> Mask:
    """The mask to work with, inverted where asked. Raises BadMask, EmptyMask."""
    if mask.extent != picture.extent:
        raise BadMask(f"The mask is {mask.extent}, the picture {picture.extent}.",
                      "A mask must have the size of its picture.")
    chosen = mask.invert() if _flag("invert_mask", values.get("invert_mask")) else mask
    if chosen.is_empty:
        raise EmptyMask(hint=" ".join(mask.notices)) if mask.notices else EmptyMask
    return chosen


def _flag(field: str, value: object) -> bool:
    if value is None or isinstance(value, bool):
        return bool(value)
    raise InvalidRequest(field, f"{field.replace('_', ' ').capitalize()} must be true or false.")


def _refuse_later_work(values: Values) -> None:
    if values.get("tone_match") not in (None, False, "off"):
        raise InvalidRequest("tone_match", "Tone match is not built yet.", "Leave it out, or turn it off.")
