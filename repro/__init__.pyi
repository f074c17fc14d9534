from repro.api.data import audit_arrays as audit_arrays
from repro.api.data import audit_split as audit_split
from repro.api.data import load_data as load_data
from repro.api.evaluation import evaluate as evaluate
from repro.api.models import load_model as load_model
from repro.api.papers import paper as paper
from repro.api.runs import run as run
from repro.api.verdict import verdict as verdict

__version__: str
STARTED_AT: float
__all__ = ["audit_arrays", "audit_split", "evaluate", "load_data", "load_model", "paper", "run", "verdict"]
