"""A path, or the URL of an object in a store: the one place that decides which.

A ``RemotePath`` answers as a ``pathlib.Path`` does, so that code goes on with ``/``, ``open`` and ``is_file``.
It holds text only: it can be pickled, and every process opens connections of its own.
"""

import io
import logging
import os
import posixpath
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any, Literal, TypeAlias, overload
from urllib.parse import unquote, urlsplit

from openplanet.errors import InputError
from openplanet.progress import say
from openplanet.stores.client import EXTRAS, Stat, client, stat_of, told
from openplanet.stores.ranges import SAID, RangeFile

_URL = re.compile(r"[a-z][a-z0-9+.-]*://")


@dataclass(frozen=True, order=True)
class RemotePath:
    """An object, or a prefix of objects, in a store."""

    url: str
    known: Stat | None = field(default=None, compare=False, repr=False)
    """What a listing said of it: then nothing is asked again."""

    def __str__(self) -> str:
        return self.url

    def __truediv__(self, name: str) -> "RemotePath":
        return RemotePath(f"{self.url}/{name}")

    @property
    def name(self) -> str:
        """The last component."""
        return posixpath.basename(self.url)

    @property
    def suffix(self) -> str:
        """As a path's: ".json"."""
        return posixpath.splitext(self.name)[1]

    @property
    def stem(self) -> str:
        """The name without its suffix."""
        return posixpath.splitext(self.name)[0]

    @property
    def parent(self) -> "RemotePath":
        """What it lies in."""
        return RemotePath(posixpath.dirname(self.url))

    def with_name(self, name: str) -> "RemotePath":
        """Another beside it."""
        return self.parent / name

    def with_suffix(self, suffix: str) -> "RemotePath":
        """The same name with another suffix."""
        return self.with_name(f"{self.stem}{suffix}")

    def stat(self) -> Stat:
        """Raises FileNotFoundError where nothing is there, InputError where the store does not tell."""
        found = self._look()
        if found is None:
            raise FileNotFoundError(2, "it does not exist", self.url)
        return found

    def exists(self) -> bool:
        """Whether there is an object, or one below it."""
        return self._look() is not None

    def is_file(self) -> bool:
        """Whether there is an object of that name."""
        found = self._look()
        return found is not None and not found.is_folder

    def is_dir(self) -> bool:
        """Whether there are objects below it."""
        found = self._look()
        return found is not None and found.is_folder

    def iterdir(self) -> Iterator["RemotePath"]:
        """What lies in it, by one listing; nothing where it is not there."""
        return self._listed(lambda store: store.ls(self.url, detail=True))

    def walk_files(self) -> Iterator["RemotePath"]:
        """All objects below it, at any depth, by one listing."""
        found = self._listed(lambda store: store.find(self.url, detail=True).values())
        return (each for each in found if each.known is not None and not each.known.is_folder)

    def below(self, folder: "RemotePath") -> str:
        """Its path inside ``folder``."""
        return self.url.removeprefix(f"{folder.url}/")

    def read_bytes(self) -> bytes:
        """The whole content, by one request."""
        with told(self.url):
            return bytes(client(self.url).cat_file(self.url))

    def read_text(self, encoding: str = "utf-8") -> str:
        """The whole content as text."""
        return self.read_bytes().decode(encoding)

    @overload
    def open(self, mode: Literal["rb"] = "rb") -> io.BufferedReader: ...

    @overload
    def open(self, mode: Literal["r"], encoding: str | None = None) -> io.TextIOWrapper: ...

    def open(self, mode: str = "rb", encoding: str | None = None) -> IO[Any]:
        """Open for reading; what is read is fetched, a MiB or more at a time."""
        if mode not in ("r", "rb"):
            raise ValueError(f"mode {mode}: an object is written as a whole, by upload")
        binary = io.BufferedReader(RangeFile(self.url, self.stat()), 1 << 20)
        return binary if mode == "rb" else io.TextIOWrapper(binary, encoding or "utf-8")

    def upload(self, file: Path) -> None:
        """Become a copy of a local file, at once or not at all."""
        if (size := file.stat().st_size) >= SAID:
            say(f"uploading {self.url}, {size / 1e6:,.0f} MB")
        with told(self.url, "written"):
            try:
                client(self.url).put_file(str(file), self.url)
            except Exception:
                # asyncio would print a traceback for each part of an upload that was given up with the one that failed
                logging.getLogger("asyncio").setLevel(logging.CRITICAL)
                raise

    def unlink(self) -> None:
        """Delete the object."""
        with told(self.url, "deleted"):
            client(self.url).rm_file(self.url)

    def check_writable(self) -> None:
        """Raise InputError where no object can be written there; nothing is left behind. S3 is asked for the permission
        to write; of other stores only that the bucket is there."""
        store = client(self.url)
        scheme, _, rest = self.url.partition("://")
        with told(self.url, "written"):
            if scheme == "s3":
                bucket, _, key = rest.partition("/")
                begun = store.call_s3("create_multipart_upload", Bucket=bucket, Key=key)
                store.call_s3("abort_multipart_upload", Bucket=bucket, Key=key, UploadId=begun["UploadId"])
            elif scheme == "gs":
                store.info(rest.partition("/")[0])

    def _look(self) -> Stat | None:
        if self.known is not None:
            return self.known
        store = client(self.url)
        with told(self.url):
            store.invalidate_cache(self.url)
            try:
                return stat_of(store.info(self.url))
            except FileNotFoundError as error:
                if _no_bucket(error):
                    raise
                return None

    def _listed(self, ask: Callable[[Any], Any]) -> Iterator["RemotePath"]:
        store = client(self.url)
        with told(self.url):
            store.invalidate_cache(self.url)
            try:
                found = list(ask(store))
            except FileNotFoundError as error:
                if _no_bucket(error):
                    raise
                found = []
        here = store._strip_protocol(self.url).strip("/")
        for each in found:
            inside = each["name"].strip("/").removeprefix(here).strip("/")
            if inside and inside != each["name"].strip("/"):  # some stores list the folder itself
                yield replace(self / inside, known=stat_of(each))


Location: TypeAlias = Path | RemotePath


def is_url(text: object) -> bool:
    """Whether ``text`` is a URL, and not a path or ``hf:OWNER/NAME``."""
    return isinstance(text, RemotePath) or _URL.match(str(text)) is not None


def location(given: str | os.PathLike[str] | RemotePath) -> Location:
    """A RemotePath for a URL such as s3://BUCKET/NAME, else a Path. Raises InputError for a URL of another scheme."""
    if isinstance(given, RemotePath):
        return given
    text = os.fspath(given)
    if not is_url(text):
        return Path(text)
    scheme, _, rest = text.partition("://")
    if scheme == "file":
        return Path(unquote(urlsplit(text).path))
    if scheme not in EXTRAS:
        raise InputError(f"{text}: give a path, or a URL that begins with {', '.join(f'{each}://' for each in EXTRAS)}")
    parts = [part for part in rest.split("/") if part]
    if not parts or any(part in (".", "..") for part in parts):
        raise InputError(f"{text} names no object: give {scheme}://BUCKET/NAME")
    return RemotePath(f"{scheme}://{'/'.join(parts)}")


def listing(folder: Location) -> dict[str, Location]:
    """What lies in a folder, by name; of a store by one request, which tells sizes too."""
    return {each.name: each for each in folder.iterdir()}


def _no_bucket(error: FileNotFoundError) -> bool:
    return "bucket does not exist" in str(error)  # s3fs's words: of an object it gives the name only
