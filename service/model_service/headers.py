"""The headers of a request, for whoever looks one up."""

from collections.abc import Mapping

Headers = Mapping[bytes, bytes]
"""Lower-case names to values; of a header that came twice, the last."""
