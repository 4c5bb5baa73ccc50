"""The model. `train.params` in recipe.yaml arrive as arguments of `model_fn`.

May also define, each optional: `augment_fn(features, label)` changes a batch of the training split,
`callbacks_fn()` gives more Keras callbacks, `prepare_fn(dataset, spec)` lets layers adapt to the
data before `model_fn` and gives it more arguments.
"""

import keras
from keras import layers

from mlflow_tfconv.data.schema import Schema


def model_fn(spec: Schema, dropout: float = 0.2, learning_rate: float = 0.002) -> keras.Model:
    """A small CNN, compiled.

    Args:
        spec: What an example consists of; `spec.inputs` and `spec.labels` give dtype, shape (of one
            example) and class_names of each feature.
        dropout: Share of activations that are left out while training.
        learning_rate: Of Adam.
    """
    image, digit = spec.inputs["image"], spec.labels["digit"]
    model = keras.Sequential(
        [
            keras.Input(image.shape, name="image"),
            layers.Conv2D(32, 3, padding="same", activation="relu"),
            layers.Conv2D(64, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(64, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dropout(dropout),
            layers.Dense(len(digit.class_names), activation="softmax", name="digit"),
        ]
    )
    model.compile(
        optimizer=keras.optimizers.Adam(learning_rate),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model
