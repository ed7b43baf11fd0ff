import pickle
from pathlib import Path

import pytest

from openplanet.errors import InputError
from openplanet.photos.sources.registry import SOURCES, source_of
from openplanet.photos.sources.source import Found, Search


def named(kind: str, folder: Path) -> Path:
    (folder / "plain" / "sub").mkdir(parents=True)
    (folder / "export").mkdir()
    for name in ("plain/a.jpg", "export/a.jpg", "export/a.jpg.json", "t.tar", "table.csv", "b.jpg"):
        (folder / name).write_bytes(b"x")
    return Path(kind) if kind.startswith("hf:") else folder / kind


@pytest.mark.parametrize(
    ("kind", "source"),
    [
        ("plain", "folder"),
        ("b.jpg", "folder"),
        ("table.csv", "folder"),  # unless it is the table of coordinates and there is no other source
        ("export", "takeout"),
        ("export/a.jpg", "takeout"),
        ("t.tar", "tar"),
        ("hf:somebody/photos", "huggingface"),
    ],
)
def test_what_the_user_named_has_one_source(kind: str, source: str, tmp_path: Path) -> None:
    assert source_of(named(kind, tmp_path)) is SOURCES[source]


def test_a_table_of_coordinates_is_the_source_where_there_is_no_other(tmp_path: Path) -> None:
    table = named("table.csv", tmp_path)
    assert Search([table], Found(), table=(table, []), sources=SOURCES).source_of(table) is SOURCES["table"]


def test_what_is_missing_is_an_error(tmp_path: Path) -> None:
    for name in ("gone", "gone.tar", "gone.jpg"):
        with pytest.raises(InputError, match=f"{name}: no such file or folder"):
            source_of(tmp_path / name)


def test_workers_get_sources() -> None:
    for source in SOURCES.values():
        assert type(pickle.loads(pickle.dumps(source))) is type(source)
