"""An agent-based simulator of a perpetual-futures exchange under stress."""
