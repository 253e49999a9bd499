"""Trains ``cnn-150`` in Keras 3 on TensorFlow, trained as its source trains it. Runs in its own environment.

    python train_keras.py --images images.npz --epochs 3 --seed 0 --out keras.json

Images are loaded once as 150x150 grey arrays and divided by 255; ``ImageDataGenerator.flow`` changes them; RMSprop,
binary cross-entropy, ``ReduceLROnPlateau`` on the validation accuracy, ``model.fit``; every other choice is Keras's
default. One thing is kinder than the source: validation images are not augmented.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from keras.src.legacy.preprocessing.image import ImageDataGenerator  # gone from the public names of Keras 3
from keras_epoch_timer import Clock


def build() -> keras.Model:
    """Return the source's network: [N, 150, 150, 1] to P(normal) [N, 1]."""
    model = keras.Sequential([keras.Input((150, 150, 1))])
    for width, dropout in ((32, 0.0), (64, 0.1), (64, 0.0), (128, 0.2), (256, 0.2)):
        model.add(layers.Conv2D(width, (3, 3), strides=1, padding="same", activation="relu"))
        if dropout:
            model.add(layers.Dropout(dropout))
        model.add(layers.BatchNormalization())
        model.add(layers.MaxPool2D((2, 2), strides=2, padding="same"))
    model.add(layers.Flatten())
    model.add(layers.Dense(units=128, activation="relu"))
    model.add(layers.Dropout(0.2))
    model.add(layers.Dense(units=1, activation="sigmoid"))
    model.compile(optimizer="rmsprop", loss="binary_crossentropy", metrics=["accuracy"])
    return model


def main() -> None:
    """Train once and write what was measured."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=Path, required=True, help=".npz: train, validation uint8 [N, 150, 150]; *_y")
    parser.add_argument("--epochs", type=int, required=True)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    keras.utils.set_random_seed(options.seed)
    with np.load(options.images) as data:
        x, y = data["train"].reshape(-1, 150, 150, 1) / 255, data["train_y"]
        held_x, held_y = data["validation"].reshape(-1, 150, 150, 1) / 255, data["validation_y"]
    generator = ImageDataGenerator(
        rotation_range=30, zoom_range=0.2, width_shift_range=0.1, height_shift_range=0.1, horizontal_flip=True
    )
    model, clock = build(), Clock()
    plateau = keras.callbacks.ReduceLROnPlateau(monitor="val_accuracy", patience=2, factor=0.3, min_lr=1e-6)
    history = model.fit(
        generator.flow(x, y, batch_size=options.batch),
        epochs=options.epochs,
        validation_data=(held_x, held_y),
        callbacks=[plateau, clock],
        verbose=0,
    ).history
    result = {
        "parameters": model.count_params(),
        "images": len(x),
        "train_seconds": clock.train_seconds,
        "epoch_seconds": clock.epoch_seconds,
        "cpu_seconds": clock.cpu_seconds,
        "validation_accuracy": [float(value) for value in history["val_accuracy"]],
        "train_accuracy": [float(value) for value in history["accuracy"]],
        "software": f"Keras {keras.__version__}, TensorFlow {tf.__version__}, float32, XLA "
        + ("on" if model.jit_compile else "off"),
        "threads": tf.config.threading.get_intra_op_parallelism_threads() or os.cpu_count(),
    }
    options.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
