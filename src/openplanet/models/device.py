"""The device that networks run on, chosen in one place for training, inference and evaluation.

Nothing of float64 goes there: Apple's GPUs have no such numbers. Positions and times stay on the CPU.
"""

import torch


def best_device() -> torch.device:
    """A GPU of NVIDIA's (or AMD's, by the same name), else Apple's, else the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
