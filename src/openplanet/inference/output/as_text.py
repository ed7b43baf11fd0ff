"""Answers as lines for a person."""

from collections.abc import Iterable, Iterator

from openplanet.inference.clock_offset import ClockOffset
from openplanet.inference.located import Located
from openplanet.inference.output.about import About
from openplanet.progress import plain


def write(stream: Iterable[Located], about: About) -> Iterator[str]:
    """For each single photo its name and its candidates; of an album a line a photo, then what was found of clocks.

    Names of files and places are made plain: they cannot steer the terminal.
    """
    for located in stream:
        lines = _photo(located, about) if about.album is None else [_in_album(located, about)]
        yield "".join(f"{plain(line)}\n" for line in lines)
    if about.album is not None:
        offsets = [
            f"{camera or 'no camera named'}: {offset_words(each)}" for camera, each in about.album.offsets.items()
        ]
        for line in [*offsets, *(f"clocks: {note}" for note in about.album.clock_notes)]:
            yield f"{plain(line)}\n"


def offset_words(offset: ClockOffset) -> str:
    """What was found of a clock, for a person."""
    minutes, low, high = (round(seconds / 60) for seconds in (offset.seconds, offset.low, offset.high))
    if not offset.clear:
        return f"no clear clock offset (anything from {low} to {high} minutes fits {offset.photos} photos)"
    return f"clock offset {minutes:+d} minutes, applied ({low:+d} to {high:+d}; {offset.photos} photos)"


def _photo(located: Located, about: About) -> list[str]:
    if located.prediction is None:
        return [about.name(located), f"  not located: {about.error(located)}"]
    candidates = located.prediction.top(about.top)
    lines = [f"  {each.probability:6.1%}  {each.lat:9.4f} {each.lng:10.4f}  {each.place.text}" for each in candidates]
    return [about.name(located), *lines]


def _in_album(located: Located, about: About) -> str:
    time = "no time            " if located.taken_at is None else f"{located.taken_at:%Y-%m-%d %H:%M:%S}"
    if located.position is None:
        return f"{time}  {about.name(located)}  not located: {about.error(located)}"
    sure = str(located.source)
    if located.source == "model" and located.prediction is not None:
        sure = f"{located.prediction.best.probability:.1%}"
    lat, lng = located.position
    return f"{time}  {sure:>7}  {lat:9.4f} {lng:10.4f}  {located.place}  ({about.name(located)})"
