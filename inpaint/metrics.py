"""Metrics of the server in Prometheus' format. Labels are models and states; prompts and people never appear."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

from inpaint.engines.memory.budget import allocated_bytes
from inpaint.jobs.job import Job
from inpaint.jobs.worker import Worker
from inpaint.models.catalog import Models
from inpaint.saving import Saved

SECONDS = (0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000)
"""Bounds of the histogram's buckets. An erase takes half a second, a large edit on a CPU a quarter of an hour."""


class Metrics:
    """The metrics of one server."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._jobs = Counter("inpaint_jobs", "Jobs that ended.", ["model", "state"], registry=self._registry)
        self._stages = Histogram(
            "inpaint_stage_seconds", "Seconds by stage of finished jobs.", ["model", "stage"], buckets=SECONDS, registry=self._registry
        )
        self._waiting = Gauge("inpaint_queue_length", "Jobs that wait.", registry=self._registry)
        self._unfinished = Gauge("inpaint_jobs_unfinished", "Jobs that wait or run now.", ["state"], registry=self._registry)
        self._available = Gauge("inpaint_models_available", "Models that can run now.", registry=self._registry)
        self._memory = Gauge("inpaint_device_memory_bytes", "Memory that tensors take on the GPU.", ["device"], registry=self._registry)
        self._weights = Gauge("inpaint_weights_bytes", "Weights of models where they compute.", registry=self._registry)

    def watch(self, worker: Worker, models: Models) -> None:
        """Connects the gauges that read the worker and the models each time they are scraped."""
        self._waiting.set_function(lambda: worker.queue_length)
        self._unfinished.labels("waiting").set_function(lambda: worker.queue_length)
        self._unfinished.labels("running").set_function(lambda: worker.is_busy)
        self._weights.set_function(lambda: models.residency.used)
        device = models.residency.device
        self._memory.labels(device).set_function(lambda: allocated_bytes(device))
        self._available.set_function(lambda: sum(map(models.is_available, models.specs.values())))

    def interrupted(self, model: str) -> None:
        """Counts a job that an earlier server began and never ended."""
        self._jobs.labels(model, "interrupted").inc()

    def ended(self, job: Job[Saved]) -> None:
        self._jobs.labels(job.cost.model, job.state).inc()
        for stage, seconds in (job.result.report.seconds if job.result else {}).items():
            self._stages.labels(job.cost.model, stage).observe(seconds)

    def text(self) -> bytes:
        """Returns all metrics in Prometheus' exposition format, version 0.0.4."""
        return generate_latest(self._registry)
