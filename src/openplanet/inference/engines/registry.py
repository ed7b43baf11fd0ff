"""The engines by name. A further one is its file and a line here."""

from openplanet.inference.engines.engine import Engine
from openplanet.inference.engines.onnx import OnnxRuntime
from openplanet.inference.engines.openvino import OpenVino

ENGINES: dict[str, Engine] = {"openvino": OpenVino(), "onnx": OnnxRuntime()}

PYTORCH = "pytorch"
"""What a checkpoint's own network runs in."""
