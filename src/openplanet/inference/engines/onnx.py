"""ONNX Runtime: float32, and int8 by its static quantisation."""

import tempfile
import warnings
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from openplanet.inference.engines.engine import INPUT, OUTPUTS, Engine, Network, in_batches
from openplanet.models.preprocess import Pixels

if TYPE_CHECKING:
    from torch import nn

FILE = "model.onnx"
WEIGHTS = "model.onnx.data"  # beside it: one file of protocol buffers holds 2 GB at most
AT_ONCE = 8


class OnnxRuntime(Engine):
    """ONNX Runtime on the CPU."""

    extra = "onnx"
    needs = ("onnxruntime",)
    needs_to_write = ("onnx", "onnxscript")
    precisions = ("fp32", "int8")

    def write(self, graph: "nn.Module", example_B3HW: Pixels, folder: Path, precision: str, photos: Pixels) -> None:
        torch: Any = import_module("torch")
        with warnings.catch_warnings(), tempfile.TemporaryDirectory() as scratch:
            warnings.simplefilter("ignore")  # of tracing: the result is measured against the original
            whole = (Path(scratch) if precision == "int8" else folder) / FILE
            program = torch.onnx.export(
                graph, (torch.from_numpy(example_B3HW),), dynamo=True, input_names=[INPUT], output_names=list(OUTPUTS),
                dynamic_shapes=({0: torch.export.Dim.DYNAMIC},), verbose=False,
            )  # fmt: skip
            program.save(whole, external_data=True)
            if precision == "int8":
                _quantize(whole, folder / FILE, photos)

    def open(self, folder: Path, precision: str, threads: int) -> Network:
        runtime = import_module("onnxruntime")
        options = runtime.SessionOptions()
        options.intra_op_num_threads = threads
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # as OMP_WAIT_POLICY=passive
        options.log_severity_level = 3
        session = runtime.InferenceSession(folder / FILE, options, providers=["CPUExecutionProvider"])

        def run(pixels_B3HW: Pixels) -> Any:
            return tuple(session.run(list(OUTPUTS), {INPUT: pixels_B3HW}))

        return run


def _quantize(whole: Path, out: Path, photos: Pixels) -> None:
    quantization: Any = import_module("onnxruntime.quantization")
    prepared = whole.with_name("prepared.onnx")
    import_module("onnxruntime.quantization.shape_inference").quant_pre_process(
        whole, prepared, skip_symbolic_shape=True, save_as_external_data=True
    )
    quantization.quantize_static(
        prepared, out, _reader(photos), per_channel=True, activation_type=quantization.QuantType.QUInt8,
        use_external_data_format=True, extra_options={"CalibMovingAverage": True},
    )  # fmt: skip


def _reader(photos: Pixels) -> Any:
    """The photos as ONNX Runtime's calibration asks for them."""
    base: Any = import_module("onnxruntime.quantization").CalibrationDataReader

    class Reader(base):  # type: ignore[misc]
        def __init__(self) -> None:
            self._batches: Iterator[Pixels] = iter(in_batches(photos, AT_ONCE))

        def get_next(self) -> dict[str, Pixels] | None:
            batch = next(self._batches, None)
            return None if batch is None else {INPUT: batch}

    return Reader()
