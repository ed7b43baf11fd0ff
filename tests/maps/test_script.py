import re
import shutil
import subprocess

import pytest

from openplanet.maps.script import MAP_SCRIPT, MAP_STYLE


def test_asks_nothing_of_the_outside():
    for text in (MAP_SCRIPT, MAP_STYLE):
        assert not re.search(r"https?:|//[a-z]|fetch|XMLHttp|@import|import\(|url\(|eval|innerHTML", text)


def test_cannot_end_its_own_element():
    assert "</" not in MAP_SCRIPT
    assert "</" not in MAP_STYLE


def test_braces_balance():
    for text in (MAP_SCRIPT, MAP_STYLE):
        for opening, closing in ("{}", "()", "[]"):
            assert text.count(opening) == text.count(closing)


def test_script_is_javascript(tmp_path):
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed: the script's grammar is not checked")
    file = tmp_path / "map.js"
    file.write_text(MAP_SCRIPT)
    subprocess.run([node, "--check", str(file)], check=True)
