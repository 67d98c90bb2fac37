import subprocess
import sys

import pytest

import modelport

HEAVY = ("numpy", "pandas", "sklearn", "scipy", "onnx", "onnxruntime", "skl2onnx", "fastapi", "joblib", "yaml", "click")


def run(code):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_import_stays_light():
    assert run(f"import sys, modelport; print(*[name for name in {HEAVY} if name in sys.modules])") == []


def test_the_command_is_light_until_it_packs():
    heavy = [name for name in HEAVY if name != "click"]
    assert run(f"import sys, modelport.cli; print(*[name for name in {heavy} if name in sys.modules])") == []


def test_every_public_name_is_there():
    assert [name for name in modelport.__all__ if not hasattr(modelport, name)] == []
    assert set(modelport.__all__) <= set(dir(modelport))


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'unpack'"):
        modelport.unpack  # noqa: B018
