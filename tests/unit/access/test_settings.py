"""Settings of access control that would leave a door open, or shut it for everybody, are refused."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from model_service.access.settings import AccessSettings


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"basic": True}, "need users_file"),
        ({"token_key_file": True}, "need users_file"),
        ({"users_file": True}, "users_file needs basic or token_key_file"),
        ({"jwt_issuer": "https://issuer.example.com"}, "jwt_issuer needs jwt_audience"),
        ({"jwt_issuer": "issuer.example.com", "jwt_audience": "x"}, "jwt_issuer"),
        ({"jwt_audience": "x"}, "access control is off"),
        ({"open_docs": True}, "access control is off"),
        ({"open_metrics": True}, "access control is off"),
        ({"jwt_roles": "ml-team"}, "expected value=role"),
        ({"jwt_roles": "=predict"}, "expected value=role"),
        ({"jwt_roles": "ml-team=root"}, "expected value=role"),
        ({"keys_file": Path("/nowhere")}, "keys_file"),
        ({"keys": "x"}, "keys"),
    ],
)
def test_what_is_incomplete_is_refused(given: dict[str, Any], said: str, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch()
    with pytest.raises(ValidationError, match=said):
        AccessSettings.model_validate({name: path if value is True and "file" in name else value
                                       for name, value in given.items()})  # fmt: skip


def test_nothing_set_is_off() -> None:
    assert AccessSettings.model_validate({}).on is False


def test_roles_of_claims_include_our_own_names() -> None:
    settings = AccessSettings.model_validate({"jwt_roles": "ml-team=predict, ops=admin"})
    assert {"ml-team", "ops", "predict", "admin"} <= settings.role_of_claim.keys()
    assert settings.role_of_claim["ml-team"] == "predict"
