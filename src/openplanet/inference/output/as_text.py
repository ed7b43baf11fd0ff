"""Answers as lines for a person."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from openplanet.inference.located import Located
from openplanet.inference.output.about import About
from openplanet.inference.place_tree import Node
from openplanet.inference.prediction import Prediction
from openplanet.progress import plain

if TYPE_CHECKING:  # its module loads torch
    from openplanet.inference.clock_offset import ClockOffset

PLACES = 0.05  # places less likely are not printed, unless nothing is likelier


def write(stream: Iterable[Located], about: About) -> Iterator[str]:
    """For each single photo its name, its answer, the best point with radii, and places as a tree; of an album a line a
    photo, then what was found of clocks.

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


def offset_words(offset: "ClockOffset") -> str:
    """What was found of a clock, for a person."""
    minutes, low, high = (round(seconds / 60) for seconds in (offset.seconds, offset.low, offset.high))
    if not offset.clear:
        return f"no clear clock offset (anything from {low} to {high} minutes fits {offset.photos} photos)"
    return f"clock offset {minutes:+d} minutes, applied ({low:+d} to {high:+d}; {offset.photos} photos)"


def km_words(km: float) -> str:
    """A distance as precise as it means something."""
    return f"{km:.1f} km" if km < 10 else f"{km:,.0f} km"


def _photo(located: Located, about: About) -> list[str]:
    name, answer = about.name(located), about.answer(located)
    if located.flag:
        return [name, f"  not a photograph of a place: {located.flag}"]
    if located.prediction is None or answer is None:
        return [name, f"  not located: {about.error(located)}"]
    sure = f"  {answer.probability:.0%}" if answer.level else ""
    lines = [f"{name}: {answer.text}{sure}"]
    if about.shows_points:
        best = located.prediction.best_point(about.options.within_km)
        how = "" if best.calibrated else ", not calibrated"
        apart = "" if about.agrees(located) else ", outside of the place named, where no single cell is as likely"
        lines.append(
            f"  best point {best.lat:.4f} {best.lng:.4f}  {best.probability:.0%} within {best.within_km:g} km"
            f"{apart};"
            f" 68 % within {km_words(best.radius_km['0.68'])}, 95 % within {km_words(best.radius_km['0.95'])}{how}"
        )
    return [*lines, *_places(located.prediction, about), *(_evidence(located) if about.shows_points else ())]


def _places(prediction: Prediction, about: About) -> list[str]:
    finest = about.options.finest
    countries = prediction.places("city" if finest == "cell" else finest)
    told = [node for node in countries if node.probability >= PLACES] or list(countries[:1])
    lines: list[str] = []

    def add(node: Node, depth: int) -> None:
        lines.append(f"  {'  ' * depth}{node.probability:6.1%}  {node.name}")
        for each in node.inside[: about.top]:
            if each.probability >= PLACES:
                add(each, depth + 1)

    for node in told[: about.top]:
        add(node, 0)
    if (rest := 1.0 - sum(node.probability for node in told[: about.top])) >= PLACES:
        lines.append(f"  {rest:6.1%}  elsewhere")
    return lines


def _evidence(located: Located) -> list[str]:
    if located.evidence is None:
        return []
    drop_GG = located.evidence.drop_GG
    row, column = (int(x) for x in np.unravel_index(int(drop_GG.argmax()), drop_GG.shape))
    across, down = (column + 0.5) / drop_GG.shape[1], (row + 0.5) / drop_GG.shape[0]
    lines = [
        f"  prior: {located.evidence.prior:.1%} of all training photos were taken around this point",
        f"  most important part of the picture: about {across:.0%} from its left edge and {down:.0%} from its top;"
        f" with it covered the probability is {drop_GG.max():.1%} lower",
    ]
    for each in located.evidence.alike:
        by = ", ".join(part for part in (each.attribution, each.licence) if part)
        said = (
            f"  similar photo: {each.source} (similarity {each.cosine:.2f}), taken at {each.lat:.4f} {each.lng:.4f},"
            f" {km_words(each.km)} from the best point"
        )
        lines.append(said + (f"; {by}" if by else ""))
    return lines


def _in_album(located: Located, about: About) -> str:
    time = "no time            " if located.taken_at is None else f"{located.taken_at:%Y-%m-%d %H:%M:%S}"
    name = about.name(located)
    if located.flag:
        return f"{time}  {name}  not a photograph of a place: {located.flag}"
    if located.position is None:
        return f"{time}  {name}  not located: {about.error(located)}"
    answer, at = about.answer(located), about.position(located)
    sure = str(located.source) if answer is None else f"{answer.probability:.0%}"
    where = "" if at is None else f"  {at[0]:9.4f} {at[1]:10.4f}"
    return f"{time}  {sure:>7}{where}  {about.place(located)}  ({name})"
