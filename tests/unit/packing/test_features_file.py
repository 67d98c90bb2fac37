import datetime
import math
from pathlib import Path
from typing import Any

import pytest

from model_artifact.signature import Rule
from modelport.packing import PackRefused
from modelport.packing.features import FeaturesFile, FeatureSpec, read_features

ENDLESS: list[object] = []
ENDLESS.append(ENDLESS)


def test_a_yaml_file_and_its_content_read_the_same(tmp_path: Path) -> None:
    path = tmp_path / "features.yaml"
    path.write_text(
        "labels: {0: malignant, 1: benign}\n"
        "features: {age: {description: years, ge: 0, le: 120, default: 35, categories: [35, 36]}}\n"
        "rules: [{expr: 'age >= 18', message: applicants are adults}]\n"
        "metadata: {author: Ada}\n"
    )
    content = {
        "labels": {0: "malignant", 1: "benign"},
        "features": {"age": {"description": "years", "ge": 0, "le": 120, "default": 35, "categories": (35, 36)}},
        "rules": [{"expr": "age >= 18", "message": "applicants are adults"}],
        "metadata": {"author": "Ada"},
    }
    expected = FeaturesFile(
        {0: "malignant", 1: "benign"},
        {"age": FeatureSpec("years", ge=0, le=120, default=35, categories=(35, 36))},
        (Rule("age >= 18", "applicants are adults"),),
        {"author": "Ada"},
    )
    assert read_features(path) == read_features(str(path)) == read_features(content) == expected


@pytest.mark.parametrize("text", ["", "# nothing but a comment\n"])
def test_an_empty_file_declares_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "features.yaml").write_text(text)
    assert read_features(tmp_path / "features.yaml") == read_features(None) == FeaturesFile()


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ({"feature": {}}, "unknown field 'feature'; known are labels, features, rules, metadata"),
        ({"features": {"age": {"min": 0}}}, r"features\.features\.age: unknown field 'min'"),
        ({"features": {"age": 3}}, r"features\.features\.age: expected an object, got int 3"),
        ({"features": {"age": {"ge": "0"}}}, r"age\.ge: expected float, got str"),
        ({"features": {"age": {"dtype": "number"}}}, r"age\.dtype: expected one of"),
        ({"rules": [{"expr": "a > 1"}]}, r"rules\[0\]\.message: missing"),
        ({1: "a"}, r"features: expected keys that are text, got int 1"),
        ({"features": {"age": {1: "a"}}}, r"features\.features\.age: expected keys that are text, got int 1"),
        ({"metadata": {"runs": [{2: "a"}]}}, r"features\.metadata\.runs\[0\]: expected keys that are text, got int 2"),
        (
            {"metadata": {"trained": datetime.date(2024, 5, 1)}},
            r"features\.metadata\.trained: expected a JSON value .dates need quotes., got date 2024-05-01",
        ),
        ({"features": {"age": {"default": math.nan}}}, r"age\.default: expected a JSON value .*, got float nan"),
        ({"features": {"age": {"ge": -math.inf}}}, r"age\.ge: expected a JSON value .*, got float -inf"),
        ({"metadata": {"trained": ENDLESS}}, r"features is nested too deeply"),
    ],
)
def test_what_is_unknown_or_of_another_type_is_refused_by_name(content: dict[Any, object], sentence: str) -> None:
    with pytest.raises(PackRefused, match=sentence):
        read_features(content)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("metadata: {trained: 2024-05-01}", r"\.metadata\.trained: expected a JSON value .*, got date 2024-05-01"),
        ("1: a", r"expected keys that are text, got int 1"),
        ("a: [1", "is not valid YAML"),
        ("- 1\n- 2\n", "expected keys .* got list"),
        (None, "cannot be read"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, text: str | None, sentence: str) -> None:
    path = tmp_path / "features.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(PackRefused, match=sentence) as refused:
        read_features(path)
    assert str(path) in str(refused.value)


def test_features_and_labels_may_have_keys_that_are_no_text() -> None:
    read = read_features({"features": {3: {"ge": 0}}, "labels": {True: "yes", False: "no"}})
    assert read == FeaturesFile({True: "yes", False: "no"}, {"3": FeatureSpec(ge=0)})
