"""What the author of a spec may have meant: a close spelling of an accepted word, or the nearest supported element for
one that the suite does not have, such as a layer of another framework."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping

# By the key that names the element: words as frameworks write them, and what to write instead. The words are compared
# without case, digits and punctuation (`plain`): Conv2D, conv_2d and conv2d are one.
_SAME_CONV = '`layer = "conv"`'
_RESIDUAL = '`layer = "residual"` with a `body` and a `shortcut`'
_NONE = "nothing: attention and recurrence are not supported"
_SMOOTH = '`function = "swish"` or "gelu", which are smooth and pass negative values too'
_CROSS = '`kind = "cross_entropy"`'
_AFFINE = '`step = "random_affine"`'
_ROTATED = '`step = "augment_copies"` with rotations, or `step = "random_flip"`'
_TABLES: dict[str, dict[str, str]] = {
    "layer": {
        "conv convolution": _SAME_CONV,
        "separableconv sepconv": '`layer = "separable_conv"`',
        "depthwiseconv dwconv": '`layer = "depthwise_conv"`',
        "groupedconv groupconv": f"{_SAME_CONV} with `groups`",
        "dilatedconv dilated atrousconv": f"{_SAME_CONV} with `dilation`",
        "convtranspose deconv": _SAME_CONV,
        "linear fullyconnected fc innerproduct gemm": '`layer = "dense"`',
        "averagepool averagepooling avgpool": '`layer = "avg_pool"`',
        "globalaveragepool globalaveragepooling globalavgpool gap adaptiveavgpool": '`layer = "global_avg_pool"`',
        "globalmaxpool globalmaxpooling adaptivemaxpool": '`layer = "max_pool"` with the window of its map',
        "maxpooling pool pooling": '`layer = "max_pool"`',
        "batchnormalization batchnormalisation bn": '`layer = "batch_norm"`',
        "layernorm layernormalization": '`layer = "layer_norm"`',
        "groupnorm groupnormalization": '`layer = "group_norm"`',
        "instancenorm instancenormalization": '`layer = "group_norm"` with as many `groups` as channels',
        "lrn localresponsenormalization": '`layer = "batch_norm"`',
        "spatialdropout": '`layer = "spatial_dropout"`',
        "droppath": '`layer = "stochastic_depth"`',
        "alphadropout dropblock": '`layer = "dropout"`',
        "reshape view": '`layer = "flatten"`',
        "relu elu tanh sigmoid gelu swish softmax": '`layer = "activation"` with this `function`',
        "leakyrelu": '`layer = "leaky_relu"`',
        "prelu": '`layer = "prelu"`',
        "silu": '`layer = "activation"` with `function = "swish"`',
        "selu mish": f'`layer = "activation"` with {_SMOOTH}',
        "zeropadding pad padding": "a number as `padding` of the next conv",
        "add shortcut skip resblock basicblock bottleneck": _RESIDUAL,
        "concat concatenate inception denseblock": f'{_RESIDUAL}, and `merge = "concatenate"`',
        "squeezeexcitation seblock selayer senet": '`layer = "squeeze_excite"`',
        "attention transformer lstm gru rnn": _NONE,
    },
    "function": {
        "leakyrelu": '`layer = "leaky_relu"`, a separate layer with a `slope`',
        "prelu": '`layer = "prelu"`, a separate layer with trained slopes',
        "silu": '`function = "swish"`',
        "selu mish softplus hardswish": _SMOOTH,
        "relu6": '`function = "relu"`',
        "hardsigmoid logistic": '`function = "sigmoid"`',
        "linear identity none": "no activation layer at all",
        "logsoftmax": '`function = "softmax"`',
    },
    "optimizer": {
        "amsgrad adamax radam adabelief": '`optimizer = "adam"`',
        "lamb": '`optimizer = "adamw"`',
        "adadelta rprop": '`optimizer = "rmsprop"`',
        "momentum nesterov gd gradientdescent": '`optimizer = "sgd"` with `momentum`, or `nesterov = true`',
    },
    "loss": {
        "categoricalcrossentropy sparsecategoricalcrossentropy softmax nll logloss kld": _CROSS,
        "binarycrossentropy bce center": _CROSS,
        "labelsmoothing": f"{_CROSS} with `label_smoothing`",
        "hinge categoricalhinge svm multimargin": '`kind = "squared_hinge"`',
        "categoricalfocalcrossentropy focalloss": '`kind = "focal"`',
        "mse l mae meanabsoluteerror": '`kind = "mean_squared_error"`',
    },
    "schedule": {
        "cosineannealing cosinedecay cosineannealinglr": '`schedule = "cosine"`',
        "steplr stepdecay": '`schedule = "step"`',
        "multistep multisteplr piecewiseconstant piecewiseconstantdecay": '`schedule = "piecewise"`',
        "exponentiallr exponentialdecay": '`schedule = "exponential"`',
        "linear lineardecay polynomialdecay": '`schedule = "polynomial"`',
        "onecyclelr cyclic cycliclr": '`schedule = "one_cycle"`',
        "inverse inversetimedecay decay": '`schedule = "decay_per_update"`',
        "warmup linearwarmup gradualwarmup": "`warmup_epochs` in front of any schedule",
        "plateau reducelronplateau": '`schedule = "reduce_on_plateau"`',
    },
    "step": {
        "augment augmentation": _ROTATED,
        "randomrotation randomrotate rotate rotation zoom shear shift randomtranslation randomzoom": _AFFINE,
        "crop centercrop": '`step = "random_crop"`',
        "erase erasing cutout": '`step = "random_erasing"`',
        "jitter colorjitter randombrightness randomcontrast brightness contrast": '`step = "random_jitter"`',
        "softlabels votes ferplus": '`step = "vote_targets"`',
        "tencrop fivecrop testtimeaugmentation tta": '`step = "average_views"` (in training `step = "train_on_crops"`)',
        "flip horizontalflip": '`step = "random_flip"`, or `step = "augment_copies"`',
        "split traintestsplit kfold stratifiedsplit stratifiedkfold": '`step = "split_fraction"`',
        "rescale scale normalize": '`step = "normalise"`',
        "standardize standardscaler featurewisecenter samplewisecenter": '`step = "standardise"`',
        "oversample oversampling": '`step = "repeat_class"`',
        "histogramequalization clahe equalize equalizehist": '`step = "equalise_histogram"`',
        "enlarge upscale upsample": '`step = "resize"` with `method = "bilinear"` or "bicubic"',
        "dedup deduplicate dropduplicates": '`step = "drop_repeats"`, or `step = "drop_same_pictures"`',
    },
    "kernel_init": {
        "heuniform kaiming kaiminguniform kaimingnormal he": '`kind = "he_normal"`',
        "glorotnormal xavier xavieruniform xaviernormal glorot": '`kind = "glorot_uniform"`',
        "lecunnormal lecununiform lecun variancescaling": '`kind = "fan_in_normal"`',
        "uniform randomuniform randomnormal orthogonal": '`kind = "normal"`',
        "zeros ones zero": '`kind = "constant"`',
    },
}
_NEAREST = {
    key: {word: text for words, text in rows.items() for word in words.split()} for key, rows in _TABLES.items()
}
_NEAREST["bias_init"] = _NEAREST["kernel_init"]


def plain(name: str) -> str:
    """A name as it is compared: Conv2D, conv_2d and conv2d are `conv`."""
    return re.sub(r"[^a-z]", "", re.sub(r"_?\dd(?![a-z])", "", name.lower()))


def nearest_element(key: str, name: str) -> str:
    """What to write in place of an element that is not supported; empty if nothing is known. key: `layer`, `step`,
    `optimizer`, `schedule`, `function` (of an activation), `loss`, `kernel_init` or `bias_init`."""
    rows: Mapping[str, str] = _NEAREST.get(key, {})
    return rows.get(plain(name)) or rows.get(re.sub(r"[^a-z0-9]", "", name.lower()), "")


def close_spelling(word: str, accepted: Iterable[str]) -> str:
    """The accepted word that this one is a slip of; empty if none is close. One that differs in its case is closest."""
    accepted = list(accepted)
    if same := [one for one in accepted if one.lower() == word.lower()]:
        return same[0]
    return next(iter(difflib.get_close_matches(word, accepted, n=1, cutoff=0.7)), "")


def hint(word: str, accepted: Iterable[str]) -> str:
    """`; did you mean conv1?` at the end of an error; empty if no accepted word is close."""
    meant = close_spelling(word, accepted)
    return f"; did you mean {meant}?" if meant else ""
