"""An audit as a list of steps: read the images, change them, probe what the model knows, judge, write the pages."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from pneumoscope.auditing.answers import AnswerStore
from pneumoscope.auditing.heatmaps import judge_heatmaps, judge_pointing
from pneumoscope.auditing.images import AuditSet, choose_rows, positives_of, read_audit_set
from pneumoscope.auditing.markers import BORDER_CELLS, LOCATED_IMAGES, exchange_corners, locate_marker
from pneumoscope.auditing.observations import Observations, load_untrained, observe
from pneumoscope.auditing.page import draw_pictures, render_audit_page
from pneumoscope.auditing.perturbations import PERTURBATIONS
from pneumoscope.auditing.refusals import check_external, check_groups, check_options, check_origins
from pneumoscope.auditing.removals import run_perturbations
from pneumoscope.auditing.result import Audit, AuditTest, SitePrediction
from pneumoscope.auditing.sites import by_site, judge_elsewhere, judge_new_site, predict_from, read_origins, sites_of
from pneumoscope.auditing.source_probe import judge_sources
from pneumoscope.auditing.subgroups import judge_subgroups
from pneumoscope.auditing.verdicts import conclude, require_signal
from pneumoscope.bundle import evidence
from pneumoscope.bundle.lungs import builtin_lungs
from pneumoscope.bundle.runtime import Model, ModelInput, model_of
from pneumoscope.core.arguments import check_arguments, check_least
from pneumoscope.core.callbacks import SILENT, Callbacks
from pneumoscope.core.engine import Engine
from pneumoscope.core.engines import check_engine, open_engine
from pneumoscope.core.files import write_text
from pneumoscope.data.manifest import Manifest
from pneumoscope.inference.evaluation import group_sentence
from pneumoscope.recipes.recipe import Recipe, load_recipe
from pneumoscope.recipes.starting_weights import choose_weights
from pneumoscope.reporting.pages.run_report import rewrite_reports
from pneumoscope.stats.auroc_interval import estimate_auroc
from pneumoscope.stats.estimates import Estimate
from pneumoscope.stats.metrics import group_index
from pneumoscope.workflows.findings import cases_of, choose_finding, finding_of

LEAST_IMAGES = 40
PERMUTATIONS = 99
SYNTHETIC = "synthetic"
"""How the names of sources of drawn images begin."""
JSON, PAGE = "audit.json", "audit.html"


@check_arguments
def audit(
    model: ModelInput,
    data: Manifest | str | Path,
    out: str | Path | None = None,
    *,
    part: str = "validation",
    images: int = 400,
    roots: Mapping[str, str | Path] | None = None,
    seed: int = 0,
    workers: int | None = None,
    examples: int | None = None,
    retrain: bool = False,
    origins: str | Path | None = None,
    external: str | Path | None = None,
    finding: str | None = None,
    keep_evidence: bool = True,
    engine: str = "local",
    address: str | None = None,
    command: str = "pneumoscope.audit",
    callbacks: Callbacks = SILENT,
) -> Audit:
    """Find out what a model's answers rest on, and say in one word whether it can be trusted with the question.

    Each test has an effect with an interval, a margin that was stated before, and one verdict: pass, caution, fail or
    not identifiable. Images of the part ``test`` are never used. The same call goes on with an audit that was stopped.

    Args:
        model: A loaded model, the folder of a bundle or of a run, or "builtin", "opacity" or "covid" of the package.
        data: The manifest or its file. The images should be ones that the model did not learn from.
        out: Folder for ``audit.json``, ``audit.html`` and the answers so far; None writes nothing there.
        part: "validation", "calibration", "train" or "all", which leaves out the part test.
        images: Most images, 40 or more; groups are left out at random above that.
        roots: Source -> folder, where a source has moved since the manifest was written.
        seed: Decides which images, donors and pixels.
        workers: Images at a time; None: the cores that this process may use.
        examples: Images of either class that the page shows, as they are and changed. They are patients' radiographs,
            so None shows none.
        retrain: Leave out each site in turn and learn from the others, to predict the AUROC at a site not seen. It
            needs torch, and a recipe that starts from weights; a regression on their features stands for the network.
        origins: CSV file with the columns ``file`` and ``origin``: where images of a compiled archive came from. An
            origin is a site, as is a source.
        external: Manifest of another site, which the model has not seen; its part test is left out.
        finding: Of a multi-label model: the label to audit, on the images of which it is stated.
        keep_evidence: Add the verdict to the evidence about the bundle, and to its ``CARD.md`` and report. An audit
            that is "not identifiable" or that used drawn images is never kept: it says nothing about the model.
        engine: "local": threads of this process; "ray": processes of this machine or of a cluster, each with its own
            model. Either goes on where the other was stopped.
        address: Of a Ray cluster, see `pneumoscope.predict`.
        command: How the audit was asked for, for the record.
        callbacks: Receive the progress.

    Returns:
        The verdict, its reason, and every test.

    Raises:
        UsageError: Fewer than 40 images, ``retrain`` with a recipe that starts from random weights, or a multi-label
            model without ``finding``.
        WeightsError: ``retrain``, and the recipe's starting weights are not here.
        BundleError: The bundle is incomplete or altered.
        ManifestError: The part has no rows of the model's classes, or an image is not the one that was imported.

    Example:
        >>> ps.audit("runs/flagship", "manifest.parquet", "runs/flagship-audit").verdict
    """
    check_least(LEAST_IMAGES, images=images)
    check_least(1, workers=workers, examples=examples)
    check_least(0, seed=seed)
    check_engine(engine, address)
    folder = None if out is None else Path(out)
    check_options(part, folder, None if origins is None else Path(origins))
    started = time.perf_counter()
    loaded = choose_finding(model_of(model), finding)
    manifest = cases_of(data if isinstance(data, Manifest) else Manifest.read(data, roots), loaded)
    rows = choose_rows(manifest, loaded.card, part, images, seed)
    check_groups(rows, loaded.card)
    table = {} if origins is None else read_origins(Path(origins))
    if origins is not None:
        check_origins(table, manifest)
    there = None if external is None else cases_of(Manifest.read(external, roots), loaded)
    if there is not None:
        check_external(there, manifest)
        there = choose_rows(there, loaded.card, "all", images, seed, "the manifest of `external`")
    recipe = _recipe_to_retrain(loaded) if retrain else None
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)  # a folder that cannot be written shows now, not after the work
    with open_engine(engine, workers=workers, address=address, on_note=callbacks.message) as machines:
        with callbacks.counting("reading images", len(rows)) as advance:
            chosen = read_audit_set(
                rows,
                loaded.card,
                builtin_lungs,
                seed=seed,
                engine=machines,
                advance=advance,
                cut_borders=loaded.card.cuts_borders,
            )
        run = _Run(loaded, chosen, folder, seed, machines, callbacks)
        learnt = run.observe_intact()
        intact = estimate_auroc(learnt.score, chosen.positive, chosen.group)
        tests = [require_signal(test, intact) for test in (*run.change_inputs(learnt), *run.probe(learnt))]
        prediction = run.retrain(recipe, manifest, table) if recipe is not None else run.predict_site(learnt, table)
        if there is not None:
            tests.append(run.measure_elsewhere(there, intact))
        tests.append(judge_new_site(prediction, len(chosen), len(np.unique(chosen.group))))
    verdict, reason = conclude(tests, intact)
    result = Audit(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        command=command,
        model=f"{loaded.card.name} {loaded.card.version}",
        identity=loaded.identity,
        finding=finding_of(loaded),
        classes=loaded.labels,
        part=part,
        data=rows.rows_hash(),
        images=len(chosen),
        groups=len(np.unique(chosen.group)),
        class_images={str(name): int(n) for name, n in rows.table["label"].value_counts().items()},
        sources={str(name): int(n) for name, n in rows.table["source"].value_counts().items()},
        group_sentence=group_sentence(rows.group_kind),
        seed=seed,
        intact=intact,
        verdict=verdict,
        reason=reason,
        prediction=prediction,
        tests=tuple(tests),
        notes=_notes(loaded, chosen),
        seconds=round(time.perf_counter() - started, 1),
    )
    if folder is not None:
        write_text(folder / JSON, result.to_json())
        write_text(folder / PAGE, render_audit_page(result, draw_pictures(loaded, chosen, examples or 0)))
    if keep_evidence and (why_not := why_no_evidence(result, rows)):
        callbacks.message(f"No evidence about this model is kept: {why_not}")
    elif keep_evidence:
        path = evidence.append(loaded.folder, _fact_of(result))
        callbacks.message(f"The verdict is evidence about this model: {path}")
        rewrite_reports(loaded.folder)
    return result


@dataclass(frozen=True)
class _Run:
    """One audit under way: the steps share the model, the images and how to report."""

    model: Model
    images: AuditSet
    folder: Path | None
    seed: int
    engine: Engine
    callbacks: Callbacks

    def observe_intact(self) -> Observations:
        with self.callbacks.counting("intact images", len(self.images)) as advance:
            return observe(self.model.run, self.images, self.engine, advance)

    def change_inputs(self, learnt: Observations) -> list[AuditTest]:
        store = AnswerStore(self.model, self.images, self.folder and self.folder / "answers", self.engine)
        count = len(self.images)
        lungs = int(self.images.with_lungs.sum())
        total = sum(lungs if change.needs_lungs else count for change in PERTURBATIONS.values()) + 2 * count
        with self.callbacks.counting("changed images", total) as advance:
            tests = run_perturbations(
                store,
                self.images,
                learnt.score,
                threshold=self.model.card.operating_point.threshold,
                seed=self.seed,
                advance=advance,
            )
            tests.append(exchange_corners(store, self.images, seed=self.seed, advance=advance))
        with self.callbacks.counting(
            "searching the border", 2 * len(BORDER_CELLS) * min(count, LOCATED_IMAGES)
        ) as advance:
            marker = locate_marker(store, self.images, seed=self.seed, advance=advance)
        # A marker that can be named is the better reason, so that it comes first.
        return [marker, *tests] if marker.verdict == "fail" else [*tests, marker]

    def probe(self, learnt: Observations) -> list[AuditTest]:
        untrained = None
        if (answer := load_untrained(self.model, self.seed)) is not None:
            with self.callbacks.counting("random weights", len(self.images)) as advance:
                untrained = observe(answer, self.images, self.engine, advance)
        names, source = np.unique(self.images.rows.table["source"].to_numpy(dtype=str), return_inverse=True)
        with self.callbacks.counting("permutations", PERMUTATIONS) as advance:
            probed = judge_sources(
                self.images,
                source.reshape(-1),
                tuple(str(name) for name in names),
                learnt.embedding,
                None if untrained is None else untrained.embedding,
                permutations=PERMUTATIONS,
                seed=self.seed,
                advance=advance,
            )
        tests = [probed, judge_heatmaps(self.images, learnt, untrained)]
        if np.isfinite(learnt.boxed[self.images.positive]).any():
            tests.append(judge_pointing(self.images, learnt, untrained))
        return [*tests, judge_subgroups(self.images, learnt.score)]

    def measure_elsewhere(self, rows: Manifest, intact: Estimate) -> AuditTest:
        with self.callbacks.counting("another site", len(rows)) as advance:
            there = read_audit_set(
                rows,
                self.model.card,
                None,
                seed=self.seed,
                engine=self.engine,
                advance=advance,
                cut_borders=self.model.card.cuts_borders,
            )
        with self.callbacks.counting("its answers", len(rows)) as advance:
            score = observe(self.model.run, there, self.engine, advance).score
        return judge_elsewhere(estimate_auroc(score, there.positive, there.group), intact, there)

    def retrain(self, recipe: Recipe, manifest: Manifest, origins: Mapping[str, str]) -> SitePrediction | None:
        from pneumoscope.auditing import retraining  # here: it needs torch

        known = manifest.table["label"].isin([m for label in self.model.card.labels for m in label.members])
        rows = manifest.where(known)
        positive, site = positives_of(rows, self.model.card), sites_of(rows, origins)
        used = retraining.even_out_sites(rows, positive, site, self.seed)
        rows, positive, site = rows.where(used), positive[used], site[used]
        with self.callbacks.counting("features of the backbone", len(rows)) as advance:
            features = retraining.pooled_features(recipe, rows, self.folder, advance)
        group = group_index(rows.table["group"].to_numpy(dtype=str))
        return predict_from(
            retraining.leave_one_site_out(features, positive, group, site),
            f"Leave one site out: a regression on features of {recipe.network.name} with its starting weights, learnt "
            f"from {len(rows)} images of {len(np.unique(site))} sites without the one that it is measured at.",
        )

    def predict_site(self, learnt: Observations, origins: Mapping[str, str]) -> SitePrediction | None:
        site = sites_of(self.images.rows, origins)
        sites = by_site(learnt.score, self.images.positive, self.images.group, list(site))
        return predict_from(
            sites,
            "AUROC of this model on images of each source that it did not learn from. It may have learnt from other "
            "images of the same sources, so that the truth is lower.",
        )


def _recipe_to_retrain(model: Model) -> Recipe:
    from pneumoscope.auditing import retraining  # here: it needs torch

    recipe = load_recipe(str(model.folder / "recipe.yaml"))
    retraining.check_recipe(recipe)
    return choose_weights(recipe)


def _fact_of(audited: Audit) -> evidence.AuditFact:
    return evidence.AuditFact(
        bundle=audited.identity,
        time=audited.created,
        verdict=audited.verdict,
        passed=audited.verdict == "pass",
        reason=audited.reason,
        new_site="" if audited.prediction is None else audited.prediction.sentence,
        data=audited.data,
        part=audited.part,
        images=audited.images,
        finding=audited.finding,
        tests={test.name: test.verdict for test in audited.tests},
        effects={test.name: test.effect for test in audited.tests},
        command=audited.command,
    )


def why_no_evidence(audited: Audit, rows: Manifest) -> str:
    """Return why an audit is no evidence about its model, so that it must not hide an earlier one; empty if it is.

    Args:
        audited: The audit.
        rows: Its images.
    """
    if rows.table["source"].str.startswith(SYNTHETIC).any():
        return "the audit used drawn images, which say nothing about radiographs."
    if audited.verdict == "not identifiable":
        return "the audit could not judge the model, which says nothing about it."
    return ""


def _notes(model: Model, images: AuditSet) -> tuple[str, ...]:
    """Return what a reader must know beside the verdicts."""
    notes = []
    if model.card.synthetic or images.rows.table["source"].str.startswith(SYNTHETIC).all():
        notes.append("Drawn images, no patients: this audit shows how the audit works, and nothing about radiographs.")
    if training := int((images.rows.table["split"] == "train").sum()):
        notes.append(
            f"{training} images are of the part train: a model that learnt them by heart looks better on them."
        )
    if drawn := len(images) - images.outlined:
        notes.append(
            f"Lungs of {drawn} images are outlined by the lungs graph; dense lungs may lie outside its outline."
        )
    if missing := int((~images.with_lungs).sum()):
        notes.append(f"On {missing} images no lungs were found; tests of the lungs leave these out.")
    return tuple(notes)
