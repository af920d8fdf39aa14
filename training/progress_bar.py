"""A training run on the terminal."""

from __future__ import annotations

from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

from braid.training.trainer import Progress, Trainer


def train_with_bar(trainer: Trainer, *, evaluate_every: float | None = None) -> None:
    """Train to the end, with loss, speed and time left on the terminal.

    Args:
        trainer: The run.
        evaluate_every: Seconds between evaluations. None for none.
    """
    with Bar(
        TextColumn("[bold]training"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %  {task.fields[figures]}"),
        TimeElapsedColumn(),
        console=Console(stderr=True),
    ) as bar:
        task = bar.add_task("training", total=1.0, figures="compiling" if trainer.recipe.compile else "")
        smooth = 0.0

        def show(progress: Progress, fraction: float) -> None:
            nonlocal smooth
            smooth = 0.95 * smooth + 0.05 * progress.loss if smooth else progress.loss
            left = progress.seconds * (1 - fraction) / max(fraction, 1e-6)
            speed = progress.tokens / max(progress.seconds, 1e-6)
            figures = (
                f"step {progress.step}  loss {smooth:.3f}  {speed:,.0f} tokens/s  {left / 60:.0f} min left"
            )
            bar.update(task, completed=fraction, figures=figures)

        trainer.run(on_step=show, evaluate_every=evaluate_every)
