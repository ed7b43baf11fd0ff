import sys

import pytest

from openplanet.errors import InputError
from openplanet.stores.client import client, told
from openplanet.stores.location import location

URL = "s3://bucket/x"


class NoCredentialsError(OSError):
    """As botocore's."""


class FileExpired(OSError):  # noqa: N818
    """As s3fs's."""


class EndpointConnectionError(OSError):
    """As botocore's."""


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (FileNotFoundError("bucket/Timeout/503"), "it does not exist"),
        (FileNotFoundError("The specified bucket does not exist"), "there is no such bucket"),
        (PermissionError("Access Denied"), "permission denied; check the credentials"),
        (NoCredentialsError("Unable to locate credentials"), "there are no credentials for it"),
        (EndpointConnectionError("Could not connect to http://x"), "the store does not answer; check the network"),
        (TimeoutError(), "the store does not answer"),
        (OSError(5, "An error occurred (SlowDown)"), "the store is overloaded; try again later"),
        (
            OSError(22, "the region 'us-east-1' is wrong; expecting 'eu-west-1'"),
            "the bucket is in another region; set AWS_DEFAULT",
        ),
        (FileExpired("x"), "it changed while it was read"),
        (OSError("something new"), "something new"),
    ],
)
def test_errors_are_one_line_with_the_url_and_what_to_do(error: Exception, words: str) -> None:
    with pytest.raises(InputError, match=rf"^{URL} cannot be written: {words}"), told(URL, "written"):
        raise error


def test_defects_of_ours_are_not_taken_for_the_stores() -> None:
    with pytest.raises(ZeroDivisionError), told(URL):
        raise ZeroDivisionError


def test_a_missing_package_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gcsfs", None)
    with pytest.raises(InputError, match=r"gs://bucket/x needs a package:  pip install 'openplanet\[gcs\]'"):
        client("gs://bucket/x")


def test_a_hub_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    core = pytest.importorskip("huggingface_hub.hf_file_system")
    monkeypatch.setattr(core.HfApi, "repo_info", _refused)
    core.HfFileSystem.clear_instance_cache()
    with pytest.raises(InputError, match=r"hf://datasets/me/photos.ds cannot be read: the store does not answer"):
        location("hf://datasets/me/photos.ds").exists()


def _refused(*_: object, **__: object) -> None:
    raise EndpointConnectionError
