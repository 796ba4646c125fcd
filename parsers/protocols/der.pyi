"""BER and DER: for other Cython modules only."""
