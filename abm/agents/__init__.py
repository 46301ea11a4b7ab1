"""Who trades: one file per archetype."""
