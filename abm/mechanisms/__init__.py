"""The rules of the venue: one file per rule, the abstract rule first, then its variants."""
