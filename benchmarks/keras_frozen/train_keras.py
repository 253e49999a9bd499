"""Trains ``transfer-mobilenetv2`` in Keras 3 on TensorFlow. Runs in its own environment.

    python train_keras.py --images images.npz --epochs 30 --seed 0 --out keras.json

``keras.applications.MobileNetV2``, frozen and called with ``training=False``, flatten, dense 256, 256, n; Adam,
categorical cross-entropy, ``model.fit`` with validation: each epoch goes through the backbone, as such systems are
written. It is fed from memory by ``tf.data``; nothing is decoded. ``--by-hand`` is what a careful author would write
instead: ``base.predict`` once, then ``fit`` on the features.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from keras_epoch_timer import Clock


def backbone(size: int, weights: list[np.ndarray]) -> keras.Model:
    """Return a frozen MobileNetV2 without its classifier, with the given weights, four or one to a layer, in order."""
    base = keras.applications.MobileNetV2(include_top=False, weights=None, input_shape=(size, size, 3))
    remaining = iter(weights)
    for layer in base.layers:
        if layer.weights:
            layer.set_weights([next(remaining) for _ in layer.weights])
    if next(remaining, None) is not None:
        raise SystemExit("train_keras.py: weights are left over")
    base.trainable = False
    return base


def head(features: tf.Tensor, classes: int) -> tf.Tensor:
    """Return probabilities [N, n] of a feature map."""
    x = layers.Flatten()(features)
    x = layers.Dense(256, activation="relu")(x)
    x = layers.Dense(256, activation="relu")(x)
    return layers.Dense(classes, activation="softmax")(x)


def compiled(inputs: tf.Tensor, outputs: tf.Tensor) -> keras.Model:
    """Return a model that can be fitted."""
    model = keras.Model(inputs, outputs)
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def as_input(pixels: tf.Tensor) -> tf.Tensor:
    """Return grey pixels [..., S, S] 0..255 as the network wants them: [..., S, S, 3], -1..1."""
    x = tf.cast(pixels, tf.float32)[..., None] / 127.5 - 1
    return tf.repeat(x, 3, axis=-1)


def pictures(x: np.ndarray, y: np.ndarray, batch: int, seed: int | None) -> tf.data.Dataset:
    """Return batches from memory, shuffled again each epoch if there is a seed."""
    data = tf.data.Dataset.from_tensor_slices((x, y))
    if seed is not None:
        data = data.shuffle(len(x), seed=seed)
    return data.batch(batch).map(lambda a, b: (as_input(a), b), tf.data.AUTOTUNE).prefetch(2)


def main() -> None:
    """Train once and write what was measured."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=Path, required=True, help=".npz: train, validation uint8 [N, S, S]; *_y; w*")
    parser.add_argument("--epochs", type=int, required=True)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--by-hand", action="store_true", help="features once, then the head on them")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    keras.utils.set_random_seed(options.seed)
    with np.load(options.images) as data:
        x, y, held_x, held_y = (data[key] for key in ("train", "train_y", "validation", "validation_y"))
        weights = [data[f"w{number}"] for number in range(sum(key.startswith("w") for key in data))]
        probe = data["probe"]
    size, classes, clock = x.shape[1], int(y.max()) + 1, Clock()
    started, cpu = time.perf_counter(), time.process_time()
    base = backbone(size, weights)
    inputs = keras.Input((size, size, 3))
    whole = compiled(inputs, head(base(inputs, training=False), classes))
    if options.by_hand:
        features = [base.predict(pictures(a, b, options.batch, None), verbose=0) for a, b in ((x, y), (held_x, held_y))]
        feature_input = keras.Input(features[0].shape[1:])
        model = compiled(feature_input, head(feature_input, classes))
        passed = time.perf_counter() - started
        options_of_fit = {
            "x": features[0],
            "y": y,
            "batch_size": options.batch,
            "validation_data": (features[1], held_y),
        }
    else:
        model, passed = whole, 0.0
        validation = pictures(held_x, held_y, options.batch, None)
        options_of_fit = {"x": pictures(x, y, options.batch, options.seed), "validation_data": validation}
    history = model.fit(**options_of_fit, epochs=options.epochs, callbacks=[clock], verbose=0).history
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    pooled = base.predict(as_input(x[: len(probe)]).numpy(), verbose=0).mean((1, 2))
    result = {
        "parameters": whole.count_params(),
        "images": len(x),
        "seconds": seconds,
        "cpu": cpu,
        "pass_seconds": passed,
        "epoch_seconds": clock.epoch_seconds,
        "epoch_cpu": clock.cpu_seconds,
        "probe_difference": float(np.abs(pooled - probe).max()),
        "probe_largest": float(np.abs(probe).max()),
        "validation_accuracy": [float(value) for value in history["val_accuracy"]],
        "software": f"Keras {keras.__version__}, TensorFlow {tf.__version__}, float32, XLA "
        + ("on" if model.jit_compile else "off"),
        "threads": tf.config.threading.get_intra_op_parallelism_threads() or os.cpu_count(),
    }
    options.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
