"""One mistake at a time in the tiny paper, and what must be said of it."""

from training_mistakes import PROVENANCE, TRAINING_MISTAKES

from fer_jax.vocabulary import layers

LAYERS = "accepted: {}".format(", ".join(sorted(f'"{kind.__struct_config__.tag}"' for kind in layers.LAYERS)))
TANH = '"model.layers.activation1.function" = "tanh"'
SECOND_CLAIM = '[[claims]]\nid = "loss"'

# name of the mistake: text of the tiny paper, what it is replaced by, what the message must say after the file's name
MISTAKES = {
    **TRAINING_MISTAKES,
    "unknown key at the top": (
        "format = 1",
        "format = 1\nfoo = 3",
        "unknown key `foo`; accepted: claims, contradictions",
    ),
    "another format": ("format = 1", "format = 2", "format: unknown value 2; accepted: 1"),
    "missing table": ("[paper]", "[papers]", "unknown key `papers`; accepted: claims, "),
    "missing text": (
        'title = "A tiny network"',
        'title = ""',
        'paper.title: must be a text of at least 1 character, not ""',
    ),
    "missing list": ('["A. Author"]', "[]", "paper.authors: must be a list of at least 1 item, not an empty list"),
    "optional key of a wrong type": (
        "source =",
        'year = "2020"\nsource =',
        'paper.year: must be a whole number, not "2020"',
    ),
    "bad name": ('id = "tiny"', 'id = "../Tiny"', "paper.id: must be a text of lower-case letters, digits"),
    # layers
    "unknown key in a layer": (
        "kernel = 3",
        "kernel = 3\nkernal = 5",
        "model.layers[0]: unknown key `kernal`; accepted: bias, bias_init, dilation, filters, groups, kernel, "
        "kernel_init, layer, padding, stride$",
    ),
    "unknown layer": ('"conv"', '"convolution"', f'model.layers[0].layer: unknown value "convolution"; {LAYERS}'),
    "layer without its name": ('layer = "conv"', "", f"model.layers[0]: missing key `layer`; {LAYERS}"),
    "missing key in a layer": ("kernel = 3", "", "model.layers[0]: missing key `kernel`"),
    "text for a number": ("filters = 2", 'filters = "2"', 'model.layers[0].filters: must be a whole number, not "2"'),
    "broken number": ("filters = 2", "filters = 2.5", "model.layers[0].filters: must be a whole number, not 2.5"),
    "boolean for a number": ("units = 7", "units = true", "model.layers[3].units: must be a whole number, not true"),
    "too small": ("filters = 2", "filters = 0", "model.layers[0].filters: must be a whole number >= 1, not 0"),
    "unknown activation": (
        '"relu"',
        '"mish"',
        'model.layers[1].function: unknown value "mish"; accepted: "relu", "elu", "tanh", "sigmoid", "gelu", "swish", '
        '"softmax"$',
    ),
    "unknown initialiser": (
        "kernel = 3",
        'kernel = 3\nkernel_init = { kind = "he" }',
        'model.layers[0].kernel_init.kind: unknown value "he"; accepted: "glorot_uniform", "he_normal", "normal", '
        '"truncated_normal", "fan_in_normal", "fan_in_uniform", "pooled_fan_normal", "constant"$',
    ),
    "unknown key of an initialiser": (
        "kernel = 3",
        'kernel = 3\nbias_init = { kind = "constant", value = 1 }',
        "model.layers[0].bias_init: unknown key `value`; accepted: kind, pool_area, scale$",
    ),
    "a name for a table": (
        "kernel = 3",
        'kernel = 3\nkernel_init = "he_normal"',
        'model.layers[0].kernel_init: must be a table, not "he_normal"',
    ),
    "kernel larger than its map": (
        "kernel = 3",
        "kernel = 9",
        "model.layers[0] (conv1): a kernel of 9 is larger than its 8 x 8 map",
    ),
    "dense without flatten": (
        'layer = "flatten"',
        'layer = "dropout"\nrate = 0.5',
        "model.layers[3] (dense1): a dense layer needs a flatten layer before it",
    ),
    "last layer of another size": (
        "units = 7",
        "units = 8",
        "model.layers: the network ends in shape (8,), but there are 7",
    ),
    "softmax in the middle": (
        '"relu"',
        '"softmax"',
        "model.layers[1] (activation1): softmax is only known as the last",
    ),
    # data steps
    "unknown step": (
        '"resize"',
        '"shrink"',
        'data.steps[1].step: unknown value "shrink"; accepted: "augment_copies", ',
    ),
    "unknown key in a step": (
        "size = 8",
        "size = 8\nwidth = 9",
        "data.steps[1]: unknown key `width`; accepted: form, method, rounding, size, splits, step$",
    ),
    "unknown usage": (
        '["PrivateTest"]',
        '["private"]',
        'data.steps[0].into.test[0]: unknown value "private"; accepted: "Training", "PublicTest", "PrivateTest"$',
    ),
    "usage without a list": ('["PrivateTest"]', '"PrivateTest"', 'data.steps[0].into.test: must be a list, not "Priv'),
    "bad name of a split": (
        "{ train",
        "{ Train",
        "data.steps[0].into: a key must be a text of lower-case letters, digits and '_', the first a letter, "
        'at most 100, not "Train"$',
    ),
    "step on a split that is not there": (
        "size = 8",
        'size = 8\nsplits = ["val"]',
        "data.steps[1]: there is no split 'val' here; accepted: train, test",
    ),
    "no split to evaluate": ("test = [", "rest = [", "data.steps[1]: the steps must end with a split 'train' and with"),
    # provenance
    "no provenance": (PROVENANCE, "", "data.steps[0]: no `provenance`; say where these settings come from: "),
    "empty provenance": (PROVENANCE, "provenance = []", "data.steps[0]: no `provenance`; "),
    "provenance in a word": (PROVENANCE, 'provenance = "assumed"', "data.steps[0].provenance: must be a list, not "),
    "provenance of an unknown key": (
        PROVENANCE,
        'provenance = [{ kind = "assumed", of = ["size"], reason = "x" }]',
        "data.steps[0].provenance: `of` names 'size'; accepted: from_split, into, step$",
    ),
    "provenance of some keys only": (
        PROVENANCE,
        'provenance = [{ kind = "assumed", of = ["into"], reason = "x" }]',
        "data.steps[0]: no provenance for from_split; add an entry",
    ),
    "unknown kind of provenance": (
        PROVENANCE,
        'provenance = [{ kind = "guessed", reason = "x" }]',
        'data.steps[0].provenance[0].kind: unknown value "guessed"; accepted: "stated", "upstream", "inferred", '
        '"assumed"$',
    ),
    "unknown key of a provenance": (
        PROVENANCE,
        'provenance = [{ kind = "assumed", because = "x" }]',
        "data.steps[0].provenance[0]: unknown key `because`; accepted: kind, of, place, quote, reason$",
    ),
    "stated without a quote": (
        PROVENANCE,
        'provenance = [{ kind = "stated", place = "Table 1" }]',
        "data.steps[0].provenance[0]: a `stated` provenance needs `quote` and `place`",
    ),
    "assumed without a reason": (
        PROVENANCE,
        'provenance = [{ kind = "assumed" }]',
        "data.steps[0].provenance[0]: a provenance of kind `assumed` needs `reason`",
    ),
    "provenance of what is no setting": (
        "summary =",
        f"{PROVENANCE}\nsummary =",
        "paper: provenance belongs to settings only: data.steps[0], ",
    ),
    # variants
    "variant of a layer that is not there": (
        "activation1.function",
        "activation2.function",
        "variants.tanh.set: model.layers.activation2: no such name; accepted: conv1, activation1, flatten1, dense1$",
    ),
    "variant of a table that is not there": (
        "model.layers.activation1",
        "model.layer.activation1",
        "variants.tanh.set: model.layer: no such table; accepted: layers$",
    ),
    "variant of a key that is not there": (
        "activation1.function",
        "activation1.func",
        "variants.tanh.set: model.layers[1]: unknown key `func`; accepted: function, layer$",
    ),
    "variant below a value": (
        TANH,
        '"training.epochs.x" = 1',
        "variants.tanh.set: training.epochs.x: training.epochs is a value",
    ),
    "variant of what is no setting": (
        TANH,
        '"paper.title" = "x"',
        "variants.tanh.set: paper.title: not a setting; accepted: paths below data, model, training$",
    ),
    "variant of a wrong type": (
        TANH,
        '"training.epochs" = "x"',
        "variants.tanh.set: training.epochs: must be a whole number",
    ),
    "variant that does not fit": (
        TANH,
        '"model.layers.conv1.kernel" = 20',
        "variants.tanh.set: model.layers[0] (conv1): a kernel of 20 is larger than its 8 x 8 map",
    ),
    "variant with both epochs and steps": (
        TANH,
        '"training.steps" = 9, "training.evaluate_every_steps" = 3',
        "variants.tanh.set: training: give either `epochs` or `steps`",
    ),
    "variant without a word about it": ('about = "tanh instead of ReLU"', "", "variants.tanh: missing key `about`"),
    "variant with the default's name": (
        "[variants.tanh]",
        "[variants.default]",
        "variants.default: this name is reserved",
    ),
    "variant whose name is a path": (
        "[variants.tanh]",
        '[variants."../x"]',
        "variants: a key must be a text of lower-case",
    ),
    # claims and contradictions
    "unknown key in a claim": (
        "value = 0.6",
        "value = 0.6\nvalu = 1",
        "claims[0]: unknown key `valu`; accepted: actual, average, batch_size, by, ",
    ),
    "unknown quantity": (
        '"loss"\nvalue',
        '"los"\nvalue',
        'claims[1].quantity: unknown value "los"; accepted: "accuracy", "balanced_accuracy", ',
    ),
    "unit of another quantity": (
        'unit = "fraction"',
        'unit = "%"',
        "claims[0]: a claim of quantity `accuracy` has unit fraction, not '%'$",
    ),
    "a percentage for a fraction": (
        "value = 0.6",
        "value = 60.0",
        "claims[0]: an accuracy is a fraction from 0 to 1, not 60.0: 61 % is 0.61$",
    ),
    "a negative loss": ('"loss"\nvalue = ', '"loss"\nvalue = -', "claims[1]: a claim of quantity `loss` is never"),
    "text for a value": ("value = 0.6", 'value = "60 odd %"', 'claims[0].value: must be a number, not "60 odd %"'),
    "value that is no number": ("value = 0.6", "value = nan", "claims[0].value: must be a finite number, not nan"),
    "claim of a split that is not there": (
        'split = "test"',
        'split = "validation"',
        "claims[0].split (accuracy): no split 'validation'; accepted: minibatch, test, train$",
    ),
    "claim of a variant that is not there": (
        'split = "test"',
        'split = "test"\nvariant = "elu"',
        "claims[0].variant (accuracy): no variant 'elu'; accepted: default, tanh$",
    ),
    "claim of an emotion that is not there": (
        'split = "test"',
        'split = "test"\nemotion = "joy"',
        "claims[0].emotion (accuracy): no emotion 'joy'; accepted: angry, disgust, fear, happy, sad, surprise, "
        "neutral$",
    ),
    "claim without a quote": ('quote = "60 %"', "", "claims[0]: missing key `quote`"),
    "claim that nothing measures": (
        'quantity = "accuracy"',
        'quantity = "other"',
        "claims[0]: a claim of quantity `other` needs `not_measured`",
    ),
    "flag without a reason": (
        'split = "test"',
        'split = "test"\nflag = "odd"',
        "claims[0]: `flag` and `flag_reason` go together",
    ),
    "headline without a tolerance": ("tolerance = 0.03", "", "claims[0]: the headline claim needs a `tolerance`"),
    "one id twice": (SECOND_CLAIM, '[[claims]]\nid = "accuracy"', "claims[1].id: another claim has the id 'accuracy'"),
    "no headline": ("headline = true", "", "claims: exactly one needs `headline = true`; those that have it: none$"),
    "two headlines": (
        SECOND_CLAIM,
        f"{SECOND_CLAIM}\nheadline = true\ntolerance = 0.1",
        "claims: exactly one needs `headline = true`; those that have it: accuracy, loss$",
    ),
    "contradiction kept in an unknown variant": (
        'variant = "tanh"',
        'variant = "elu"',
        "contradictions[0].variant: no variant 'elu'; accepted: default, tanh$",
    ),
    "not TOML": ("format = 1", "format: 1", "not valid TOML: Expected '=' after a key"),
    "a key twice": ("format = 1", "format = 1\nformat = 1", "not valid TOML: Cannot overwrite a value"),
}
