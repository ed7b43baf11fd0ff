"""Intel's OpenVINO: float32, bfloat16 where the processor multiplies it, and int8 by NNCF.

Float32 and bfloat16 are the same file: the processor rounds while it computes.
"""

import sys
import warnings
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from openplanet.inference.engines.engine import INPUT, OUTPUTS, Engine, Network
from openplanet.models.preprocess import Pixels

if TYPE_CHECKING:
    from torch import nn

FILE = "model.xml"  # its weights are in model.bin
HINTS = {"fp32": "f32", "bf16": "bf16", "int8": "bf16"}
"""What is not int8 in an int8 network is computed in bfloat16, where there is one."""


class OpenVino(Engine):
    """OpenVINO on the CPU."""

    extra = "openvino"
    needs = ("openvino",)
    needs_to_write = ("nncf",)
    precisions = ("fp32", "bf16", "int8")

    def write(self, graph: "nn.Module", example_B3HW: Pixels, folder: Path, precision: str, photos: Pixels) -> None:
        torch, openvino = import_module("torch"), _openvino()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of tracing: the result is measured against the original
            shape = openvino.PartialShape([-1, *example_B3HW.shape[1:]])
            model = openvino.convert_model(graph, example_input=torch.from_numpy(example_B3HW), input=[shape])
            model.inputs[0].get_tensor().set_names({INPUT})
            for output, name in zip(model.outputs, OUTPUTS, strict=True):
                output.get_tensor().set_names({name})
            if precision == "int8":
                nncf: Any = import_module("nncf")
                pictures = nncf.Dataset([photo[None] for photo in photos])
                transformer = any(type(part).__name__ == "Attention" for part in graph.modules())
                kind = nncf.ModelType.TRANSFORMER if transformer else None
                model = nncf.quantize(model, pictures, subset_size=len(photos), model_type=kind)
            openvino.save_model(model, folder / FILE, compress_to_fp16=False)

    def open(self, folder: Path, precision: str, threads: int) -> Network:
        openvino = _openvino()
        options: dict[str, Any] = {"INFERENCE_PRECISION_HINT": HINTS[precision], "PERFORMANCE_HINT": "LATENCY"}
        options |= {"INFERENCE_NUM_THREADS": threads} if threads else {}
        model = openvino.Core().compile_model(folder / FILE, "CPU", options)

        def run(pixels_B3HW: Pixels) -> Any:
            found = model.create_infer_request().infer([pixels_B3HW])  # one of its own: threads share the network
            return tuple(found[model.output(name)] for name in OUTPUTS)

        return run


def _openvino() -> Any:
    """The package without its telemetry, which would report each import to its makers, and keep a number of the user's
    in the home folder: it does without where that package cannot be imported."""
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    return import_module("openvino")
