"""An X-ray classifier behind Flask and Keras, as such systems are published. Runs in the Keras environment.

    gunicorn --workers 2 --bind 127.0.0.1:8000 'app:create()'

``POST /predict`` with the form field ``file``: decoded by Pillow, made grey, resized to 224 x 224, through MobileNetV2
with a softmax over three classes, answered as JSON. Nothing is stored. CALL chooses how the network is called:
``predict`` (`model.predict`), ``call`` (`model(x)`), ``graph`` (`tf.function`), ``xla``
(`tf.function(jit_compile=True)`). The weights are drawn at random: the time is that of the trained ones.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
from flask import Flask, jsonify, request
from keras import layers
from PIL import Image

SIZE, LABELS = 224, ("covid-19", "normal", "pneumonia")
CALLS = ("predict", "call", "graph", "xla")
Call = Callable[[np.ndarray], np.ndarray]


def network() -> keras.Model:
    """Return MobileNetV2 with a linear head, the network of ``mobilenetv2-builtin``."""
    inputs = keras.Input((SIZE, SIZE, 3))
    base = keras.applications.MobileNetV2(include_top=False, weights=None, input_shape=(SIZE, SIZE, 3))
    pooled = layers.GlobalAveragePooling2D()(base(inputs, training=False))
    return keras.Model(inputs, layers.Dense(len(LABELS), activation="softmax")(pooled))


def calling(model: keras.Model, how: str) -> Call:
    """Return a function from pixels [1, S, S, 3] to probabilities [C]."""
    if how == "predict":
        return lambda x: model.predict(x, verbose=0)[0]
    if how == "call":
        return lambda x: model(x, training=False).numpy()[0]
    compiled = tf.function(lambda x: model(x, training=False), jit_compile=how == "xla")
    return lambda x: compiled(tf.constant(x)).numpy()[0]


def prepared(file: object) -> np.ndarray:
    """Return an image file as the network wants it: [1, S, S, 3] float32 in -1..1."""
    with Image.open(file) as image:
        grey = image.convert("L").resize((SIZE, SIZE), Image.Resampling.BILINEAR)
    values = np.asarray(grey, np.float32) / 127.5 - 1
    return np.repeat(values[None, :, :, None], 3, axis=-1)


def create() -> Flask:
    """Return the app, its network compiled and warm."""
    threads = int(os.environ.get("THREADS", "0"))
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(min(threads, 1))
    call = calling(network(), os.environ.get("CALL", "graph"))
    for _ in range(3):
        call(np.zeros((1, SIZE, SIZE, 3), np.float32))
    app = Flask(__name__)

    @app.get("/healthz")
    def health() -> str:
        return "ok"

    @app.post("/predict")
    def predict() -> object:
        p = call(prepared(request.files["file"].stream))
        return jsonify(probabilities=dict(zip(LABELS, map(float, p), strict=True)), decision=LABELS[int(p.argmax())])

    return app


def main() -> None:
    """Print the parameters, and milliseconds of processor time an image for each way of calling, on one thread."""
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    model = network()
    print("parameters", model.count_params())
    x = np.random.default_rng(0).random((1, SIZE, SIZE, 3), np.float32)
    for how in CALLS:
        call = calling(model, how)
        for _ in range(3):
            call(x)
        begun, clock = time.process_time(), time.perf_counter()
        for _ in range(20):
            call(x)
        each = [50 * (now - then) for now, then in ((time.process_time(), begun), (time.perf_counter(), clock))]
        print(how, *(f"{value:.2f}" for value in each), flush=True)


if __name__ == "__main__":
    sys.exit(main())
