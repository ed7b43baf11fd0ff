"""Writing what was accepted: into sidecars, or into the photos; each file whole, and in the journal before."""

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from openplanet.errors import InputError, OpenPlaNetError, PhotoError
from openplanet.geotagging import tags
from openplanet.geotagging.exiftool import ExifTool, ExifToolError
from openplanet.geotagging.journal import Change, Journal, sync_folder
from openplanet.geotagging.library import find, position_of, sidecars
from openplanet.geotagging.outcome import Outcome, alone
from openplanet.geotagging.replacing import bytes_before, clear_parts, keep, put, state_of
from openplanet.geotagging.run import Photo, Row, Run
from openplanet.photos.sources.source import Candidate
from openplanet.progress import track

Write = Literal["xmp", "exif"]
Naming = Literal["append", "adobe"]
WORK = ".work"  # hidden: it links to photos


class _SkippedError(OpenPlaNetError):
    """The photo is left as it is; the message says why."""


def write_files(run: Run, rows: list[Row], write: Write = "xmp", naming: Naming = "append") -> Outcome:
    """Write ``rows`` of a run over files. What was written before by this run counts as done: a run that was killed
    goes on. Raises InputError where exiftool is missing or the journal is damaged."""
    outcome = Outcome()
    with alone(run), ExifTool(run.folder / WORK) as tool:
        clear_parts({Path(each.path).parent for each in run.photos.values()}, run.about.run)
        library = {str(each.path): each for each in find([Path(root) for root in run.about.roots], run.folder)}
        writer = _Writer(run, tool, library, write, naming)
        for row in track(rows, "writing"):
            try:
                if not row.writes:
                    raise _SkippedError("it has neither a point nor a name: give lat and lng, or write no")
                done = writer.write(tags.named(row), run.photos[row.file])
                (outcome.done if done else outcome.already).append(row.file)
            except _SkippedError as error:
                outcome.skipped.append((row.file, str(error)))
            except ExifToolError as error:
                outcome.skipped.append((row.file, f"exiftool: {error}"))
            except (OSError, PhotoError, InputError) as error:
                outcome.skipped.append((row.file, str(error)))
    return outcome


class _Writer:
    def __init__(
        self, run: Run, tool: ExifTool, library: Mapping[str, Candidate], write: Write, naming: Naming
    ) -> None:
        self._run, self._tool, self._library, self._write, self._naming = run, tool, library, write, naming
        self._journal = Journal(run.folder)
        self._last = {each.path: each for each in self._journal.changes() if not each.undo}

    def write(self, row: Row, photo: Photo) -> bool:
        """Whether the file had to be written. Raises _SkippedError, ExifToolError, OSError, PhotoError."""
        path = Path(photo.path)
        candidate = self._library.get(photo.path)
        if candidate is None or not path.exists():
            raise _SkippedError("it is no longer there")
        target = self._target(candidate)
        self._check_unchanged(row, photo, candidate)
        told = self._told(candidate, photo, target)
        wanted = tags.of(row, self._run.about, told, self._write == "exif")
        if not tags.adds(wanted):
            raise _SkippedError("it has names of a place already, and there is no point to add")
        old, last = state_of(target), self._last.get(str(target))
        asked = tags.of(row, self._run.about, {}, self._write == "exif")
        if last is not None and last.new == old and last.asked == asked:
            return False
        new = self._made(target, wanted, row)
        times = None
        if old:
            status = target.stat()
            times = (status.st_atime_ns, status.st_mtime_ns)
        before, head, tail = keep(self._run.folder, target if old else None, new)
        change = Change(
            row.file, str(target), old, state_of(new), self._values(target) if old else {}, dict(wanted),
            asked, before, head, tail, times,
        )  # fmt: skip
        self._journal.add(change)
        if state_of(target) != old:
            raise _SkippedError("it changed while it was written")
        put(new, target, self._run.about.run, times)
        self._last[str(target)] = change
        return True

    def _target(self, candidate: Candidate) -> Path:
        photo = candidate.path
        if self._write == "exif":
            target = Path(os.path.realpath(photo))
            if target.stat().st_nlink > 1:
                raise _SkippedError("its file has several names (hard links), which replacing it would part")
        else:
            there = sidecars(candidate)
            alike = photo.with_suffix(".xmp") if self._naming == "adobe" else Path(f"{photo}.xmp")
            target = Path(os.path.realpath(there[0])) if there else alike
        if target.exists() and not os.access(target, os.W_OK):
            raise _SkippedError(f"{target.name} is write-protected")
        return target

    def _check_unchanged(self, row: Row, photo: Photo, candidate: Candidate) -> None:
        """Raise _SkippedError where the photo or a sidecar is neither as planned, nor as this run left it."""
        planned = {photo.path: photo.state["sha256"], **photo.state["sidecars"]}
        for each in dict.fromkeys([candidate.path, *sidecars(candidate), *map(Path, planned)]):
            now = state_of(each)
            last = self._last.get(os.path.realpath(each)) or self._last.get(str(each))
            if last is not None and last.new == now:
                if last.file != row.file:
                    raise _SkippedError(f"{each.name} belongs to {last.file} too, which was written")
            elif now != planned.get(str(each), ""):
                raise _SkippedError(f"{each.name} changed since the plan: plan again")

    def _told(self, candidate: Candidate, photo: Photo, target: Path) -> dict[str, Any]:
        """The tags of the file that is written. Raises _SkippedError where the photo has a position of its own."""
        if position_of(candidate) is not None:
            raise _SkippedError("it has a position")
        files = [candidate.path, *sidecars(candidate)]
        told = dict(zip(files, self._read(files), strict=True))
        for each, values in told.items():
            if tags.has_foreign_position(values):
                raise _SkippedError(f"{each.name} has a position")
            if tags.is_ours(values) and not photo.ours and str(values.get(f"{tags.OWN}:Run")) != self._run.about.run:
                raise _SkippedError("an earlier run placed it: plan with --overwrite-own to renew that")
        return next((values for each, values in told.items() if os.path.realpath(each) == str(target)), {})

    def _read(self, files: list[Path]) -> list[dict[str, Any]]:
        """What exiftool reads of files, which it gets under names of ours."""
        links = []
        for number, file in enumerate(files):
            link = self._run.folder / WORK / f"read{number}{file.suffix.lower()}"
            link.unlink(missing_ok=True)
            link.symlink_to(file.resolve())
            links.append(link)
        return self._tool.read(links, tags.READ)

    def _values(self, target: Path) -> dict[str, Any]:
        return self._read([target])[0]

    def _made(self, target: Path, wanted: tags.Tags, row: Row) -> Path:
        """The new file, in the work folder, read back."""
        work = self._run.folder / WORK
        source = None
        if target.exists():
            source = work / f"old{target.suffix.lower()}"
            source.unlink(missing_ok=True)
            source.symlink_to(target.resolve())
        new = work / f"new{target.suffix.lower()}"
        self._tool.write(source, new, wanted)
        if not tags.holds(self._tool.read([new], tags.READ)[0], row):
            raise _SkippedError("exiftool did not write the position")
        return new


def restore_files(run: Run) -> Outcome:
    """Put back what was there before, the last change first; what somebody changed since is named and stays."""
    outcome = Outcome()
    with alone(run):
        clear_parts({Path(each.path).parent for each in run.photos.values()}, run.about.run)
        journal = Journal(run.folder)
        chains: dict[str, list[Change]] = {}
        for change in journal.changes():
            if not change.undo:
                chains.setdefault(change.path, []).append(change)
        for chain in track(list(reversed(chains.values())), "putting back", unit="file"):
            file, path = chain[-1].file, Path(chain[-1].path)
            try:
                if _restore(run, journal, path, chain):
                    outcome.done.append(file)
            except (InputError, OSError) as error:
                outcome.skipped.append((file, f"{path.name}: {error}"))
    return outcome


def _restore(run: Run, journal: Journal, path: Path, chain: list[Change]) -> bool:
    """Undo the changes of one file, the last first. Whether there was one to undo. Raises InputError, OSError."""
    done, now = False, state_of(path)
    if now not in {state for change in chain for state in (change.old, change.new)}:
        raise InputError("changed since it was written" if now else "is no longer there")
    for change in reversed(chain):
        if now != change.new:
            continue
        was = bytes_before(run.folder, change) if change.old else b""
        journal.add(replace(change, old=now, new=change.old, old_values=change.new_values,
                            new_values=change.old_values, undo=True))  # fmt: skip
        if state_of(path) != now:
            raise InputError("changed while it was put back")
        if change.old:
            put(was, path, run.about.run, change.times)
        else:
            path.unlink()
            sync_folder(path.parent)
        done, now = True, change.old
    return done
