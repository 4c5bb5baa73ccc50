"""The sections and keys of a darknet `.cfg`, as the parsers of pjreddie and AlexeyAB know them.

Only what decides the outputs of inference is read; the rest is known so that a key which nobody
knows, and which may change what a network computes, is told from one that training alone uses.
"""

from __future__ import annotations

#: Second names of sections.
SAME_SECTION = {
    "network": "net",
    "conv": "convolutional",
    "conn": "connected",
    "max": "maxpool",
    "avg": "avgpool",
    "soft": "softmax",
    "Gaussian_yolo": "gaussian_yolo",
    "silence": "empty",
}

#: What any section may say.
_ANYWHERE = (
    "learning_rate smooth truth onlyforward stopbackward dontload dontloadscales dontsave numload "
    "burnin_update dont_update clip show_receptive_field train_only_bn stream wait_stream"
)

_DETECTION = (
    "absolute anchors background bias_match class_scale classes classfix coord_scale coords "
    "focal_loss forced ignore_thresh iou_loss iou_normalizer iou_thresh iou_thresh_kind jitter "
    "label_smooth_eps log map mask mask_scale max max_delta nms_kind beta_nms cls_normalizer "
    "obj_normalizer delta_normalizer uc_normalizer yolo_point noobject_scale num object_scale "
    "objectness_smooth random reorg rescore resize scale_x_y new_coords show_details side softmax "
    "sqrt thresh tree truth_thresh counters_per_class dets_for_show dets_for_track "
    "embedding_layer sim_thresh track_ciou_norm track_history_size"
)

#: Section to its keys; [net] takes any, since all but its sizes are for training.
_KEYS = {
    "convolutional": "activation angle antialiasing assisted_excitation batch_normalize bin_output "
    "binary cbn coordconv dilation dot filters flipped grad_centr groups pad padding reverse "
    "rotate share_index size stretch stretch_sway stride stride_x stride_y sway xnor",
    "connected": "activation batch_normalize output",
    "local": "activation filters pad size stride",
    "maxpool": "antialiasing maxpool_depth maxpool_zero_nonmax out_channels padding size stride "
    "stride_x stride_y",
    "avgpool": "",
    "batchnorm": "",
    "route": "group_id groups layers",
    "shortcut": "activation alpha beta from weights_normalization weights_type",
    "scale_channels": "activation from scale_wh",
    "sam": "activation from",
    "upsample": "scale stride",
    "reorg": "extra flatten reverse stride",
    "activation": "activation",
    "logistic": "",
    "dropout": "dropblock dropblock_size_abs dropblock_size_rel probability",
    "softmax": "groups noloss spatial temperature tree",
    "crop": "angle crop_height crop_width exposure flip noadjust saturation shift",
    "cost": "noobj ratio scale thresh type",
    "empty": "",
    "detection": _DETECTION,
    "region": _DETECTION,
    "yolo": _DETECTION,
    "gaussian_yolo": _DETECTION,
}

KNOWN_KEYS = {kind: frozenset(f"{keys} {_ANYWHERE}".split()) for kind, keys in _KEYS.items()}

#: Keys of layers that change what they compute in ways that are not done here, unless they are 0.
REFUSED_KEYS = frozenset(
    [
        "antialiasing",
        "assisted_excitation",
        "bin_output",
        "binary",
        "cbn",
        "coordconv",
        "dontload",
        "dontloadscales",
        "extra",
        "flatten",
        "maxpool_depth",
        "maxpool_zero_nonmax",
        "numload",
        "rotate",
        "share_index",
        "stretch",
        "stretch_sway",
        "sway",
        "xnor",
    ]
)
