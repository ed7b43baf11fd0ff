import numpy as np
import pytest

from openplanet.photos.ingest import duplicates, hash_pairs


def flipped(hashes: np.ndarray, bits: int, rng: np.random.Generator) -> np.ndarray:
    out = hashes.copy()
    for row in range(len(out)):
        for bit in rng.choice(64, bits, replace=False):
            out[row] ^= np.uint64(1) << np.uint64(bit)
    return out


@pytest.mark.parametrize("distance", [0, 4, 8, 10])
def test_finds_the_share_of_copies_that_it_states(distance: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hash_pairs, "MEETINGS", 1000)  # many small blocks
    rng = np.random.default_rng(distance)
    many = rng.integers(0, 2**64, 50_000, np.uint64, endpoint=False)
    wanted = flipped(many[:1000], distance, rng)
    found = np.zeros(1000, bool)
    for k_P, n_P in hash_pairs.pairs(wanted, many, 10):
        assert (np.bitwise_count(wanted[k_P] ^ many[n_P]) <= 10).all()
        found[k_P[k_P == n_P]] = True
    stated = hash_pairs.recall(distance, hash_pairs.sample_bits(len(many)))
    assert found.mean() == pytest.approx(stated, abs=0.05)
    assert stated > 0.99 or distance > 4


def test_every_meeting_comes_with_the_right_pair() -> None:
    few = np.array([5, 5, 7], np.uint64)
    many = np.array([7, 5, 1 << 60, 5], np.uint64)
    found = {(int(k), int(n)) for ks, ns in hash_pairs.pairs(few, many, 0) for k, n in zip(ks, ns, strict=True)}
    assert found == {(0, 1), (0, 3), (1, 1), (1, 3), (2, 0)}


def test_a_pair_comes_once_and_only_where_the_second_hashes_are_near_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hash_pairs, "MEETINGS", 100)
    rng = np.random.default_rng(5)
    few = rng.integers(0, 2**63, 50, np.uint64)
    many = np.concatenate([flipped(few, bits, rng) for bits in (0, 1, 2, 3)])
    second_K, second_N = np.zeros(50, np.uint64), np.repeat(np.array([0, 0b11, 0b111, 0], np.uint64), 50)
    found = [pair for ks, ns in hash_pairs.pairs(few, many, 10) for pair in zip(ks.tolist(), ns.tolist(), strict=True)]
    assert sorted(found) == sorted({(n % 50, n) for n in range(200)})
    second = (second_K, second_N, 2)
    found = [
        p for ks, ns in hash_pairs.pairs(few, many, 10, second) for p in zip(ks.tolist(), ns.tolist(), strict=True)
    ]
    assert sorted(found) == sorted({(n % 50, n) for n in (*range(100), *range(150, 200))})


def test_nothing_to_look_up() -> None:
    none = np.zeros(0, np.uint64)
    assert list(hash_pairs.pairs(none, np.ones(3, np.uint64), 10)) == []
    assert list(hash_pairs.pairs(np.ones(3, np.uint64), none, 10)) == []


def test_likeness_beyond_every_pair_finds_the_same_copies(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    dhash, grey = rng.integers(0, 2**63, 400, np.uint64), rng.integers(0, 256, (400, 256), np.uint8)
    copies, copied = flipped(dhash[:300], 3, rng), grey[:300]
    exact = duplicates.near_duplicates(dhash, grey, copies, copied)
    monkeypatch.setattr(duplicates, "EXACT_PAIRS", 0)
    assert (exact == np.arange(300)).all()
    assert duplicates.near_duplicates(dhash, grey, copies, copied).tolist() == exact.tolist()
