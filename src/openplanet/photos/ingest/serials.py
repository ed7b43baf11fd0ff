"""Serial numbers of cameras, made unrecognisable before they leave the machine.

A serial number in a dataset or an answer would tell whoever has one photo of a camera which others its owner took. What
is written instead is a code that is the same for the same camera, and means nothing without a key that each user's
machine makes for itself.
"""

import hashlib
import hmac
import secrets
import tempfile
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

import pyarrow as pa

from openplanet.errors import InputError
from openplanet.home import HOME, home

KEY = "serials.key"
DIGITS = 12


def code(serial: str) -> str:
    """12 hexadecimal digits for a serial number; one of blanks and zeros, which some makers write, stays as it is."""
    if not serial.strip("0 "):
        return serial
    text = serial.strip().encode("utf-8", "surrogateescape")
    return hmac.new(_key(home() / KEY), text, hashlib.sha256).hexdigest()[:DIGITS]


def coded(rows: pa.Table) -> pa.Table:
    """``rows`` with the codes in place of what their column ``serial`` holds; null stays null."""
    encoded = rows["serial"].combine_chunks().dictionary_encode()
    codes = pa.array([code(each) for each in encoded.dictionary.to_pylist()], pa.string())
    return rows.set_column(rows.schema.get_field_index("serial"), "serial", codes.take(encoded.indices))


@lru_cache(maxsize=4)
def _key(path: Path) -> bytes:
    """The key in ``path``, made on first use. Raises InputError where it can be neither read nor written."""
    try:
        if not path.is_file():
            path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=path.parent) as file:  # for its owner alone
                file.write(secrets.token_bytes(32))
                file.flush()
                with suppress(FileExistsError):  # another process was first: its key counts
                    path.hardlink_to(file.name)
        return path.read_bytes()
    except OSError as error:
        raise InputError(
            f"{path}, the key that serial numbers of cameras are coded with, cannot be kept ({error}): set {HOME} to a "
            "folder that can be written"
        ) from error
