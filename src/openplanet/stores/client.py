"""The fsspec client of a store, and its errors in one line each.

Clients read their credentials and endpoints where they always do (AWS_PROFILE, AWS_ENDPOINT_URL, HF_TOKEN,
GOOGLE_APPLICATION_CREDENTIALS): nothing of that passes through here, and no message shows it.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from importlib import import_module
from typing import Any

from openplanet.errors import InputError, OpenPlaNetError

EXTRAS = {"s3": "s3", "gs": "gcs", "hf": "", "memory": ""}
"""The schemes that are supported, and the extra that installs the client; none where it is there anyway."""

_CLIENTS = re.compile(r"aio|botocore|fsspec|gcsfs|google|http|huggingface_hub|requests|s3fs|urllib3")
"""How the names of the modules begin whose errors are the store's."""
_WORDS = (
    (r"bucket does not exist|NoSuchBucket", "there is no such bucket"),
    (r"FileNotFoundError", "it does not exist"),  # its text is the path, which may hold any of the words below
    (r"SlowDown|ServiceUnavailable|reduce your request rate|\b503\b", "the store is overloaded; try again later"),
    (r"NoCredentials|PartialCredentials|DefaultCredentials", "there are no credentials for it (AWS_PROFILE, HF_TOKEN)"),
    (
        r"PermanentRedirect|AuthorizationHeaderMalformed|IllegalLocation|region '[\w-]+' is wrong",
        "the bucket is in another region; set AWS_DEFAULT_REGION",
    ),
    (r"PermissionError|AccessDenied|Forbidden", "permission denied; check the credentials and the bucket's policy"),
    (r"FileExpired|PreconditionFailed|pre-conditions", "it changed while it was read; run the command again"),
    (
        r"Timeout|EndpointConnection|ConnectError|ClientConnector|ConnectionClosed|ConnectionError|ConnectionRefused",
        "the store does not answer; check the network and, for S3, AWS_ENDPOINT_URL",
    ),
)
"""What the class or the text of an error holds, and what that means; the first that fits."""


_IDENTITY = ("ETag", "etag", "md5Hash", "generation", "blob_id", "created", "LastModified", "mtime", "last_modified")
"""What clients call the thing that changes with an object's content; the first that an object has."""


@dataclass(frozen=True)
class Stat:
    """Size in bytes, and a text that changes with the content."""

    st_size: int
    identity: str
    is_folder: bool = False


def stat_of(info: dict[str, Any]) -> Stat:
    """Of what a client says about an object."""
    identity = next((f"{name}={_plain(info[name])}" for name in _IDENTITY if info.get(name)), "")
    return Stat(int(info.get("size") or 0), identity, info.get("type") == "directory")


def _plain(value: Any) -> Any:
    """A time in seconds: a listing may give a number where the look at one object gives a date."""
    return value.timestamp() if isinstance(value, datetime) else value


def client(url: str) -> Any:
    """The fsspec file system of a URL; each process has its own. Raises InputError where its package is missing."""
    scheme = url.partition("://")[0]
    try:
        with told(url):
            return import_module("fsspec").filesystem(scheme)
    except ImportError as error:
        extra = EXTRAS.get(scheme)
        package = f"'openplanet[{extra}]'" if extra else "fsspec huggingface_hub"
        raise InputError(f"{url} needs a package:  pip install {package}") from error


@contextmanager
def told(url: str, what: str = "read") -> Iterator[None]:
    """An error of the store becomes an InputError that names ``url``, the reason and what to do."""
    try:
        yield
    except (OpenPlaNetError, ImportError):
        raise
    except Exception as error:
        if not isinstance(error, OSError) and not _CLIENTS.match(type(error).__module__):
            raise
        raise InputError(f"{url} cannot be {what}: {_words(error)}") from error


def _words(error: Exception) -> str:
    text = " ".join(str(error).split())
    signs = f"{' '.join(kind.__name__ for kind in type(error).__mro__)} {text}"
    for pattern, words in _WORDS:
        if re.search(pattern, signs):
            return words
    return text[:200] or type(error).__name__
