"""What page, HTTP and command line share: plain values become a request, a job, and then files and a report.

The seed is drawn here, once. This module knows no widgets and no flags.
"""

from __future__ import annotations

import contextlib
import logging
import math
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from inpaint.config.settings import AppConfig
from inpaint.core.masks.doubts import mask_doubts
from inpaint.core.masks.mask import Mask
from inpaint.core.picture import Picture
from inpaint.core.plan import EditPlan, plan_request, plan_whole
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
from inpaint.core.spec import ModelSpec, Task
from inpaint.core.words.vocabulary import vocabulary_notices
from inpaint.errors import BadMask, EmptyMask, InvalidRequest, ModelUnavailable
from inpaint.hub import weights
from inpaint.jobs.eta import Pace
from inpaint.jobs.executors import InThread
from inpaint.jobs.job import Executor, Job, State
from inpaint.jobs.work import EditWork, GenerateWork, ReimagineWork, Work, cost_of
from inpaint.jobs.worker import Worker
from inpaint.metrics import Metrics
from inpaint.models.catalog import Models
from inpaint.saving import Destination, ResultsFolder, Saved
from inpaint.storage.journal import Journal
from inpaint.storage.quota import Housekeeper, uploads_folder
from inpaint.storage.results import new_results, save_picture
from inpaint.storage.space import Space
from inpaint.storage.unsaved import Shelf

Values = Mapping[str, object]
log = logging.getLogger(__name__)
DEFAULT_FEATHER = 6


class JobRecords:
    """Records the beginning and end of each job in the metrics and, on a server, in the journal of running jobs."""

    def __init__(self, journal: Journal | None, metrics: Metrics) -> None:
        self._journal, self._metrics = journal, metrics
        self._server = secrets.token_hex(4)
        for left in journal.take_interrupted() if journal else []:
            log.warning("an earlier server was stopped in the middle of a job", extra={"job": left.job, "model": left.model})
            metrics.interrupted(left.model)

    def on_state(self, job: Job[Any], state: State) -> None:
        """Records a job's new state. The worker calls it on its own threads, so files may be written here."""
        name = f"{self._server}-{job.number}"
        if state != "running":
            self._metrics.ended(job)
        if self._journal is not None and state == "running":
            self._journal.begin(name, job.cost.model, time.time())
        elif self._journal is not None:
            self._journal.end(name)


@dataclass(frozen=True)
class Service:
    """The parts of the app, built once and passed to whoever needs them."""

    config: AppConfig
    models: Models
    worker: Worker
    metrics: Metrics
    housekeeper: Housekeeper
    space: Space
    shelf: Shelf

    @classmethod
    def build(
        cls,
        config: AppConfig,
        journal: Journal | None = None,
        executor: Callable[[Models, Pace], Executor] = lambda models, pace: InThread(models),
    ) -> Service:
        """Builds the service and its parts.

        journal: of a server, where jobs may be abandoned. The command line has none, no time limit, and nobody who could
        leave. executor: makes the executor that runs the work, from the models and the pace of past jobs.
        """
        models, metrics, pace = Models(config), Metrics(), Pace()
        records = JobRecords(journal, metrics)
        queue = config.settings.queue if journal else replace(config.settings.queue, job_seconds=math.inf, away_seconds=math.inf)
        worker = Worker(executor(models, pace), queue, records.on_state, pace)
        metrics.watch(worker, models)
        folders = (
            (config.data_dir, uploads_folder(config.data_dir)) if journal else ()
        )  # the command line writes to the files that it is given
        space = Space(folders, config.settings.storage.free_megabytes)
        return cls(config, models, worker, metrics, Housekeeper(config.data_dir, config.settings.storage), space, Shelf())

    def bring_default(self) -> None:
        """Loads the default model for edits with a prompt, on the calling thread. Does nothing if none is on this machine."""
        with contextlib.suppress(ModelUnavailable):
            self.models.bring(self.models.default("inpaint", has_prompt=True).spec, "inpaint", lambda progress: None)

    def edit_request(self, picture: Picture, mask: Mask, values: Values) -> EditRequest:
        """Builds the request of an edit.

        values: the parameters of the HTTP contract by name; None or absent = not given. Raises InvalidRequest, EmptyMask,
        ModelUnavailable.
        """
        _refuse_later_work(values)
        prompt = clean_prompt("prompt", values.get("prompt"))
        spec, notices = self._edit_spec(values.get("model"), prompt)
        grow, feather = _band(values)
        count = _count(values)
        request = EditRequest(
            picture,
            _checked_mask(mask, picture, values),
            spec.name,
            resolve_sampling(spec, _seed(values, count), _sampling(values)),
            count,
            grow,
            feather,
            parse_work_area(values.get("work_area")),
            (*notices, *mask.notices, *mask_doubts(mask), *vocabulary_notices(spec, prompt)),
        )
        self._need(spec, "inpaint")
        return request

    def generate_request(self, values: Values) -> GenerateRequest:
        """Builds the request of a generation from the HTTP contract's parameters by name. Raises InvalidRequest, ModelUnavailable."""
        spec = self.models.spec(values.get("model") or self._handiest("generate"), "generate")
        prompt = clean_prompt("prompt", values.get("prompt"))
        if not prompt:
            raise InvalidRequest("prompt", "The prompt is empty.", "Say what the picture should show.")
        count = _count(values)
        request = GenerateRequest(
            spec.name, resolve_sampling(spec, _seed(values, count), _sampling(values)), count, vocabulary_notices(spec, prompt)
        )
        self._need(spec, "generate")
        return request

    def reimagine_request(self, picture: Picture, values: Values) -> ReimagineRequest:
        """Builds the request of a reimagination from the HTTP contract's parameters by name. Raises InvalidRequest, ModelUnavailable."""
        spec = self.models.spec(values.get("model") or self._handiest("image-to-image"), "image-to-image")
        count = _count(values)
        sampling = resolve_sampling(spec, _seed(values, count), _sampling(values))
        request = ReimagineRequest(picture, spec.name, sampling, count, vocabulary_notices(spec, sampling.prompt))
        self._need(spec, "image-to-image")
        return request

    def plan(self, request: EditRequest) -> EditPlan:
        """Returns how the model would see the picture, before anything runs. Raises EmptyMask, InvalidRequest."""
        return plan_request(request, self.models.limits(self.models.spec(request.model, "inpaint")))

    def start_edit(
        self, request: EditRequest, person: str, page_id: str = "", plan: EditPlan | None = None, destination: Destination | None = None
    ) -> Job[Saved]:
        """Queues an edit. The job keeps the request and sees no later change.

        page_id: the page it comes from, if any. destination: where to save the result; by default a server's results folder.
        Raises Busy, StorageFull, MachineError, EmptyMask, InvalidRequest.
        """
        save = destination or self.results_folder(request.picture.name)
        return self._start(EditWork(request, plan or self.plan(request)), person, page_id, lambda result: save(result, request))

    def start_generate(
        self, request: GenerateRequest, person: str, page_id: str = "", name: str = "", destination: Destination | None = None
    ) -> Job[Saved]:
        """Queues a generation. name: what its files are named after, by default the model. Raises Busy, StorageFull, MachineError."""
        save = destination or self.results_folder(name or request.model)
        return self._start(GenerateWork(request), person, page_id, lambda result: save(result, None))

    def start_reimagine(
        self, request: ReimagineRequest, person: str, page_id: str = "", name: str = "", destination: Destination | None = None
    ) -> Job[Saved]:
        """Queues a reimagination. name: what its files are named after, by default the picture.

        Raises Busy, StorageFull, MachineError, InvalidRequest.
        """
        limits = self.models.limits(self.models.spec(request.model, "image-to-image"))
        save = destination or self.results_folder(name or request.picture.name)
        work = ReimagineWork(request, plan_whole(request.picture.extent, limits))
        return self._start(work, person, page_id, lambda result: save(result, None))

    def keep_picture(self, picture: Picture) -> Path:
        """Writes a picture unchanged among the results, and returns its path. Raises StorageFull."""
        try:
            (path,) = new_results(self.config.data_dir, picture.name, [1])
            return save_picture(picture, path).path
        finally:
            self.housekeeper.sweep_soon()

    def results_folder(self, name: str) -> ResultsFolder:
        """Returns the destination that saves a run on a server, in files named after `name`."""
        return ResultsFolder(self.config.data_dir, self.housekeeper, self.shelf, name)

    def _start(self, work: Work, person: str, page_id: str, save: Callable[[Any], Saved]) -> Job[Saved]:
        self.space.check()
        return self.worker.submit(work, person, page_id, cost_of(work), save)

    def _edit_spec(self, model: object, prompt: str) -> tuple[ModelSpec, tuple[str, ...]]:
        if model not in (None, ""):
            return self.models.spec(model, "inpaint"), ()
        choice = self.models.default("inpaint", bool(prompt))
        return choice.spec, (f"{choice.spec.title} was chosen ({choice.reason}).",)

    def _handiest(self, task: Task) -> str | None:
        """Returns the name of the model that runs this task if none is named; None if no model can."""
        return next((spec.name for spec in self.models.ranked(task)), None)

    def _need(self, spec: ModelSpec, task: Task) -> None:
        """Raises ModelUnavailable if the model is not on this machine. Called last, so that an invalid request is reported as
        such on every machine.
        """
        if not self.models.is_available(spec, task):
            raise weights.missing(spec)


def _sampling(values: Values) -> dict[str, object]:
    return {name: values.get(name) for name in ("prompt", "negative_prompt", "scheduler", *SAMPLING_FIELDS)}


def _seed(values: Values, count: int) -> int:
    """Returns the given seed, or a random one. Candidate k uses seed + k, so the limit leaves room for every candidate."""
    given, highest = values.get("seed"), MAX_SEED - (count - 1)
    return secrets.randbelow(highest + 1) if given is None else whole_number("seed", given, 0, highest)


def _count(values: Values) -> int:
    given = values.get("count")
    return 1 if given is None else whole_number("count", given, 1, MAX_CANDIDATES)


def _band(values: Values) -> tuple[int, int]:
    grow, feather = values.get("grow"), values.get("feather")
    return (
        0 if grow is None else whole_number("grow", grow, -MAX_BAND_PX, MAX_BAND_PX),
        DEFAULT_FEATHER if feather is None else whole_number("feather", feather, 0, MAX_BAND_PX),
    )


def _checked_mask(mask: Mask, picture: Picture, values: Values) -> Mask:
    """Returns the mask to work with, inverted if asked. Raises BadMask, EmptyMask."""
    if mask.extent != picture.extent:
        raise BadMask(f"The mask is {mask.extent}, the picture {picture.extent}.", "A mask must have the size of its picture.")
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
