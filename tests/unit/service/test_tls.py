"""Files of TLS that cannot be used stop the start with a sentence."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import trustme

from model_service.errors import SettingsInvalid
from model_service.settings import Settings
from model_service.tls import check, options


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("tls")
    found = {name: folder / name for name in ("cert", "key", "other", "text", "locked")}
    issued, other = trustme.CA().issue_cert("a.example"), trustme.CA().issue_cert("b.example")
    issued.cert_chain_pems[0].write_to_path(found["cert"])
    issued.private_key_pem.write_to_path(found["key"])
    other.private_key_pem.write_to_path(found["other"])
    found["text"].write_text("nothing\n")
    key = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIFHDBOBgkqhkiG9w0BBQ0wQTApBgkqhkiG9w0BBQwwHAQI\n"
    found["locked"].write_text(f"{key}-----END ENCRYPTED PRIVATE KEY-----\n")
    return found


def test_nothing_set_is_no_tls() -> None:
    check(Settings())
    assert options(Settings()) == {}


def test_a_certificate_and_its_key_are_taken(files: dict[str, Path]) -> None:
    settings = Settings(tls_cert_file=files["cert"], tls_key_file=files["key"])
    check(settings)
    assert options(settings)["certfile"] == str(files["cert"])


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"tls_key_file": "key"}, "MODELPORT_TLS_CERT_FILE is missing"),
        ({"tls_client_ca_file": "cert"}, "MODELPORT_TLS_CERT_FILE is missing"),
        ({"tls_cert_file": "cert"}, "MODELPORT_TLS_KEY_FILE: .* the key in it cannot be used"),
        ({"tls_cert_file": "cert", "tls_key_file": "other"}, "mismatch"),
        ({"tls_cert_file": "text", "tls_key_file": "key"}, "PEM"),
        ({"tls_cert_file": "cert", "tls_key_file": "locked"}, "cannot be used"),
        ({"tls_cert_file": "cert", "tls_key_file": "key", "tls_client_ca_file": "text"}, "TLS_CLIENT_CA_FILE: .*text"),
    ],
)
def test_files_that_do_not_fit_are_refused(files: dict[str, Path], given: dict[str, str], told: str) -> None:
    with pytest.raises(SettingsInvalid, match=told):
        check(Settings(**{name: files[file] for name, file in given.items()}))


def test_the_start_is_refused_with_exit_code_2(files: dict[str, Path], tmp_path: Path) -> None:
    environment: Any = {"MODELPORT_TLS_CERT_FILE": str(files["text"])}
    command = [sys.executable, "-m", "model_service"]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("start-server: MODELPORT_TLS_CERT_FILE")
    assert "Traceback" not in done.stderr
