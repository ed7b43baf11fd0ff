import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from dataset_files import write_dataset
from inference.conftest import picture
from openplanet import Predictor
from openplanet.cli import cli
from openplanet.errors import CheckpointError, InputError
from openplanet.inference.album_predictor import AlbumPredictor
from openplanet.inference.engine_predictor import EnginePredictor
from openplanet.inference.engines import export as exporting
from openplanet.inference.engines.engine import Engine
from openplanet.inference.engines.export import export
from openplanet.inference.engines.registry import ENGINES
from openplanet.inference.locator import open_locator
from openplanet.models.checkpoint import Checkpoint
from openplanet.photos.dataset import Dataset


class Script(Engine):
    """TorchScript as an engine: what the contract is tested by."""

    extra, needs, needs_to_write, precisions = "script", ("torch",), (), ("fp32", "int8")
    wrong = 0.0

    def write(self, graph: Any, example_B3HW: Any, folder: Path, precision: str, photos: Any) -> None:
        self.photos = photos
        torch.jit.trace(graph, torch.from_numpy(example_B3HW)).save(folder / "model.pt")  # type: ignore[no-untyped-call]

    def open(self, folder: Path, precision: str, threads: int) -> Any:
        model = torch.jit.load(folder / "model.pt")  # type: ignore[no-untyped-call]

        def run(pixels_B3HW: Any) -> Any:
            scores_BC, embedding_BD = (each.numpy() for each in model(torch.from_numpy(pixels_B3HW)))
            return scores_BC * (1 - 2 * self.wrong), embedding_BD

        return run


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Script:
    engine = Script()
    monkeypatch.setitem(ENGINES, "script", engine)
    return engine


pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")


def same(model: Path, photos: list[Path], engine: str, atol: float) -> None:
    """The engine says of each photo what PyTorch says, to within ``atol``; in order, with the same errors."""
    fast, slow = open_locator(model, engine=engine), Predictor.load(model, device="cpu")
    assert isinstance(fast, EnginePredictor) and fast.provenance["engine"] == engine
    assert fast.partition.cell_token == slow.partition.cell_token and fast.coarser == slow.coarser
    for got, want in zip(fast.locate_many(photos, batch_size=3), slow.locate_many(photos), strict=True):
        assert (got.photo, got.error) == (want.photo, want.error)
        if got.prediction is not None and want.prediction is not None:
            np.testing.assert_allclose(got.prediction.probabilities, want.prediction.probabilities, atol=atol)
    for got_D, want_D in zip(fast.embed_many(photos), slow.embed_many(photos), strict=True):
        assert (got_D is None) == (want_D is None)
        if got_D is not None and want_D is not None:
            assert float(torch.linalg.norm(got_D - want_D) / torch.linalg.norm(want_D)) < 40 * atol


def test_an_exported_network_says_what_pytorch_says(
    model: Path, photos: list[Path], dataset: Dataset, script: Script
) -> None:
    made = export(model, "script", "fp32", dataset)
    assert made.about.measured["photos"] == 12 and made.about.measured["same_first_cell"] == 1.0
    assert made.about.measured["embedding_error"] < 1e-5
    shares = made.about.measured["within_750_km"]
    assert shares["pytorch"] == shares["engine"]
    assert len(script.photos) == 0
    same(model, photos, "script-fp32", 1e-6)
    assert open_locator(model).provenance["engine"] == "script-fp32", "what was exported answers unless asked otherwise"
    assert isinstance(open_locator(model, engine="pytorch"), Predictor)
    assert isinstance(open_locator(model, device="cpu", engine="pytorch"), Predictor)


def test_int8_is_calibrated_on_training_photos_evenly_through_the_split(
    model: Path, dataset: Dataset, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match="--dataset"):
        export(model, "script", "int8")
    monkeypatch.setattr(exporting, "CALIBRATION_PHOTOS", 8)
    export(model, "script", "int8", dataset)
    assert script.photos.shape == (8, 3, 32, 32) and len(np.unique(script.photos.reshape(8, -1), axis=0)) == 8


def test_one_that_loses_more_than_asked_is_not_kept(model: Path, tmp_path: Path, script: Script) -> None:
    predictor = Predictor.load(model, device="cpu")
    rows = []
    for number in range(8):  # where PyTorch puts them
        best = predictor.locate(picture(number)).best
        image = {"bytes": picture(number), "path": None}
        rows.append({"photo_id": f"{number:064x}", "image": image, "lat": best.lat, "lng": best.lng, "split": "val"})
    rows.append(rows[0] | {"photo_id": f"{9:064x}", "split": "train"})
    dataset = write_dataset(tmp_path / "right.ds", rows)
    before = export(model, "script", "fp32", dataset)
    assert before.about.measured["within_25_km"] == {"pytorch": 1.0, "engine": 1.0}
    stamp = (before.folder / "engine.json").read_text()
    script.wrong = 1.0  # the least likely cell comes first
    with pytest.raises(InputError, match=r"places 0\.0% of 8 .* PyTorch 100\.0%.*--max-loss 0\.01"):
        export(model, "script", "fp32", dataset)
    assert (before.folder / "engine.json").read_text() == stamp, "what was there before stays"
    assert [path.name for path in (model / "engines").iterdir()] == ["script-fp32"]
    assert export(model, "script", "int8", dataset, max_loss=1.0).about.measured["same_first_cell"] == 0.0


def test_of_other_weights_it_is_refused(
    model: Path, photos: list[Path], script: Script, caplog: pytest.LogCaptureFixture
) -> None:
    export(model, "script", "fp32")
    checkpoint = Checkpoint.load(model)
    next(checkpoint.model.parameters()).data.add_(0.1)
    checkpoint.save(model)
    with pytest.raises(CheckpointError, match="exported from other weights"):
        open_locator(model, engine="script")
    caplog.set_level("INFO", "openplanet")
    assert isinstance(open_locator(model), Predictor), "where nobody asked for it PyTorch answers"
    assert "other weights" in caplog.text and "PyTorch answers" in caplog.text
    export(model, "script", "fp32")
    same(model, photos, "script-fp32", 1e-6)


def test_the_environment_names_an_engine_where_nobody_else_does(
    model: Path, photos: list[Path], script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    export(model, "script", "fp32")
    together = AlbumPredictor.load(model)
    assert isinstance(together.predictor, EnginePredictor), "albums too see photos by what was exported"
    assert [each.status for each in together.locate_many(photos)].count("located") == 4
    monkeypatch.setenv("OPENPLANET_ENGINE", "pytorch")
    assert isinstance(open_locator(model), Predictor) and isinstance(AlbumPredictor.load(model).predictor, Predictor)
    assert isinstance(open_locator(model, engine="script"), EnginePredictor)
    monkeypatch.setenv("OPENPLANET_ENGINE", "")
    assert isinstance(open_locator(model), EnginePredictor)


def test_a_new_temperature_needs_no_new_export(model: Path, photos: list[Path], script: Script) -> None:
    export(model, "script", "fp32")
    checkpoint = Checkpoint.load(model)
    checkpoint.calibration = type(checkpoint.calibration)(0.7)
    checkpoint.save_calibration(model)
    same(model, photos, "script-fp32", 1e-6)


def test_the_fastest_that_can_run_answers(model: Path, script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    for precision, speedup in (("fp32", 2.0), ("int8", 4.0)):
        monkeypatch.setattr(exporting, "_speedup", lambda *_, speedup=speedup: speedup)
        monkeypatch.setattr(script, "check", lambda _: None)
        monkeypatch.setattr(exporting, "_photos", lambda *_: SimpleNamespace(pixels=np.zeros((1, 3, 32, 32), np.uint8)))
        monkeypatch.setattr(exporting, "_measured", lambda *_: {})
        export(model, "script", precision, object())  # type: ignore[arg-type]
    assert open_locator(model).provenance["engine"] == "script-int8"
    assert open_locator(model, engine="script-fp32").provenance["engine"] == "script-fp32"
    monkeypatch.setattr(script, "installed", lambda: False)
    assert isinstance(open_locator(model), Predictor)
    with pytest.raises(InputError):
        open_locator(model, engine="script")


def test_what_cannot_be_had_is_named(model: Path, script: Script) -> None:
    for asked, word in (("tensorrt", "there is no engine"), ("onnx", "has no network for onnx")):
        with pytest.raises(InputError, match=word):
            open_locator(model, engine=asked)
    with pytest.raises(InputError, match="no precision bf16"):
        export(model, "script", "bf16")
    made = export(model, "script", "fp32")
    (made.folder / "model.pt").write_bytes(b"cut")
    with pytest.raises(CheckpointError, match=r"model\.pt is missing or damaged"):
        open_locator(model, engine="script")
    (made.folder / "engine.json").write_text("{}")
    with pytest.raises(CheckpointError, match=r"engine\.json is damaged"):
        open_locator(model, engine="script")


def test_packages_that_are_missing_are_named(model: Path, script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Script, "needs", ("no_such_package",))
    with pytest.raises(InputError, match=r"pip install 'openplanet\[script\]'"):
        export(model, "script", "fp32")
    assert not (model / "engines").exists()


def need(engine: str) -> None:
    """Skip where the engine is not installed; importing OpenVINO here would start its telemetry."""
    if not ENGINES[engine].installed():
        pytest.skip(f"{engine} is not installed")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("engine", "precision", "atol"),
    [("openvino", "fp32", 1e-5), ("openvino", "bf16", 0.02), ("openvino", "int8", 0.05), ("onnx", "fp32", 1e-5),
     ("onnx", "int8", 0.05)],
)  # fmt: skip
def test_real_engines(
    model: Path, photos: list[Path], dataset: Dataset, engine: str, precision: str, atol: float
) -> None:
    need(engine)
    example = ["export", str(model), "--engine", engine, "--precision", precision, "--max-loss", "1"]
    done = CliRunner().invoke(cli, [*example, "--dataset", str(dataset.path)], catch_exceptions=False)
    assert done.exit_code == 0 and "times as fast as PyTorch" in done.output and "within 25 km" in done.output
    same(model, photos, f"{engine}-{precision}", atol)


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["openvino", "onnx"])
def test_locate_answers_without_torch(model: Path, photos: list[Path], engine: str) -> None:
    need(engine)
    export(model, engine, "fp32")
    code = (
        "import sys\n"
        "from openplanet.cli import cli\n"
        f"asked = ['locate', {str(photos[0])!r}, '--all-pictures', '--checkpoint', {str(model)!r}]\n"
        "cli(asked, standalone_mode=False)\n"
        "loaded = {'torch', 'timm', 'pandas', 'huggingface_hub', 'matplotlib', 'openplanet.inference.predictor'}\n"
        "loaded |= {'fsspec', 's3fs', 'aiohttp'}\n"
        "assert not loaded & set(sys.modules), loaded & set(sys.modules)\n"
    )
    code += "assert not any(name.startswith('openvino_telemetry.') for name in sys.modules)\n"
    home = model.parent / "home"
    home.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=300,
        env={**os.environ, "HOME": str(home)},
    )  # fmt: skip
    assert "best point" in done.stdout
    assert not (home / "intel").exists(), "OpenVINO's telemetry keeps a number of the user there"
