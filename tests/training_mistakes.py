"""Mistakes in the training settings of the tiny paper, for `spec_mistakes`."""

from tiny_paper import TINY

PROVENANCE = 'provenance = [{ kind = "assumed", reason = "invented" }]'
PLATEAU = 'schedule = "reduce_on_plateau"\nsplit = "{}"\nmetric = "loss"\nfactor = 0.1\npatience = 1'
UNTIL_LOSS = TINY[TINY.index("units = 7") : TINY.index("[training.optimizer]")]
SOFTMAX = f'\n\n[[model.layers]]\nlayer = "activation"\nfunction = "softmax"\n{PROVENANCE}\n\n[training]'
STOPPING = '[training.early_stopping]\nsplit = "{}"\nmetric = "loss"\npatience = 3\n{}\n\n[training.schedule]'

TRAINING_MISTAKES = {
    "unknown key in training": (
        "epochs = 5",
        "epochs = 5\nbatch = 3",
        "training: unknown key `batch`; accepted: accumulate, average_weights, batch_size, ",
    ),
    "unknown optimizer": (
        '"sgd"',
        '"lamb"',
        'training.optimizer.optimizer: unknown value "lamb"; accepted: "adagrad", "adam", "adamw", "lion", "nadam", ',
    ),
    "key of another optimizer": (
        '"sgd"',
        '"sgd"\nb1 = 0.9',
        "training.optimizer: unknown key `b1`; accepted: clip_global_norm, clip_norm, clip_value, learning_rate, mom",
    ),
    "optimizer without a rate": ("learning_rate = 0.1", "", "training.optimizer: missing key `learning_rate`"),
    "momentum of 1": (
        "learning_rate = 0.1",
        "learning_rate = 0.1\nmomentum = 1.0",
        "training.optimizer.momentum: must be a number < 1.0, not 1.0",
    ),
    "infinite rate": (
        "learning_rate = 0.1",
        "learning_rate = inf",
        "training.optimizer.learning_rate: must be a finite",
    ),
    "unknown schedule": (
        '"constant"',
        '"cosine_annealing"',
        'training.schedule.schedule: unknown value "cosine_annealing"; accepted: "constant", "cosine", "decay_per_up',
    ),
    "unknown loss": (
        '"cross_entropy"',
        '"hinge"',
        'training.loss.kind: unknown value "hinge"; accepted: "cross_entropy", "mean_squared_error", "focal", "squa',
    ),
    "an SVM behind a softmax": (
        UNTIL_LOSS,
        UNTIL_LOSS.replace("\n\n[training]", SOFTMAX, 1).replace("cross_entropy", "squared_hinge"),
        "training.loss.kind: 'squared_hinge' takes the scores of a linear layer, but the network ends in softmax: l",
    ),
    "class weights of another number of classes": (
        '"cross_entropy"',
        '"cross_entropy"\nclass_weights = [1.0, 2.0]',
        "training.loss.class_weights: 2 weights, but there are 7 emotions: give one for each, in the order",
    ),
    "l2 of a layer that is not there": (
        '"cross_entropy"',
        '"cross_entropy"\nl2 = 0.01\nl2_layers = ["conv1", "conv2"]',
        "training.loss.l2_layers: no layer 'conv2'; the network has: conv1, activation1, flatten1, dense1$",
    ),
    "smoothed squares": (
        '"cross_entropy"',
        '"mean_squared_error"\nlabel_smoothing = 0.1',
        "training.loss: `label_smoothing` is for kind 'cross_entropy' and 'focal', not 'mean_squared_error'$",
    ),
    "two ways to clip": (
        "learning_rate = 0.1",
        "learning_rate = 0.1\nclip_value = 0.1\nclip_norm = 1.0",
        "training.optimizer: give one of `clip_value`, `clip_norm` and `clip_global_norm`$",
    ),
    "a warm-up longer than training": (
        'schedule = "constant"',
        'schedule = "constant"\nwarmup_epochs = 5',
        "training.schedule.warmup_epochs: a warm-up of 5 epochs does not end before training, which has 5: make it sho",
    ),
    "a schedule that ends in its warm-up": (
        'schedule = "constant"',
        'schedule = "cosine"\nwarmup_epochs = 3\nlength = 2',
        "training.schedule.length: 2 epochs with the warm-up, which alone has 3: make it longer$",
    ),
    "more changes of the rate than places": (
        'schedule = "constant"',
        'schedule = "piecewise"\nat = [2, 3]\nfactors = [0.1]',
        "training.schedule: `at` has 2 entries and `factors` 1; give one for each$",
    ),
    "stops by a split that is not evaluated": (
        "[training.schedule]",
        STOPPING.format("validation", PROVENANCE),
        "training.early_stopping.split: no evaluated split 'validation'; the data steps leave: test$",
    ),
    "early stopping without provenance": (
        "[training.schedule]",
        STOPPING.format("test", ""),
        "training.early_stopping: no `provenance`; say where these settings come from: ",
    ),
    "evaluates a split that is not there": (
        'evaluate = ["test"]',
        'evaluate = ["validation"]',
        "training.evaluate: no evaluated split 'validation'; the data steps leave: test$",
    ),
    "one split where a list belongs": (
        'evaluate = ["test"]',
        'evaluate = "test"',
        'training.evaluate: must be a list, not "t',
    ),
    "schedule of a split that is not there": (
        'schedule = "constant"',
        PLATEAU.format("val"),
        "training.schedule.split: no evaluated split 'val'; the data steps leave: test$",
    ),
    "chooses by a split that is not there": (
        "epochs = 5",
        'epochs = 5\nreport = "best"\nreport_split = "validation"',
        "training.report_split: no evaluated split 'validation'; the data steps leave: test$",
    ),
    "both epochs and steps": (
        "epochs = 5",
        "epochs = 5\nsteps = 9\nevaluate_every_steps = 3",
        "training: give either `epochs` or `steps`$",
    ),
    "neither epochs nor steps": ("epochs = 5", "", "training: give either `epochs` or `steps`$"),
    "steps without evaluations": (
        "epochs = 5",
        "steps = 9",
        "training: `steps` and `evaluate_every_steps` go together",
    ),
    "offsets by epochs": (
        "epochs = 5",
        'epochs = 5\norder = "offset_modulo"',
        "training: order = 'offset_modulo' needs",
    ),
}
