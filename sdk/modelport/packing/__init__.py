"""Packing: from a fitted estimator to a bundle whose every form is proven to answer as the estimator does."""

from modelport.packing.errors import PackRefused
from modelport.packing.model_file import pack_file
from modelport.packing.pack import pack
from modelport.packing.packed import Packed
from modelport.packing.proof import Proof

__all__ = ["PackRefused", "Packed", "Proof", "pack", "pack_file"]
