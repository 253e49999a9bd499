"""Figures for Prometheus: requests, their time, the queue. Each app has a registry of its own."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from sqlalchemy import func, select

from pneumoscope.server.dicom.calling.outbound_queue import count_items
from pneumoscope.server.storage.database import Store
from pneumoscope.server.storage.tables import Image, StoredPrediction, Study

CONTENT_TYPE = CONTENT_TYPE_LATEST


class Metrics:
    """The figures of one server; no label is an identifier of a study, a patient or a person."""

    def __init__(self, store: Store) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "pneumoscope_requests", "Requests answered", ["method", "route", "status"], registry=self._registry
        )
        self._seconds = Histogram(
            "pneumoscope_request_seconds", "Time to answer", ["method", "route"], registry=self._registry
        )
        self._registry.register(_StoreCollector(store))

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one answered request."""
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(method, route).observe(seconds)

    def text(self) -> bytes:
        """Return all figures in Prometheus's text format."""
        return generate_latest(self._registry)


class _StoreCollector(Collector):
    """Figures that are read from the store when Prometheus asks for them."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def describe(self) -> list[Any]:
        return []

    def collect(self) -> Iterator[GaugeMetricFamily]:
        with self._store.read() as session:
            states = session.execute(
                select(StoredPrediction.model, StoredPrediction.state, func.count()).group_by(
                    StoredPrediction.model, StoredPrediction.state
                )
            ).all()
            priors = select(Study.id).where(Study.prior.is_(True))
            counts = {
                "studies": session.scalar(select(func.count(Study.id)).where(Study.prior.is_(False))),
                "images": session.scalar(select(func.count(Image.id)).where(Image.study.not_in(priors))),
            }
            waiting = count_items(session)
        predictions = GaugeMetricFamily(
            "pneumoscope_predictions", "Predictions in the store", labels=["model", "state"]
        )
        for model, state, count in states:
            predictions.add_metric([model[:12], state], count)
        yield predictions
        outbound = GaugeMetricFamily(
            "pneumoscope_outbound", "Results that go, or went, to archives", labels=["destination", "state"]
        )
        for destination, by_state in waiting.items():
            for state, count in by_state.items():
                outbound.add_metric([destination, state], count)
        yield outbound
        for name, number in counts.items():
            yield GaugeMetricFamily(f"pneumoscope_{name}", f"{name.capitalize()} in the store", value=number or 0)
        free = shutil.disk_usage(self._store.settings.home).free
        yield GaugeMetricFamily("pneumoscope_disk_free_bytes", "Free space for the store", value=free)
