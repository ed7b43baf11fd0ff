"""What `openplanet locate` prints: each form is one file with a function ``write``, and a line here.

``write(stream, about)`` takes a stream of ``Located`` and yields pieces of text. It holds one answer at a time, so that
any number of photos are written in constant memory, and the first answer is printed before the last one is made.
"""

from collections.abc import Callable, Iterable, Iterator

from openplanet.inference.located import Located
from openplanet.inference.output import as_csv, as_geojson, as_gpx, as_json, as_kml, as_text
from openplanet.inference.output.about import About

Write = Callable[[Iterable[Located], About], Iterator[str]]

FORMATS: dict[str, Write] = {
    "text": as_text.write,
    "json": as_json.write,
    "geojson": as_geojson.write,
    "kml": as_kml.write,
    "csv": as_csv.write,
    "gpx": as_gpx.write,
}
"""Every form that is printed, by name."""
