"""OpenVINO answers as ONNX Runtime does, at every size of image."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from pneumoscope.bundle.runtime import load
from pneumoscope.core.errors import UsageError

SIZES = ((100, 150), (299, 299), (1024, 700))


def test_an_unknown_runtime_is_named() -> None:
    with pytest.raises(UsageError, match="Did you mean 'openvino'"):
        load("covid", runtime="openvin")


@pytest.mark.parametrize("name", ["opacity", "covid"])
def test_it_answers_as_onnx_runtime_does(name: str) -> None:
    """A resize without antialiasing would differ by more than .1 in the logits on such images."""
    pytest.importorskip("openvino", reason="no OpenVINO: pip install 'pneumoscope[openvino]'")
    pytest.importorskip("onnx")
    reference, model = load(name, gatekeeper=False), load(name, gatekeeper=False, runtime="openvino")
    images = [np.random.default_rng(k).random(size, dtype=np.float32) for k, size in enumerate(SIZES)]
    with ThreadPoolExecutor(2) as pool:  # a request of OpenVINO is of one thread; a model is shared
        outputs = list(pool.map(model.run, images * 2))
    for pixels, output in zip(images * 2, outputs, strict=True):
        expected = reference.run(pixels)
        np.testing.assert_allclose(output.probabilities, expected.probabilities, atol=1e-5)
        np.testing.assert_allclose(output.logits, expected.logits, atol=1e-3)
        np.testing.assert_allclose(output.ood, expected.ood, atol=1e-4)


def test_it_crosses_to_another_process() -> None:
    pytest.importorskip("openvino", reason="no OpenVINO: pip install 'pneumoscope[openvino]'")
    pytest.importorskip("onnx")
    model = pickle.loads(pickle.dumps(load("covid", runtime="openvino")))
    assert model.runtime == "openvino"
    assert model.unscreened().runtime == "openvino"
