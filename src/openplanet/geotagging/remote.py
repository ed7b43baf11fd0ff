"""Planning, applying and undoing over a photo server: the same run, and each change read back."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace

from openplanet.errors import InputError
from openplanet.geotagging.immich import Immich
from openplanet.geotagging.journal import Change, Journal
from openplanet.geotagging.outcome import Outcome, alone
from openplanet.geotagging.photoprism import PhotoPrism
from openplanet.geotagging.run import HAND, Row, Run
from openplanet.geotagging.server import ServerError
from openplanet.geotagging.service import Service, Where
from openplanet.progress import say, track

SERVICES: dict[str, Callable[[str], Service]] = {"immich": Immich, "photoprism": PhotoPrism}
TOGETHER = 100  # assets of one place in one request


def is_server(text: str) -> bool:
    """Whether ``text`` is the address of a photo server: ``immich://HOST``."""
    scheme, separator, _ = text.partition("://")
    return bool(separator) and scheme.removesuffix("+http") in SERVICES


def open_service(address: str) -> Service:
    """The server at an address. Raises InputError where its key is missing, ServerError where it does not answer."""
    service = SERVICES[address.partition("://")[0].removesuffix("+http")](address)
    say(f"{address}: {service.check()}")
    return service


def write_remote(run: Run, rows: list[Row], service: Service | None = None) -> Outcome:
    """Give the assets of ``rows`` their places, each read back. A run that was stopped goes on."""
    service = service or open_service(run.about.roots[0])
    outcome = Outcome()
    with alone(run):
        journal = Journal(run.folder)
        last = {each.path: each for each in journal.changes() if not each.undo}
        for batch in _batches(rows):
            _write(run, batch, service, journal, last, outcome)
    return outcome


def _batches(rows: list[Row]) -> Iterator[list[Row]]:
    """Rows of one place together, so that a server that takes many assets at once is asked once."""
    places: dict[tuple[object, ...], list[Row]] = {}
    for row in rows:
        places.setdefault((row.lat, row.lng, row.source == HAND), []).append(row)
    for alike in track(list(places.values()), "writing", unit="place"):
        yield from (alike[start : start + TOGETHER] for start in range(0, len(alike), TOGETHER))


def _write(
    run: Run, batch: list[Row], service: Service, journal: Journal, last: dict[str, Change], outcome: Outcome
) -> None:
    ready: list[tuple[Row, str, Where]] = []
    by_hand = batch[0].source == HAND
    for row in batch:
        try:
            old = _ready(run, row, service, last)
            if old is None:
                outcome.already.append(row.file)
            else:
                ready.append((row, run.photos[row.file].path, old))
        except (InputError, ServerError) as error:
            _stop_if_refused(error)
            outcome.skipped.append((row.file, str(error)))
    lat, lng = batch[0].lat, batch[0].lng
    if not ready or lat is None or lng is None:
        return
    wanted = Where(lat, lng, service.source(by_hand))
    for row, asset, old in ready:
        change = Change(row.file, asset, _text(old), _text(wanted), old.to_dict(), wanted.to_dict(), wanted.to_dict())
        journal.add(change)
        last[asset] = change
    try:
        service.put([asset for _, asset, _ in ready], lat, lng, by_hand)
    except ServerError as error:
        _stop_if_refused(error)
        outcome.skipped += [(row.file, str(error)) for row, _, _ in ready]
        return
    for row, asset, old in ready:
        _read_back(service, row, asset, old, wanted, outcome)


def _ready(run: Run, row: Row, service: Service, last: dict[str, Change]) -> Where | None:
    """The place that the asset has now, if it may be written; None where this run has written it already.

    Raises InputError with the reason where it may not.
    """
    if row.lat is None or row.lng is None:
        raise InputError("there is no point, and the server takes no names alone")
    photo = run.photos[row.file]
    now, version = service.where(photo.path)
    wanted = Where(row.lat, row.lng, service.source(row.source == HAND))
    change = last.get(photo.path)
    ours = change is not None and Where.of(change.new_values).same(now)
    if ours and now.same(wanted):
        return None
    if version != photo.state["version"]:
        raise InputError("its picture changed since the plan: plan again")
    if not ours and not now.same(Where.of(photo.state["where"])):
        raise InputError("it has a position" if now.known else "its place changed since the plan: plan again")
    return now


def _read_back(service: Service, row: Row, asset: str, old: Where, wanted: Where, outcome: Outcome) -> None:
    """Ask the server what it made of it; what is not as wanted is taken back."""
    try:
        now, _ = service.where(asset)
        if now.same(wanted):
            outcome.done.append(row.file)
            return
        service.restore(asset, old)
        said = f"{now.lat}, {now.lng} {now.source}".strip()
        outcome.skipped.append((row.file, f"the server made it {said}, and was told to put back what was there"))
    except ServerError as error:
        _stop_if_refused(error)
        outcome.skipped.append((row.file, f"not read back: {error}"))


def restore_remote(run: Run, service: Service | None = None) -> Outcome:
    """Give each asset the place that it had before; what somebody changed since is named and stays."""
    service = service or open_service(run.about.roots[0])
    outcome = Outcome()
    with alone(run):
        journal = Journal(run.folder)
        chains: dict[str, list[Change]] = {}
        for change in journal.changes():
            if not change.undo:
                chains.setdefault(change.path, []).append(change)
        for asset, chain in track(list(chains.items()), "putting back"):
            try:
                if _restore(service, journal, asset, chain):
                    outcome.done.append(chain[-1].file)
            except (InputError, ServerError) as error:
                _stop_if_refused(error)
                outcome.skipped.append((chain[-1].file, str(error)))
    return outcome


def _restore(service: Service, journal: Journal, asset: str, chain: list[Change]) -> bool:
    now, _ = service.where(asset)
    first = Where.of(chain[0].old_values)
    if now.same(first):
        return False
    if not any(now.same(Where.of(change.new_values)) for change in chain):
        raise InputError("changed since it was written")
    latest = chain[-1]
    journal.add(replace(latest, old=_text(now), new=_text(first), old_values=now.to_dict(),
                        new_values=first.to_dict(), undo=True))  # fmt: skip
    service.restore(asset, first)
    after, _ = service.where(asset)
    if not after.same(first) or (first.lat is None and after.lat is not None):
        raise InputError(f"the server cannot take a place away: it says {after.lat}, {after.lng} now")
    return True


def _text(where: Where) -> str:
    return json.dumps(where.to_dict())


def _stop_if_refused(error: Exception) -> None:
    """A key that is refused is refused for all: no use in asking on."""
    if isinstance(error, ServerError) and error.status in (401, 403):
        raise InputError(str(error)) from error
