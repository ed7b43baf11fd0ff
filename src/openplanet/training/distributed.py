"""Which of how many training processes this is, as torchrun says it."""

import os
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Ranks:
    """This process among all that train together."""

    rank: int = 0
    world: int = 1
    local_world: int = 1
    """Processes on this machine."""

    @classmethod
    def from_environment(cls) -> "Ranks":
        """As torchrun sets RANK, WORLD_SIZE and LOCAL_WORLD_SIZE; alone where it did not start us."""
        world = int(os.environ.get("WORLD_SIZE", "1"))
        local = int(os.environ.get("LOCAL_WORLD_SIZE", str(world)))
        return cls(int(os.environ.get("RANK", "0")), world, local)

    @property
    def first(self) -> bool:
        """Whether this is the one that writes files and speaks."""
        return self.rank == 0

    def wait(self) -> None:
        """Until all processes have come here."""
        if self.world > 1 and torch.distributed.is_initialized():
            torch.distributed.barrier()
