"""Odd and damaged photos, as ingest reads them: every one ends as a picture or as one of the known reasons."""

import random
import resource
import time
from pathlib import Path

import pytest
from fuzzing import CORPUS, MOST_MIB, MOST_SECONDS, damaged, read, seeds
from hypothesis import given, seed, settings
from hypothesis import strategies as st

POOL = [*seeds(), *(file.read_bytes() for file in sorted(CORPUS.iterdir()))]

# What is said of some of the corpus; of all of it, that it is a photo or one of the known reasons.
TOLD = {
    "jpeg-gps": None,
    "jpeg-directories-in-a-ring": None,
    "jpeg-two-pictures": None,
    "jpeg-one-row": None,
    "png-64-megapixels-in-8-kb": None,
    "png-text-bomb": None,
    "webp-moves": None,
    "jpeg-ends-early": "corrupt",
    "png-bomb": "corrupt",
    "tiff-strip-outside": "corrupt",
    "jpeg-huge-header": "too large",
    "png-huge-header": "too large",
    "png-thin": "too large",
    "tiff-tall": "too large",
    "tiff-wide": "too large",
    "webp-huge-header": "too large",
    "tiff-huge": "too large",
    "gif": "not a photo",
    "nul": "not a photo",
    "empty": "corrupt",
}


@pytest.mark.parametrize("name", sorted(file.name for file in CORPUS.iterdir()))
def test_kept_files(tmp_path: Path, name: str) -> None:
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    reason = read((CORPUS / name).read_bytes(), tmp_path / "a.jpg")
    assert reason == TOLD.get(name, reason)
    assert time.process_time() - start < MOST_SECONDS
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MOST_MIB * 1024


def test_the_corpus_is_there_and_small() -> None:
    assert {file.name for file in CORPUS.iterdir()} >= set(TOLD)
    assert sum(file.stat().st_size for file in CORPUS.iterdir()) < 200_000


@seed(20261122)
@settings(max_examples=400, deadline=None, database=None)
@given(which=st.integers(0, len(POOL) - 1), dice=st.integers(0, 2**32))
def test_damage_ends_in_a_known_way(tmp_path_factory: pytest.TempPathFactory, which: int, dice: int) -> None:
    read(damaged(POOL[which], random.Random(dice)), tmp_path_factory.getbasetemp() / "damaged.jpg")
