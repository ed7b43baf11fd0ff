"""A server with a tiny untrained model."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import urllib3
from serving import Running, Served

from openplanet.earth.partition import adaptive as partitions
from openplanet.models.checkpoint import Checkpoint
from openplanet.models.image_model import ImageConfig, ImageModel
from openplanet.serve.app import create_app
from openplanet.serve.engine import Engine
from openplanet.serve.limits import Limits
from openplanet.serve.server import listen, server


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(0)
    cells = partitions.build([(rng.uniform(-60, 60, 200), rng.uniform(-180, 180, 200))], 20, 2)
    config = ImageConfig("test_resnet", image_size=32)
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("serve") / "checkpoint"
    Checkpoint(ImageModel(config, len(cells)), cells, {"name": "none"}, config, {}).save(folder)
    return folder


@pytest.fixture(scope="session")
def running(checkpoint: Path) -> Running:
    """Start a server with these options; it stops at the end of the ``with``."""

    @contextmanager
    def run(
        limits: Limits | None = None, checkpoint: Path = checkpoint, reference: Path | None = None, **more: Any
    ) -> Iterator[Served]:
        limits = limits or Limits()
        engine = Engine(checkpoint, limits, reference)
        bound = listen("127.0.0.1", 0)
        port = bound.getsockname()[1]
        one = server(create_app(engine, limits, **more))
        thread = threading.Thread(target=one.run, kwargs={"sockets": [bound]}, daemon=True)
        thread.start()
        while not one.started and thread.is_alive():
            time.sleep(0.01)
        client = urllib3.PoolManager(retries=False, timeout=60, maxsize=64)
        try:
            yield Served(f"http://127.0.0.1:{port}", port, engine, one, thread, client)
        finally:
            client.clear()
            one.should_exit = True
            thread.join(60)
            assert not thread.is_alive()

    return run


@pytest.fixture(scope="session")
def served(running: Running) -> Iterator[Served]:
    """One with the usual options."""
    with running() as one:
        yield one
