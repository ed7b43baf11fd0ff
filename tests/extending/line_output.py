"""A form of output from outside the package: a line a photo, with its status and where it lies."""

from collections.abc import Iterable, Iterator

from openplanet.inference.located import Located
from openplanet.inference.output.about import About


def write(stream: Iterable[Located], about: About) -> Iterator[str]:
    for located in stream:
        at = "nowhere" if located.position is None else "{:.2f} {:.2f}".format(*located.position)
        yield f"{about.name(located)} {located.status} {at} by {about.model.get('model', 'a checkpoint')}\n"
