import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openplanet.photos.ingest.split import assign_split, group_keys, mark_near_duplicates

PHOTOS = st.lists(
    st.tuples(st.sampled_from([None, None, "Ada", "Bo", "Cy", "Di"]), st.sampled_from("abcdefgh")),
    max_size=30,
)


def splits_of(photos: list[tuple[str | None, str]], split_by: str) -> list[str]:
    keys = group_keys([owner for owner, _ in photos], [album for _, album in photos], split_by)
    return [assign_split(key) for key in keys]


def test_shares_are_80_10_10() -> None:
    names, counts = np.unique([assign_split(f"album:{number}") for number in range(20_000)], return_counts=True)
    shares = dict(zip(names, counts / 20_000, strict=True))
    assert shares["train"] == pytest.approx(0.8, abs=0.01)
    assert shares["val"] == pytest.approx(0.1, abs=0.01) and shares["test"] == pytest.approx(0.1, abs=0.01)


def test_splits_never_change_between_versions() -> None:
    # A dataset ingested again by a later version must not turn test photos into training photos.
    keys = ("owner:Ada", "album:0", "album:1", "album:2", "album:4", "album:8", "album:14")
    assert [assign_split(key) for key in keys] == EXPECTED


EXPECTED = ["train", "train", "val", "train", "val", "test", "test"]


@given(PHOTOS)
def test_neither_owner_nor_album_is_cut(photos: list[tuple[str | None, str]]) -> None:
    keys = group_keys([owner for owner, _ in photos], [album for _, album in photos], "owner")
    for which in (0, 1):
        for name in {photo[which] for photo in photos} - {None}:
            assert len({key for key, photo in zip(keys, photos, strict=True) if photo[which] == name}) == 1


@given(PHOTOS)
def test_by_album_the_album_alone_counts(photos: list[tuple[str | None, str]]) -> None:
    keys = group_keys([owner for owner, _ in photos], [album for _, album in photos], "album")
    assert keys == [f"album:{album}" for _, album in photos]


@given(PHOTOS, st.randoms())
def test_order_of_photos_does_not_matter(photos: list[tuple[str | None, str]], random: object) -> None:
    order = list(range(len(photos)))
    random.shuffle(order)  # type: ignore[attr-defined]
    keys = group_keys([owner for owner, _ in photos], [album for _, album in photos], "owner")
    again = group_keys([photos[i][0] for i in order], [photos[i][1] for i in order], "owner")
    assert again == [keys[i] for i in order]


@given(PHOTOS, PHOTOS)
def test_added_photos_move_none_unless_they_tie_groups_together(
    photos: list[tuple[str | None, str]], more: list[tuple[str | None, str]]
) -> None:
    owners, albums = {owner for owner, _ in photos} - {None}, {album for _, album in photos}
    # New owners and albums of their own, and known owners in new albums: nothing that joins what was apart.
    apart = [(f"new {owner}", f"new {album}") for owner, album in more]
    known = [(owner, f"{owner} again") for owner, _ in more if owner in owners]
    known += [(None, album) for _, album in more if album in albums]
    before = splits_of(photos, "owner")
    assert splits_of(photos + apart + known, "owner")[: len(photos)] == before
    assert splits_of(photos + more, "album")[: len(photos)] == splits_of(photos, "album")


def test_near_duplicates_leave_train_and_val_but_never_test() -> None:
    rng = np.random.default_rng(0)
    grey, dhash = rng.integers(0, 256, (6, 256), np.uint8), rng.integers(0, 2**63, 6, np.uint64)
    #        test  train=test  val=test  val  train=val  train
    twin_of = [0, 0, 0, 3, 3, 5]
    splits, of = mark_near_duplicates(["test", "train", "val", "val", "train", "train"], dhash[twin_of], grey[twin_of])
    assert splits.tolist() == ["test", "none", "none", "val", "none", "train"]
    assert of.tolist() == [-1, 0, 0, -1, 3, -1]


def test_a_photo_taken_out_of_val_does_not_take_others_out_of_train() -> None:
    # val is a copy of test and thrown out; train, like val but not like test, may stay.
    rng = np.random.default_rng(0)
    grey = rng.integers(0, 256, (1, 256), np.uint8)
    dhash = np.array([0, 2**8 - 1, 2**16 - 1], np.uint64)  # 8 bits from one to the next, 16 from first to last
    splits, _ = mark_near_duplicates(["test", "val", "train"], dhash, np.repeat(grey, 3, axis=0))
    assert splits.tolist() == ["test", "none", "train"]
