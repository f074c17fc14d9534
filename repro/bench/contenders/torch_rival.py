"""The same training in PyTorch, as a good PyTorch engineer would write it for speed."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch  # pyright: ignore[reportMissingImports]
from torch import Tensor  # pyright: ignore[reportMissingImports]

from fer_jax.vocabulary.settings import Adam, Optimizer, RmsProp, Sgd, Training
from repro.bench.contenders import complete_batches
from repro.bench.contenders.stages import output
from repro.bench.contenders.torch_network import TorchNetwork, mean_loss, probabilities
from repro.bench.workload import Workload

# Arguments of torch.compile, by the first word of the mode.
_COMPILE: dict[str, dict[str, Any] | None] = {
    "eager": None,
    "compile": {},
    "max-autotune": {"mode": "max-autotune"},  # with CUDA graphs, one each for the forward and the backward pass
    "cuda-graph": {"mode": "max-autotune-no-cudagraphs"},  # the whole step is captured here instead
}


class TorchRival:
    """PyTorch in one mode. Images stay on the device as bytes; losses return to the host once, at the end."""

    def __init__(self, mode: str, workload: Workload, device: str) -> None:
        self.workload, self.network = workload, workload.network
        self.device = torch.device("cuda" if device == "gpu" else "cpu")
        kind = mode.removesuffix("-channels_last")
        self.channels_last = mode != kind
        _set_precision(workload.precision, self.device)
        self.images = torch.from_numpy(workload.images).to(self.device)
        self.labels = torch.from_numpy(workload.labels.astype(np.int64)).to(self.device)
        self.module = TorchNetwork(self.network, channels_last=self.channels_last).to(self.device)
        self.offset, self.factor = (torch.from_numpy(value).to(self.device) for value in self.network.scaling)
        self.output = output(self.network)
        self.optimizer = _make_optimizer(self.module, self.network.training, capturable=kind == "cuda-graph")
        self._create_optimizer_state()
        self.versions = {"torch": str(torch.__version__)}
        if self.device.type == "cuda":
            self.versions |= {"cuda": str(torch.version.cuda), "cudnn": str(torch.backends.cudnn.version())}

        self._loss, self._classes = self._loss_of, self._probabilities_of
        self._optimize = self.optimizer.step
        options = _COMPILE[kind]
        if options is not None:
            self._loss = torch.compile(self._loss, dynamic=False, **options)
            self._classes = torch.compile(self._classes, dynamic=False, **options)
            if isinstance(self.network.training.optimizer, RmsProp):
                # PyTorch has no fused RMSprop. Compiled, it is also one pass over the weights.
                self._optimize = torch.compile(self.optimizer.step, dynamic=False)
        self._graph = _StepGraph(self) if kind == "cuda-graph" else None
        self._cuda_graph_trees = kind == "max-autotune"
        self._updates = 0

    def reset(self, seed: int) -> None:
        torch.manual_seed(seed)
        self.module.load(self.workload.variables[seed])
        self._updates = 0
        settings = self.network.training.optimizer
        for state in self.optimizer.state.values():
            for name, values in state.items():
                if isinstance(values, Tensor):
                    start = settings.initial_accumulator if isinstance(settings, RmsProp) else 0.0
                    values.fill_(start if name == "square_avg" else 0.0)

    def train(self, rows_SB: np.ndarray) -> np.ndarray:
        rows = torch.from_numpy(complete_batches(rows_SB, len(self.labels))).to(self.device)
        losses = torch.empty(len(rows), device=self.device)
        self.module.train()
        step = self._graph.replay if self._graph else self.update
        for i, rows_B in enumerate(rows.unbind()):
            losses[i] = step(rows_B).detach()
        return losses.cpu().numpy()

    def update(self, rows_B: Tensor) -> Tensor:
        """One update of the weights; returns the loss before it."""
        if self._cuda_graph_trees:
            torch.compiler.cudagraph_mark_step_begin()
        self._set_epsilon()
        loss = self._loss(rows_B)
        loss.backward()
        self._optimize()
        self.optimizer.zero_grad(set_to_none=True)
        return loss

    @torch.inference_mode()
    def predict(self, rows_SB: np.ndarray) -> np.ndarray:
        rows = torch.from_numpy(complete_batches(rows_SB, len(self.labels))).to(self.device)
        classes = self.module.stages[-1].after[0]
        # Filled batch by batch: a CUDA graph writes every batch's result to the same memory.
        out = torch.empty((*rows.shape, classes), device=self.device)
        self.module.eval()
        for i, rows_B in enumerate(rows.unbind()):
            if self._cuda_graph_trees:
                torch.compiler.cudagraph_mark_step_begin()
            out[i] = self._classes(rows_B)
        return out.flatten(0, 1).cpu().numpy()

    def device_memory_bytes(self) -> int | None:
        return torch.cuda.max_memory_allocated(self.device) if self.device.type == "cuda" else None

    def variables(self) -> dict[str, Any]:
        """The current weights, in the form of `Workload.variables`."""
        return self.module.variables()

    # --- compiled functions -----------------------------------------------------------------------------------------

    def _logits(self, rows_B: Tensor, chance: float = 0.0) -> Tensor:
        images = self.images[rows_B]
        if chance:
            mirrored = torch.rand(rows_B.shape, device=self.device) < chance
            images = torch.where(mirrored[:, None, None], images.flip(-1), images)
        x = (images.float() - self.offset) * self.factor
        # PyTorch chooses the layout of later layers by the strides of this one-channel axis.
        x = x[..., None].permute(0, 3, 1, 2) if self.channels_last else x[:, None]
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.workload.precision == "bfloat16"):
            logits = self.module(x)
        return logits.float()

    def _loss_of(self, rows_B: Tensor) -> Tensor:
        logits = self._logits(rows_B, (self.network.random_flip or {}).get("train", 0.0))
        return mean_loss(self.network.training.loss, logits, self.labels[rows_B], self.output)

    def _probabilities_of(self, rows_B: Tensor) -> Tensor:
        return probabilities(self._logits(rows_B), self.output)

    # --- the optimizer's state --------------------------------------------------------------------------------------

    def _create_optimizer_state(self) -> None:
        """Create all state now (PyTorch does so in its first step), so that `reset` can set it in place."""
        for parameter in self.module.parameters():
            parameter.grad = torch.zeros_like(parameter)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)

    def _set_epsilon(self) -> None:
        """PyTorch adds epsilon to the root of the corrected second moment, Keras to that of the uncorrected one. They
        agree with epsilon / sqrt(1 - b2^t). A captured step keeps the value from its capture."""
        self._updates += 1
        settings = self.network.training.optimizer
        if isinstance(settings, Adam) and settings.epsilon_hat and self._graph is None:
            for group in self.optimizer.param_groups:
                group["eps"] = settings.epsilon / math.sqrt(1 - settings.b2**self._updates)


class _StepGraph:
    """Forward pass, backward pass and update as one CUDA graph: one launch per step."""

    def __init__(self, rival: TorchRival) -> None:
        self.rival = rival
        self.captured: dict[int, tuple[Any, Tensor, Tensor]] = {}  # by batch size: graph, rows, loss

    def replay(self, rows_B: Tensor) -> Tensor:
        if len(rows_B) not in self.captured:
            self.captured[len(rows_B)] = self._capture(rows_B)
        graph, rows, loss = self.captured[len(rows_B)]
        rows.copy_(rows_B)
        graph.replay()
        return loss

    def _capture(self, rows_B: Tensor) -> tuple[Any, Tensor, Tensor]:
        """As PyTorch's notes on CUDA graphs advise: some steps on a separate stream, then the capture."""
        rival, rows = self.rival, rows_B.clone()
        tensors = [*rival.module.parameters(), *rival.module.buffers()]
        tensors += [v for state in rival.optimizer.state.values() for v in state.values() if isinstance(v, Tensor)]
        before = [tensor.detach().clone() for tensor in tensors]
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(3):
                rival.update(rows)
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            loss = rival.update(rows).detach()
        with torch.no_grad():  # undo the steps before the capture
            for tensor, values in zip(tensors, before, strict=True):
                tensor.copy_(values)
        return graph, rows, loss


def _make_optimizer(module: TorchNetwork, training: Training, *, capturable: bool) -> torch.optim.Optimizer:
    """The update rule, with L2 as weight decay: the gradient of l2 * w^2 is 2 * l2 * w.

    PyTorch's RMSprop adds epsilon outside the root, this suite inside it. The difference is negligible while the
    average of squares is far above epsilon, as at its starting value of 1.
    """
    settings: Optimizer = training.optimizer
    kernels, others = [], []
    for tensor, (kind, _, part), _ in module.places():
        if kind == "params":
            (kernels if part == "kernel" else others).append(tensor)
    decay = 2 * training.loss.l2
    groups: list[dict[str, Any]] = [
        {"params": kernels, "weight_decay": decay},
        {"params": others, "weight_decay": decay if training.loss.l2_biases else 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    rate = settings.learning_rate
    if isinstance(settings, Sgd):
        return torch.optim.SGD(groups, lr=rate, momentum=settings.momentum, nesterov=settings.nesterov, fused=True)
    if isinstance(settings, Adam):
        betas = settings.b1, settings.b2
        return torch.optim.Adam(groups, rate, betas, settings.epsilon, fused=True, capturable=capturable)
    assert isinstance(settings, RmsProp), "`make_workload` lets no others through"
    return torch.optim.RMSprop(
        groups, rate, settings.decay, settings.epsilon, momentum=settings.momentum, foreach=True, capturable=capturable
    )


def _set_precision(precision: str, device: torch.device) -> None:
    if device.type == "cpu":
        # XLA and TensorFlow also flush denormal numbers to zero; computing with them takes many times as long.
        torch.set_flush_denormal(True)
        if precision == "tensorfloat32":
            raise ValueError("a CPU has no tensorfloat32")
        return
    tensor_float = precision == "tensorfloat32"
    # By default PyTorch uses TF32 in convolutions and not in matrix products.
    torch.set_float32_matmul_precision("high" if tensor_float else "highest")
    torch.backends.cudnn.allow_tf32 = tensor_float
    torch.backends.cudnn.benchmark = True
