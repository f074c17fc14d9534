from repro.bench.targets import targets
from repro.specs.catalog import all_papers


def test_exceptions_name_papers_that_exist():
    known = {paper.id for paper in all_papers()}
    assert {name for target in targets().ratios for name in target.except_} <= known
