"""What moves the weights: the optimizer, its schedule, and the moving average."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from openplanet.training.recipe.base import RunRecipe


def optimizer_of(model: nn.Module, recipe: RunRecipe) -> torch.optim.Optimizer:
    """The recipe's optimizer over the weights of ``model`` that are trained."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    # weight decay on matrices and kernels only: on a bias or a norm's scale it does nothing useful
    groups = [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": recipe.weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    if recipe.optimizer == "lda":  # the weights are fitted already: one epoch that moves nothing measures them
        return torch.optim.SGD(groups, lr=0.0)
    if recipe.optimizer == "adagrad":
        # 0.1 as TensorFlow starts it: from 0 the first step would move every weight by the whole learning rate
        return torch.optim.Adagrad(groups, lr=recipe.learning_rate, initial_accumulator_value=0.1)
    return torch.optim.AdamW(groups, lr=recipe.learning_rate)


def schedule(recipe: RunRecipe, steps_per_epoch: int) -> Callable[[int], float]:
    """The learning rate at a step (from 0), as a share of the recipe's."""
    warmup, total = recipe.warmup * steps_per_epoch, recipe.epochs * steps_per_epoch

    def share(step: int) -> float:
        if step < warmup:
            return (step + 1) / (warmup + 1)
        if recipe.schedule == "constant":
            return 1.0
        return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - warmup) / max(1.0, total - warmup))))

    return share


def moving_average(model: nn.Module, decay: float) -> AveragedModel:
    """An exponential moving average of the weights, whose decay grows from 0.1: so that random first weights are
    soon forgotten."""

    def update(average: Any, current: Any, steps: Any) -> None:
        now = min(decay, (1 + int(steps)) / (10 + int(steps)))
        for old, new in zip(average, current, strict=True):
            if old.is_floating_point():
                old.lerp_(new, 1 - now)
            else:
                old.copy_(new)  # batch norm's counters

    average = AveragedModel(model, multi_avg_fn=update, use_buffers=True)
    average.requires_grad_(False)  # else processes that train together would wait for its gradients
    return average
