import pytest

from modelport.cli.table import human_size, table


def test_columns_are_aligned_and_lines_end_clean():
    assert table([("a", 1), ("long", "")], ("name", "n")) == "name  n\n----  -\na     1\nlong"


def test_nothing_is_no_table():
    assert table([]) == ""


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (3 << 20, "3.0 MiB"), (5 << 29, "2.5 GiB")]
)
def test_sizes(count, text):
    assert human_size(count) == text
