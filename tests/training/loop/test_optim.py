"""Schedules against those of torch, and L-BFGS against scikit-learn's logistic regression."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

from sklearn.linear_model import LogisticRegression  # noqa: E402
from sklearn.preprocessing import StandardScaler  # noqa: E402

from pneumoscope.recipes.recipe import load_recipe, with_changes  # noqa: E402
from pneumoscope.recipes.settings import Schedule  # noqa: E402
from pneumoscope.training.loop.module import loss_of  # noqa: E402
from pneumoscope.training.loop.optim import Plateau, make_optimizer, penalty, rate_factor  # noqa: E402
from pneumoscope.training.networks.build import build  # noqa: E402


def rates(make: object, steps: int) -> list[float]:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = make(optimizer)  # type: ignore[operator]
    found = []
    for _ in range(steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return found


def test_cosine_agrees_with_torch() -> None:
    expected = rates(lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, 40, eta_min=0.01), 40)
    factor = rate_factor(Schedule(kind="cosine", floor=0.01), 40, 10)
    assert [factor(step) for step in range(40)] == pytest.approx(expected)


def test_one_cycle_agrees_with_torch() -> None:
    expected = rates(lambda o: torch.optim.lr_scheduler.OneCycleLR(o, 1.0, total_steps=50, cycle_momentum=False), 50)
    factor = rate_factor(Schedule(kind="one-cycle"), 50, 10)
    assert [factor(step) for step in range(50)] == pytest.approx(expected)


def test_warm_up_rises_in_even_steps_to_the_full_rate() -> None:
    factor = rate_factor(Schedule(kind="constant", warmup_epochs=1), 30, 4)
    assert [factor(step) for step in range(6)] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0, 1.0])


def test_plateau_cuts_after_patience_epochs_without_gain_as_keras_does() -> None:
    """Keras: wait counts epochs without gain and cuts when it reaches patience; worked by hand for patience 2."""
    plateau = Plateau(Schedule(kind="plateau", patience=2, factor=0.3))
    scales = []
    for accuracy in (0.80, 0.85, 0.84, 0.85, 0.86, 0.86, 0.86, 0.86):
        plateau.update(accuracy)
        scales.append(round(plateau.scale, 4))
    assert scales == [1.0, 1.0, 1.0, 0.3, 0.3, 0.3, 0.09, 0.09]


def test_the_plateau_schedule_survives_a_checkpoint() -> None:
    schedule = Schedule(kind="plateau", patience=2, factor=0.5)
    first = Plateau(schedule)
    for value in (0.5, 0.5):
        first.update(value)
    second = Plateau(schedule)
    second.load_state_dict(first.state_dict())
    second.update(0.5)
    assert second.scale == 0.5


def test_lbfgs_finds_the_logistic_regression_of_the_pooled_features() -> None:
    torch.manual_seed(0)
    pooling = ["head.pool=mean-max", "head.standardise=true", "head.kind=linear", "head.hidden=[]", "head.dropout=0"]
    learning = ["network.frozen=true", "optimizer.kind=lbfgs", "optimizer.lr=1", "optimizer.weight_decay=0.15"]
    small = ["network.name=cnn-150", "network.pretrained=null", "input.size=40"]
    recipe = with_changes(load_recipe("vgg16-binary"), [*pooling, *learning, *small])
    model = build(recipe).train()
    with torch.no_grad():
        maps = 30 * model.features(torch.rand(60, 1, 40, 40) ** torch.linspace(0.5, 2, 60).view(-1, 1, 1, 1))
    target = (torch.rand(60) < torch.linspace(0.1, 0.9, 60)).long()
    optimizer = make_optimizer(model, recipe.optimizer)

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = loss_of(recipe, model.to_logits(model.head(maps)), target, None)
        loss = loss + penalty(model, recipe.optimizer)
        loss.backward()
        return loss

    optimizer.step(closure)
    pooled = StandardScaler().fit_transform(torch.cat((maps.mean((2, 3)), maps.amax((2, 3))), 1).numpy())
    expected = LogisticRegression(C=1 / (0.15 * 60), tol=1e-8, max_iter=1000).fit(
        pooled, target.numpy() == model.unit_of
    )
    with torch.no_grad():  # in training mode, whose variances are those of scikit-learn
        scores = model.head(maps)[:, 0].numpy()
    assert scores == pytest.approx(expected.decision_function(pooled), rel=0.01, abs=0.02)
