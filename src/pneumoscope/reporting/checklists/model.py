"""The topics of the model: network, training, software, output and availability."""

from __future__ import annotations

from pneumoscope.reporting import formatting
from pneumoscope.reporting.checklists.answer import TopicAnswer, answer, answer_partly, leave_open, rule_out
from pneumoscope.reporting.record import Record


def answer_model_topics(record: Record) -> dict[str, TopicAnswer]:
    """Return the topics of the model and its training."""
    card, recipe = record.card, record.recipe
    versions = ", ".join(f"{name} {number}" for name, number in card.software.items())
    licences = formatting.join_names([f"{item.source}: {item.licence}" for item in card.licences])
    in_full = answer(
        f"{formatting.describe_network(recipe)}, {card.parameters:,} parameters; the bundle holds the graph (ONNX) and "
        "the recipe.",
        "training",
    )
    no_recipe = leave_open("the recipe, which this bundle does not hold")
    return {
        "model": in_full,
        "full-model": in_full._replace(text=in_full.text + f" Restrictions by the data's licences: {licences}."),
        "calculation": answer(
            "By the bundle's graph in ONNX Runtime (`pneumoscope predict`), the same as measured here.", "model"
        ),
        "software": answer(versions + ".", "training"),
        "initialisation": no_recipe if recipe is None else answer(formatting.describe_start(recipe), "training"),
        "training": no_recipe
        if recipe is None
        else answer(
            f"{recipe.training.epochs} epochs at most, {recipe.optimizer.kind}, loss {recipe.loss.kind}, seed "
            f"{recipe.training.seed}; all settings are in the recipe, {card.recipe_hash[:12]}.",
            "training",
        ),
        "selection": no_recipe
        if recipe is None
        else answer(
            f"The epoch by {recipe.selection.metric.replace('_', ' ')}; the test part takes no part in it.", "training"
        ),
        "imbalance": no_recipe
        if recipe is None
        else answer(
            f"Class weights: {recipe.loss.class_weights}; sampling: {recipe.training.sampling}. Probabilities are "
            "recalibrated on calibration images that are not resampled.",
            "training",
        ),
        "ensemble": rule_out("One network."),
        "output": answer(
            "A calibrated probability for each class. Thresholds: chosen on the calibration part for stated "
            "sensitivities and by Youden, then frozen.",
            "results",
            "calibration",
        ),
        "updating": answer(
            "Model and thresholds are frozen; beside them stand the figures of recalibrated probabilities, each "
            "patient's fitted to the others.",
            "calibration",
        )
        if record.measured is not None and record.measured.recalibrated is not None
        else rule_out("The model was not changed after its evaluation: its identity is a hash."),
        "technical": answer_partly(
            "The resolved recipe and the hashes of data and division.", "training", to_add="the protocol"
        ),
        "availability": answer_partly(
            f"Software: Pneumoscope, Apache-2.0. Weights: in the bundle, under the data's licences ({licences}).",
            "model",
            to_add="where this bundle and the data are available",
        ),
        "availability-data": answer_partly(
            f"Licences by source: {licences}.", "data", to_add="where the data are available"
        ),
        "availability-code": answer("Pneumoscope, Apache-2.0; the version is under Software.", "training"),
        "explanation": rule_out("The model explains nothing: it has no heatmap.")
        if card.heatmap_size is None
        else answer_partly(
            "A heatmap (HiResCAM) of each class, computed in the graph.",
            "model",
            to_add="whether it points at disease: that was not validated",
        ),
        "fairness": leave_open(
            "what was done about fairness, and figures by sex, age and origin", "No method for it was applied."
        ),
    }
