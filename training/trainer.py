"""The training run: one loop that can be killed at any time and resumes from its last checkpoint.

Muon (Jordan et al., 2024) trains the matrices, AdamW embeddings and norms, in bfloat16 autocast. The loss
counts the target tokens only. The learning rate follows the larger of two shares: steps done of steps
planned, and processor time spent of that allowed. So a run on a busy machine still anneals to its end.
"""

from __future__ import annotations

import json
import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch.nn.functional import cross_entropy
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast, Qwen3ForCausalLM

from braid.engine import BraidError
from braid.training.attention import BLOCKED
from braid.training.batches import Batch, BatchSource
from braid.training.facts import machine, read_training
from braid.training.qwen3 import Shape, build_model, flops_per_token, parameter_count

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that decides the result of a run, the machine's speed apart."""

    seed: int = 0
    """Draws data and first weights."""
    start: str = ""
    """Digest of the weights that the run begins with. Empty if it begins from nothing."""
    minutes: float | None = 75.0
    """Limit of the training thread's processor time. None for none.

    It includes the time before a resumption. Time in which the process is stopped, or waits for a processor,
    does not count.
    """
    steps: int = 1_000_000
    """Limit of the optimizer steps. The run ends at the limit that comes first."""
    batch_tokens: int = 8192
    """Tokens per step, padding included."""
    shape: Shape = field(default_factory=Shape)
    matrix_rate: float = 0.02
    """Peak learning rate of the matrices."""
    vector_rate: float = 4e-3
    """Peak learning rate of embeddings and norms."""
    weight_decay: float = 0.01
    """Weight decay of the matrices."""
    warmup: float = 0.01
    """Share of the run in which the learning rate rises."""
    decay: float = 0.5
    """Share of the run in which the learning rate falls to zero."""
    clip: float = 1.0
    """Largest norm of the gradient."""
    compile: bool = True
    """Whether torch.compile is used."""
    half: bool = True
    """Whether matrix products are in bfloat16. Processors without such instructions are slow at it."""


@dataclass
class Progress:
    """How far a run is. It is saved with every checkpoint."""

    step: int = 0
    """Optimizer steps done."""
    pool: int = 0
    """Pool of the next batch."""
    position: int = 0
    """Place of the next batch in its pool."""
    tokens: int = 0
    """Tokens read, without padding."""
    learned_tokens: int = 0
    """Target tokens."""
    seconds: float = 0.0
    """Processor time of the training thread."""
    loss: float = 0.0
    """Loss of the last step."""


class StartError(BraidError, ValueError):
    """A run cannot begin, or resume, as asked."""


OnStep = Callable[[Progress, float], None]
"""Called after every step with the progress and the share of the run that is done."""


class Trainer(ABC):
    """One training run in a folder.

    The folder holds `tokenizer.json`, `recipe.json`, `checkpoint.pt` and the log of losses. A run whose
    folder has a checkpoint is resumed.
    """

    attention = BLOCKED
    """What training on a CPU attends with."""

    def __init__(self, recipe: Recipe, folder: Path, *, start: Path | None = None) -> None:
        """Begin or resume a run.

        Args:
            recipe: The recipe. A run is resumed with its own one.
            folder: Folder of the run.
            start: Folder of the exported model that the run begins with. The recipe has its digest.

        Raises:
            StartError: The folder holds a run with another recipe, or the model in `start` has another shape.
        """
        self.recipe = recipe
        self.folder = folder
        self.start = start
        folder.mkdir(parents=True, exist_ok=True)
        self.tokenizer = self._make_tokenizer()
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.model = self._make_model()
        torch.nn.Module.to(self.model, self.device)
        self.optimizers = self._make_optimizers()
        self.peak_rates = [float(optimizer.param_groups[0]["lr"]) for optimizer in self.optimizers]
        self.progress = Progress()
        self.source = self._make_source()
        self._resume()
        self._body: Any = (
            torch.compile(self.model.model, dynamic=True) if recipe.compile else self.model.model
        )

    def run(
        self,
        *,
        on_step: OnStep | None = None,
        save_every: float = 180.0,
        evaluate_every: float | None = None,
        stop_after: int | None = None,
    ) -> Progress:
        """Train to the end of the recipe, or for `stop_after` more steps.

        Args:
            on_step: Called after every step.
            save_every: Seconds between checkpoints. One is always written at the end.
            evaluate_every: Seconds between evaluations, which go to `evaluations.jsonl`. None for none.
            stop_after: Number of steps. None for all.
        """
        progress = self.progress
        began, base = time.thread_time(), progress.seconds
        saved = evaluated = time.monotonic()
        stop = None if stop_after is None else progress.step + stop_after
        self._set_training(True)
        for pool, position, batch in self.source.batches(pool=progress.pool, position=progress.position):
            progress.seconds = base + time.thread_time() - began
            fraction = self.fraction_done()
            if fraction >= 1.0 or progress.step == stop:
                break
            progress.loss = self.step(batch, fraction)
            progress.step += 1
            progress.pool, progress.position = pool, position + 1
            progress.tokens += batch.tokens
            progress.learned_tokens += int((batch.targets >= 0).sum())
            self._log_step(progress)
            if on_step:
                on_step(progress, fraction)
            if time.monotonic() - saved > save_every:
                self.save()
                saved = time.monotonic()
            if evaluate_every is not None and time.monotonic() - evaluated > evaluate_every:
                self._append("evaluations.jsonl", {"step": progress.step, **self.evaluate()})
                evaluated = time.monotonic()
        self.save()
        self._set_training(False)
        return progress

    def evaluate(self) -> dict[str, float]:
        """Figures of the model so far, by name. There are none unless a subclass has some."""
        return {}

    def _set_training(self, on: bool) -> None:
        """Switch between training and generating.

        Training on a CPU uses our attention. It knows no cache, so generating uses torch's.
        """
        self.model.train(on)
        self.model.set_attn_implementation(self.attention if on and self.device.type == "cpu" else "sdpa")

    def fraction_done(self) -> float:
        """The share of the run that is done, by steps or by time."""
        share = self.progress.step / self.recipe.steps
        if self.recipe.minutes is not None:
            share = max(share, self.progress.seconds / (60 * self.recipe.minutes))
        return share

    def step(self, batch: Batch, fraction: float) -> float:
        """Do one optimizer step. Returns the mean loss per target token."""
        scale = rate_factor(fraction, warmup=self.recipe.warmup, decay=self.recipe.decay)
        for optimizer, top in zip(self.optimizers, self.peak_rates, strict=True):
            for group in optimizer.param_groups:
                group["lr"] = top * scale
        loss = target_loss(self._body, self.model, batch.to(self.device), half=self.recipe.half)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe.clip)
        for optimizer in self.optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        return loss.item()

    def save(self) -> None:
        """Write the checkpoint. A kill while writing leaves the one before."""
        state = {
            "model": self._trained_state(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "progress": asdict(self.progress),
        }
        fresh = self.folder / "checkpoint.pt.new"
        torch.save(state, fresh)
        fresh.replace(self.folder / "checkpoint.pt")

    def facts(self) -> dict[str, Any]:
        """Recipe and cost of the run, for the model card."""
        return {
            "recipe": asdict(self.recipe),
            "progress": asdict(self.progress),
            "parameters": parameter_count(self.model),
            "flops": self._flops_per_token() * self.progress.tokens,
            "threads": torch.get_num_threads(),
            "machine": machine(),
        } | ({"before": read_training(self.start)} if self.start else {})

    def _resume(self) -> None:
        recorded = self.folder / "recipe.json"
        text = json.dumps(asdict(self.recipe), indent=1)
        path = self.folder / "checkpoint.pt"
        if path.exists():
            ours, theirs = json.loads(text), json.loads(recorded.read_text(encoding="utf-8"))
            # Runs of earlier versions recorded settings that decided nothing, and in another order.
            if any(name not in theirs or theirs[name] != setting for name, setting in ours.items()):
                raise StartError(
                    f"{self.folder} holds a run with another recipe; give it the same one, or another folder"
                )
            state = torch.load(path, weights_only=True, map_location=self.device)
            self._load_trained(state["model"])
            for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
                optimizer.load_state_dict(saved)
            self.progress = Progress(**state["progress"])
            log.info("resumed at step %d", self.progress.step)
        elif self.start is not None:
            self._begin_with(self.start)
        recorded.write_text(text, encoding="utf-8")

    def _begin_with(self, folder: Path) -> None:
        theirs = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).state_dict()
        try:
            self.model.load_state_dict(theirs)
        except RuntimeError as error:
            raise StartError(f"the model in {str(folder)!r} has another shape: {error}") from error

    @abstractmethod
    def _make_tokenizer(self) -> PreTrainedTokenizerFast:
        """The tokenizer of the run, saved in its folder."""

    @abstractmethod
    def _make_source(self) -> BatchSource[Any]:
        """The batches of the run."""

    def _make_model(self) -> Any:
        return build_model(self.recipe.shape, self.tokenizer, seed=self.recipe.seed)

    def _make_optimizers(self) -> list[torch.optim.Optimizer]:
        """The optimizers, at their peak learning rates."""
        recipe = self.recipe
        matrices = [p for n, p in self.model.named_parameters() if p.ndim == 2 and "embed" not in n]
        others = [p for n, p in self.model.named_parameters() if p.ndim != 2 or "embed" in n]
        return [
            torch.optim.Muon(
                matrices, lr=recipe.matrix_rate, momentum=0.95, weight_decay=recipe.weight_decay
            ),
            torch.optim.AdamW(others, lr=recipe.vector_rate, betas=(0.9, 0.95), weight_decay=0.0),
        ]

    def _trained_state(self) -> dict[str, torch.Tensor]:
        """The weights that a checkpoint holds."""
        return self.model.state_dict()

    def _load_trained(self, state: dict[str, torch.Tensor]) -> None:
        self.model.load_state_dict(state)

    def _flops_per_token(self) -> int:
        return flops_per_token(self.model)

    def _log_step(self, progress: Progress) -> None:
        self._append(
            "losses.jsonl",
            [progress.step, round(progress.loss, 5), progress.tokens, round(progress.seconds, 1)],
        )

    def _append(self, name: str, what: object) -> None:
        with (self.folder / name).open("a", encoding="utf-8") as file:
            file.write(json.dumps(what) + "\n")


def target_loss(body: Any, model: Qwen3ForCausalLM, batch: Batch, *, half: bool = True) -> torch.Tensor:
    """Mean cross-entropy over the target tokens. Logits are computed for these alone.

    With `half`, matrix products are in bfloat16.
    """
    learned = batch.targets >= 0
    with torch.autocast(batch.ids.device.type, dtype=torch.bfloat16, enabled=half):
        hidden = body(
            input_ids=batch.ids, position_ids=batch.positions, attention_mask=batch.mask, use_cache=False
        ).last_hidden_state
        logits = hidden[learned] @ model.lm_head.weight.T
    return cross_entropy(logits.float(), batch.targets[learned])


def rate_factor(fraction: float, *, warmup: float, decay: float) -> float:
    """Learning-rate factor after `fraction` of the run: up, level, then linearly down to zero."""
    if fraction < warmup:
        return max(0.02, fraction / warmup)
    return min(1.0, max(0.0, (1.0 - fraction) / decay))
