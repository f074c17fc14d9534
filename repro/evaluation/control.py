"""What networks show that never saw a copy: the measure of recall for those that may have.

Copied images are easier than others of the same emotion, and the labels of their copies are often the better ones. So
a network that saw no copy is better on them too. The ranges are the means of the runs under the protocol `clean` of
four papers here (17 networks), on PrivateTest; `tests/evaluation/test_control.py` computes them again from the records.
"""

from __future__ import annotations

PAPERS = ("basani2017", "chavan2020", "teta2022", "zhaqsylyq")
# Accuracy on samples with a copy in Training minus others, within the same emotions: lowest and highest paper.
WITHIN_EMOTIONS = (0.059, 0.077)
# Of the samples whose copies all carry another label, the share answered with such a label.
AS_COPIES = (0.33, 0.47)
SPLIT = "PrivateTest"
