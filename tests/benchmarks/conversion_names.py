"""The models that are converted. Imports nothing, for those that only speak of them."""

from __future__ import annotations

#: Name to the function of `keras.applications`.
IMAGES = {
    "mobilenet_v2": "MobileNetV2",
    "resnet50": "ResNet50",
    "efficientnet_b0": "EfficientNetB0",
}
#: Name to the number of layers of 4096 x 4096 weights, 67 MB each.
DENSE = {"dense_1.2gb": 18, "dense_2.5gb": 37}
LARGEST = "dense_2.5gb"
NAMES = (*IMAGES, *DENSE)
