"""An evaluation as a document: accuracy with and without copies, the claim, emotions, calibration, settings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from fer_jax.vocabulary.counted import counted
from fer_jax.vocabulary.fer2013 import EMOTIONS, USAGES
from repro.evaluation.claim import ClaimAnswer, answer_claim, percent
from repro.evaluation.control import AS_COPIES, SPLIT, WITHIN_EMOTIONS
from repro.evaluation.label_order import order_words
from repro.evaluation.records import EvaluationRecord, FerPlus
from repro.evaluation.reliability import FIGURE_NAME, reliability_figure
from repro.evaluation.scores import SplitScore, SubsetScore, averages
from repro.runs.class_measures import class_measures
from repro.runs.data_names import FER2013
from repro.statistics import ShareDifference
from repro.text import units
from repro.text.document import (
    Block,
    Cell,
    Column,
    Document,
    Figure,
    Inline,
    Items,
    Paragraph,
    Section,
    Table,
    Verdict,
    chip,
    code,
    count,
    say,
    table,
)

INTERVAL = "95 % interval"
SUBSETS = {
    "official": "all samples",
    "without copies": "without a copy in training",
    "copies only": "with a copy in training",
    "clean": "clean",
}
LEGEND = """\
A *copy* is an image of the training split that shows the same photograph, exactly or nearly (docs/duplicates.md).
*Clean* leaves out samples with a copy in training or in PublicTest, and counts each image once. The interval is for
other images of this kind and this one network; another seed of the same recipe varies more."""
SYNTHETIC = "SYNTHETIC faces: these values say nothing about FER-2013."


def evaluation_document(record: EvaluationRecord, *, figure: bool = False) -> Document:
    """figure: whether the plot lies beside the document."""
    score = record.splits[record.split]
    blocks: list[Block] = [Paragraph(_summary(record))]
    if record.data.synthetic:
        blocks.append(Paragraph(SYNTHETIC))
    if answer := answer_claim(record):
        blocks.append(Section("Claim", tuple(_claim(record, answer))))
    blocks.append(Section("Accuracy", (_accuracy(record), Paragraph(say(LEGEND)))))
    blocks.append(Section("Memory", tuple(_memory(record, score))))
    blocks.append(Section(f"Emotions ({record.split})", (_emotions(score),)))
    if record.ferplus:
        blocks.append(Section("Labels of FER+", tuple(_ferplus(record.ferplus))))
    if score.calibration is not None:
        blocks.append(Section("Probabilities", tuple(_calibration(record, figure))))
    blocks.append(Section("How it was evaluated", tuple(_settings(record))))
    return Document(f"{record.name} on {record.split}", tuple(blocks))


def _summary(record: EvaluationRecord) -> Inline:
    score = record.splits[record.split]
    return say(
        "**{official}** of all {n} samples of {split}, **{clean}** of the {m} clean ones (95 % interval {interval}).",
        official=percent(score.official.accuracy),
        n=f"{score.official.n:,}",
        split=record.split,
        clean=percent(score.clean.accuracy),
        m=f"{score.clean.n:,}",
        interval=interval(score.clean),
    )


def interval(one: SubsetScore) -> str:
    return f"{units.number(100 * one.low, 1)} to {units.number(100 * one.high, 1)} %" if one.n else ""


def accuracy_cell(one: SubsetScore) -> Cell:
    return Cell(percent(one.accuracy), one.accuracy) if one.n else Cell("no samples")


def _claim(record: EvaluationRecord, answer: ClaimAnswer) -> Iterator[Block]:
    word = answer.judgement.word
    given: Verdict = "yes" if word == "reproduced" else "no"
    shown: dict[str, Verdict] = {"yes": "yes", "no": "no", "open": "open"}
    n = record.splits[answer.claim.split].official.n
    answered = chip("yes" if given == "yes" else f"no ({word})", given)
    reason = answer.judgement.reason.replace("in every run (n = 1)", f"of {n:,} samples")
    yield Items(
        (
            ("This network gives the claimed value: ", answered, ". ", reason),
            ("It holds without train/test overlap: ", chip(answer.holds, shown[answer.holds]), ". ", answer.words),
        )
    )  # fmt: skip
    if answer.impossible:
        yield Paragraph(answer.impossible)
    if record.splits[answer.claim.split].clean.n and record.data.trained_on:
        yield Paragraph(
            "One network does not show the spread between seeds. A claim about a recipe needs at least three seeds: "
            "docs/verdicts.md."
        )


def _accuracy(record: EvaluationRecord) -> Table:
    columns = [
        Column("Split"),
        Column("Samples"),
        *(Column(one, "right") for one in ("n", "Images", "Right", "Accuracy")),
    ]
    rows: list[list[Cell | Inline]] = []
    order = [record.split, *(name for name in record.splits if name != record.split)]
    for split in order:
        for name, words in SUBSETS.items():
            one = record.splits[split].subsets[name]
            rows.append(
                [split, words, count(one.n), count(one.images), count(one.hits), accuracy_cell(one), interval(one)]
            )
    if record.training is not None and "Training" not in record.splits:
        one = record.training
        rows.append(["Training", "all samples", count(one.n), "", count(one.hits), accuracy_cell(one), ""])
    return table([*columns, Column(INTERVAL, "right")], rows)


def _memory(record: EvaluationRecord, score: SplitScore) -> Iterator[Block]:
    items: list[Inline] = []
    if record.training is not None and score.clean.n:
        gap = 100 * (record.training.accuracy - score.clean.accuracy)
        items.append(
            f"Training: {percent(record.training.accuracy)} of {record.training.n:,} samples, "
            f"{units.signed(gap, 1)} points from the clean samples. {_gap(gap)}"
        )
    gained, within = score.gained_by_copies, score.gained_within_emotions
    if gained is not None and within is not None:
        items.append(
            f"Samples with a copy in training: {_points(gained)} against those without; within the same emotions "
            f"{_points(within)}. {_copies(record, within)}"
        )
    if (recall := score.recall) is not None:
        items.append(
            f"Of {counted(recall.samples, 'sample')} whose copies in training all carry another label, it answers "
            f"{recall.as_copies:,} with the label of a copy and {recall.as_labelled:,} with their "
            f"own.{_usual_recall(record)}"
        )
    if not record.data.trained_on:
        items.append("By --trained-on, the network was trained on none of these splits, so no sample counts as seen.")
    if items:
        yield Items(tuple(items))


def _gap(points: float) -> str:
    if points > 15:
        return "It has memorised much of its training data."
    if points > 5:
        return "It is better on images that it was trained on."
    if points < -5:
        return "That is less than on unseen images: was it trained on other samples?"
    return "It has memorised little of its training data."


def _points(one: ShareDifference) -> str:
    low, high = units.number(100 * one.low, 1), units.number(100 * one.high, 1)
    return f"{units.signed(100 * one.value, 1)} points ({low} to {high})"


def _copies(record: EvaluationRecord, within: ShareDifference) -> str:
    """What the difference within emotions shows, measured by networks that never saw a copy."""
    if not _has_control(record):
        return "Copied images may be easier than others, too." if within.low > 0 else "No effect of copies is visible."
    low, high = (units.number(100 * value, 1) for value in WITHIN_EMOTIONS)
    usual = f"networks that never saw the copies ({low} to {high} points)"
    if within.low > WITHIN_EMOTIONS[1]:
        return (
            f"That is more than {usual}: the network has memorised training images, which raises its official accuracy."
        )
    if within.high < WITHIN_EMOTIONS[0]:
        return f"That is less than {usual}."
    return f"That is the same as {usual}, so no memorised copy is shown. Was it trained on this split at all?"


def _usual_recall(record: EvaluationRecord) -> str:
    if not _has_control(record):
        return ""
    low, high = (units.number(100 * value, 0) for value in AS_COPIES)
    return f" Networks that never saw the copies answer {low} to {high} % of these with the label of a copy."


def _has_control(record: EvaluationRecord) -> bool:
    """Whether the ranges of `repro.evaluation.control` are of the same samples."""
    trained, data = record.data.trained_on, record.data
    return trained == (USAGES[0],) and record.split == SPLIT and data.name == FER2013 and not data.synthetic


def _emotions(score: SplitScore) -> Table:
    columns = ["n", "Recall", "Precision", "F1", "Clean n", "Clean recall"]
    every, clean = class_measures(score.confusion), class_measures(score.clean_confusion)
    rows: list[list[Cell | Inline]] = []
    for k, emotion in enumerate(EMOTIONS):
        values = [every.recall[k], every.precision[k], every.f1[k]]
        cells = [Cell(percent(float(value)), float(value)) for value in values]
        last = Cell(percent(float(clean.recall[k])), float(clean.recall[k])) if clean.support[k] else Cell("no samples")
        rows.append([emotion, count(int(every.support[k])), *cells, count(int(clean.support[k])), last])
    both = averages(score.confusion), averages(score.clean_confusion)
    for name in both[0]:
        shown = [Cell(percent(one[name]), one[name]) for one in both]
        recall = name == "balanced accuracy"
        rows.append([name, "", shown[0] if recall else "", "", "" if recall else shown[0], "", shown[1]])
    return table([Column("Emotion"), *(Column(name, "right") for name in columns)], rows)


def _ferplus(found: dict[str, FerPlus]) -> Iterator[Block]:
    rows: list[list[Cell | Inline]] = [
        [
            split,
            count(one.score.n),
            accuracy_cell(one.score),
            interval(one.score),
            accuracy_cell(one.clean),
            count(one.left_out),
            Cell(percent(one.agreement / one.score.n), one.agreement / one.score.n) if one.score.n else "",
        ]
        for split, one in found.items()
    ]
    heads = ("n", "Accuracy", INTERVAL, "Clean", "Left out", "Labels agree")
    yield table([Column("Split"), *(Column(name, "right") for name in heads)], rows)
    yield Paragraph(
        "A sample counts if one of the seven emotions alone has the most votes of the ten people. The last column is "
        "the share of these samples whose label in FER-2013 is the same."
    )


def _calibration(record: EvaluationRecord, figure: bool) -> Iterator[Block]:
    score = record.splits[record.split]
    rows: list[list[Cell | Inline]] = []
    for name, one in (("as stated", score.calibration), (f"temperature {record.temperature or 1:.3g}", score.tempered)):
        if one is not None:
            values = [one.confidence, score.official.accuracy, one.ece, one.by_chance]
            rows.append([name, *(Cell(percent(value), value) for value in values), Cell(f"{one.loss:.3f}", one.loss)])
    heads = ("Mean probability", "Accuracy", "Calibration error", "By chance", "Loss (nat)")
    yield table([Column("Probabilities"), *(Column(name, "right") for name in heads)], rows)
    fitted = " The temperature was fitted on PublicTest alone." if score.tempered is not None else ""
    yield Paragraph(
        f"Expected calibration error in 15 bins, and what chance gives if all probabilities are calibrated.{fitted}"
    )
    shown = reliability_figure(record) if figure else None
    if shown is not None:
        yield Figure(f"{FIGURE_NAME}.svg", shown.alternative, shown.caption)


def _settings(record: EvaluationRecord) -> Iterator[Block]:
    model, settings = record.model, record.settings
    size = f", {counted(model.bytes, 'byte')}" if model.bytes else ""
    learned = f", {counted(model.parameters, 'parameter')}" if model.parameters is not None else ""
    items: list[Inline] = [("File: ", code(model.file), f", {model.form}{size}{learned}")]
    if model.sha256:
        items.append(("SHA-256: ", code(model.sha256)))
    if model.runtime:
        items.append(f"Computed by {model.runtime}")
    if settings.preprocessing is not None:
        items.append(f"Preprocessing: {settings.preprocessing.words()} ({_sources(settings.sources)})")
    items.append(
        f"Order of labels: {order_words(settings.labels)} ({settings.sources['labels']}); outputs: {settings.outputs}"
    )
    if settings.search is not None and settings.search.tried:
        best, *others = settings.search.tried
        second = f", the next best {percent(others[0].accuracy)}" if others else ""
        items.append(
            f"Preprocessing found by search: {1 + len(others)} candidates on "
            f"{counted(settings.search.samples, 'sample')} of "
            f"Training, and on no other split. The best gave {percent(best.accuracy)}{second}."
        )
    trained = ", ".join(record.data.trained_on) or "none of its splits"
    items.append(
        (
            f"Dataset: {record.data.name} ({record.data.fingerprint[:8]}); seen in training (",
            code("--trained-on"),
            f"): {trained}",
        )
    )
    if (speed := record.speed) is not None:
        items.append(
            f"Speed: {units.rate(speed.images_per_s)} images/s in batches of {speed.batch} on {speed.device} "
            f"({counted(speed.cores, 'core')}, load {speed.load_average:g} before), the network alone"
        )
    yield Items((*items, *model.notes, *record.data.notes))


def _sources(sources: Mapping[str, str]) -> str:
    """Where the settings are from, in words: 'scale, mean given; the rest from the shape'."""
    by: dict[str, list[str]] = {}
    for name, source in sources.items():
        if name != "labels":
            by.setdefault(source, []).append(name)
    return "; ".join(f"{', '.join(names)}: {source}" for source, names in sorted(by.items()))
